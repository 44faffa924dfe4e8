//! Creating, opening and removing named queues.

use nix::errno::Errno;
use nix::libc;
use ringway::mpmc;
use ringway::spsc::BytesQueue;
use ringway::{CreateOptions, OpenOptions, Sharing};

use super::checks::{Holdings, explains, many, many_works, only_the_queue, passes, spsc, spsc_works};
use super::injector::{Gate, Operation, each_call_fails};
use crate::process::{Outcome, Test, TestDir, ensure};

pub(crate) fn tests() -> Vec<Test> {
    let nothing = |_: &TestDir| Ok(());
    let operation = |name, prepare, body, check| Operation { name, prepare, body, check, without: None };
    let operations = [
        operation("create", nothing, create, spsc_works),
        operation("create for a group", nothing, create_for_group, spsc_works),
        operation("create MPMC", nothing, create_many, many_works),
        operation("open", make, open, spsc_works),
        operation("open with everything", make, open_with_everything, spsc_works),
        operation("open or create: create", nothing, open_or_create, spsc_works),
        operation("open or create: open", make, open_or_create, spsc_works),
        operation("close the last", make, close_last, spsc_works),
        operation("unlink", make, unlink, spsc_works),
        operation("unlink if unused", make, unlink_if_unused, spsc_works),
        operation("is in use", make, is_in_use, spsc_works),
        operation("is orphaned", make, is_orphaned, spsc_works),
    ];
    // As without /proc: then the file gets a temporary name first.
    let linkless = Operation {
        without: Some((libc::SYS_linkat, Errno::ENOENT)),
        ..operation("create, renaming", nothing, create, spsc_works)
    };
    let test = |operation: Operation| Test::new(operation.name, move || each_call_fails(operation));
    operations.into_iter().chain([linkless]).map(test).collect()
}

fn make(place: &TestDir) -> Outcome {
    place.create(&spsc()).map(drop)
}

/// Runs `begin` with a failure; whatever that leaves, nothing leaks, and the same operation works
/// at the second try.
fn tried<R, E: std::error::Error + 'static>(
    place: &TestDir,
    gate: &Gate,
    mut begin: impl FnMut() -> Result<R, E>,
) -> Outcome<bool> {
    // What a process needs once (handlers, a page to detect forks by) it has from now on.
    // SAFETY: only this test has it.
    drop(unsafe { BytesQueue::create_memfd_with(&spsc().guard_truncation(true)) }?);
    let before = Holdings::now()?;
    let result = gate.around(&mut begin)?;
    if let Err(error) = &result {
        explains(error, &place.path().display().to_string())?;
    }
    let is_done = result.is_ok();
    drop(result);
    before.all_given_back()?;
    Ok(is_done)
}

fn create_with(place: &TestDir, gate: &Gate, options: &CreateOptions) -> Outcome {
    // SAFETY: only this test and its children know the file.
    let is_done = tried(place, gate, || unsafe { BytesQueue::create_with(place.path(), options) })?;
    ensure!(only_the_queue(place)? == is_done, "created: {is_done}, and it is there: {}", !is_done);
    Ok(())
}

fn create(place: &TestDir, gate: &Gate) -> Outcome {
    create_with(place, gate, &spsc())
}

fn create_for_group(place: &TestDir, gate: &Gate) -> Outcome {
    create_with(place, gate, &spsc().sharing(Sharing::Group))?;
    if place.path().exists() {
        use std::os::unix::fs::PermissionsExt;
        let mode = place.path().metadata()?.permissions().mode() & 0o777;
        ensure!(mode == 0o660, "its mode is {mode:o}");
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn create_many(place: &TestDir, gate: &Gate) -> Outcome {
    // SAFETY: as above.
    let is_done = tried(place, gate, || unsafe { mpmc::BytesQueue::create_with(place.path(), &many()) })?;
    ensure!(only_the_queue(place)? == is_done, "created: {is_done}, and it is there: {}", !is_done);
    Ok(())
}

fn open_with(place: &TestDir, gate: &Gate, options: &OpenOptions) -> Outcome {
    // SAFETY: as above.
    tried(place, gate, || unsafe { BytesQueue::open_with(place.path(), options) })?;
    // SAFETY: as above.
    passes(&unsafe { BytesQueue::open(place.path()) }?)
}

fn open(place: &TestDir, gate: &Gate) -> Outcome {
    open_with(place, gate, &OpenOptions::new())
}

fn open_with_everything(place: &TestDir, gate: &Gate) -> Outcome {
    let options = OpenOptions::new().guard_truncation(true).sharing(Sharing::Group).huge_pages(true);
    open_with(place, gate, &options)
}

fn open_or_create(place: &TestDir, gate: &Gate) -> Outcome {
    // SAFETY: as above.
    tried(place, gate, || unsafe { BytesQueue::open_or_create_with(place.path(), &spsc()) }).map(drop)
}

/// The last handle of those that remove the queue; if the removal fails, the queue stays.
fn close_last(place: &TestDir, gate: &Gate) -> Outcome {
    let before = Holdings::now()?;
    // SAFETY: as above.
    let queue =
        unsafe { BytesQueue::open_with(place.path(), &OpenOptions::new().unlink_on_last_drop(true)) }?;
    gate.around(|| drop(queue))?;
    before.all_given_back()
}

fn unlink(place: &TestDir, gate: &Gate) -> Outcome {
    let is_done = tried(place, gate, || ringway::unlink(place.path()))?;
    ensure!(!is_done || !place.path().exists(), "it was unlinked, and is there");
    Ok(())
}

fn unlink_if_unused(place: &TestDir, gate: &Gate) -> Outcome {
    let is_done = tried(place, gate, || ringway::unlink_if_unused(place.path()))?;
    ensure!(!is_done || !place.path().exists(), "it was unlinked, and is there");
    Ok(())
}

fn is_in_use(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open()?;
    let consumer = queue.consumer()?;
    let mut said = None;
    tried(place, gate, || ringway::is_in_use(place.path()).inspect(|is_in_use| said = Some(*is_in_use)))?;
    ensure!(said != Some(false), "the consumer was not seen");
    drop(consumer);
    Ok(())
}

/// Any error of the system is passed through; only a wrong result would be wrong.
fn is_orphaned(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open()?;
    let before = Holdings::now()?;
    let said = gate.around(|| queue.is_orphaned())?;
    ensure!(!matches!(said, Ok(true)), "it is where it was");
    before.all_given_back()
}
