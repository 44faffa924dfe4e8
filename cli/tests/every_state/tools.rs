//! Runs the command's tools on a queue file in its current state.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use ringway::broadcast::{self, Subscribe};
use ringway::inspect::{Inspector, QueueKind, Snapshot};
use ringway::{Delivery, OpenError, RecvError, mpmc, spsc};
use serde_json::Value;

use crate::every_instruction::inspecting::bytes;
use crate::process::{Outcome, Random, ensure, short_or_long};

// The bytes that differ from one run to the next: see docs/format.md.
const CREATED_AND_UUID: std::ops::Range<usize> = 0x60..0x78;
const CHECKSUM: std::ops::Range<usize> = 0x3f0..0x3f8;
const LOOKED_AROUND: std::ops::Range<usize> = 0x440..0x480;
const REGISTRY: usize = 0x1000;
const ENTRY: usize = 256;
/// Pid and time of attaching.
const OWNER: std::ops::Range<usize> = 8..24;

static SEEN: Mutex<Option<HashSet<u64>>> = Mutex::new(None);

/// Checks the queue at `path`, in whatever state it is, and a copy.
pub(crate) fn inspect_queue(path: &Path) -> Outcome {
    let Some(image) = bytes(path)? else { return Ok(()) };
    if !is_new(path, &image) || !is_chosen() {
        return Ok(());
    }
    let at = |error| format!("{}: {error}", path.display());
    is_healthy(path).map_err(&at)?;
    ensure!(bytes(path)?.as_ref() == Some(&image), "looking changed {}", path.display());

    let directory = tempfile::Builder::new().prefix("ringway-cli-").tempdir_in("/dev/shm")?;
    let copy = directory.path().join("queue");
    std::fs::write(&copy, &image)?;
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600))?;
    is_healthy(&copy).map_err(&at)?;
    ensure!(bytes(&copy)?.as_ref() == Some(&image), "looking changed {}", copy.display());
    Ok(is_repaired(&copy).map_err(&at)?)
}

/// Whether the state has not been checked before.
fn is_new(path: &Path, image: &[u8]) -> bool {
    let mut image = image.to_vec();
    let entries = match Inspector::open(path).map(|it| it.header().order) {
        Ok(Some(order)) => order.max_participants as usize,
        _ => 2,
    };
    let owners =
        (0..entries).map(|entry| REGISTRY + entry * ENTRY).map(|at| at + OWNER.start..at + OWNER.end);
    for range in [CREATED_AND_UUID, CHECKSUM, LOOKED_AROUND].into_iter().chain(owners) {
        if let Some(bytes) = image.get_mut(range) {
            bytes.fill(0);
        }
    }
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    SEEN.lock().expect("one thread").get_or_insert_default().insert(hasher.finish())
}

/// Debug builds check one state in six: which ones follows from the seed, which differs from run to
/// run. Optimised builds, which CI runs as well, check all.
fn is_chosen() -> bool {
    const STEP: u64 = 6;
    static FIRST: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    !cfg!(debug_assertions)
        || short_or_long(false, true)
        || count % STEP == *FIRST.get_or_init(|| Random::new(1).below(STEP))
}

fn ringway(arguments: &[&str], path: &Path) -> Outcome<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    Ok(command.args(arguments).arg(path).stdin(Stdio::null()).output()?)
}

/// No tool reports a fault that does not exist.
fn is_healthy(path: &Path) -> Outcome {
    for arguments in [&["stat", "--json"][..], &["peek", "-n", "1000", "--held", "--quiet"]] {
        let output = ringway(arguments, path)?;
        let text = said(&output);
        ensure!(output.status.success() && !text.contains("corrupted:"), "{arguments:?}: {text}");
    }
    let stat = ringway(&["stat", "--json"], path)?;
    let stat: Value = serde_json::from_slice(&stat.stdout)?;
    ensure!(stat["corruption"].as_array().is_some_and(Vec::is_empty), "stat: {}", stat["corruption"]);
    diagnose(&["doctor", "--json"], path)
}

/// The doctor may find dead participants and their residue, but no corruption, and nothing for
/// which a new queue is needed.
fn diagnose(arguments: &[&str], path: &Path) -> Outcome {
    let output = ringway(arguments, path)?;
    let text = said(&output);
    ensure!(matches!(output.status.code(), Some(0 | 3)), "{arguments:?}: {text}");
    let diagnosis: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {text}"))?;
    for finding in diagnosis["findings"].as_array().ok_or("no findings")? {
        let is_error = finding["severity"] == "error";
        let words = format!("{} {}", finding["what"], finding["advice"]);
        let is_harsh = ["corruption", "remove", " anew"].iter().any(|word| words.contains(word));
        ensure!(!is_error && !is_harsh, "{arguments:?}: {finding}");
    }
    Ok(())
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).join("\n")
}

/// All participants are dead. After a repair all messages are delivered whole, the doctor finds
/// nothing more to do, and the queue can be used.
fn is_repaired(path: &Path) -> Outcome {
    let before = Snapshot::read(path)?;
    diagnose(&["doctor", "--repair", "--json"], path)?;
    let again = ringway(&["doctor", "--json"], path)?;
    let text = said(&again);
    ensure!(!text.contains("\"remedy\":\"recover\""), "there is something left to repair: {text}");
    let (Some(waiting), Some(held)) = (before.backlog.waiting, before.backlog.held) else {
        return Err("nothing moves, and messages were not counted".into());
    };
    let drops_held = before.header.order.is_some_and(|order| order.delivery == Delivery::AtMostOnce);
    let expected = match before.header.kind {
        // What consumers hold is retained, too.
        QueueKind::Broadcast => waiting,
        _ => waiting + if drops_held { 0 } else { held },
    };
    let found = match drain(path, before.header.kind) {
        Ok(found) => found,
        // A queue of values, which only a program with their type can read.
        Err(error)
            if error
                .downcast_ref::<OpenError>()
                .is_some_and(|it| matches!(it, OpenError::WrongType { .. })) =>
        {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let dead_letters = found.dead_letters;
    ensure!(
        found.came + dead_letters == expected,
        "{} messages came of {expected}, and {dead_letters} were dead-lettered",
        found.came
    );
    Ok(())
}

#[derive(Default)]
struct Found {
    came: u64,
    dead_letters: u64,
}

/// Receives all messages, then sends and receives one more.
fn drain(path: &Path, kind: QueueKind) -> Outcome<Found> {
    let mut found = Found::default();
    macro_rules! drain {
        ($queue:expr) => {{
            let queue = $queue;
            let consumer = queue.consumer()?;
            while let Ok(frame) = consumer.try_recv() {
                found.came += 1;
                drop(frame);
            }
            if !queue.is_closed() {
                let len = match Inspector::open(path)?.header().shape {
                    ringway::inspect::FrameShape::Fixed(len) => len as usize,
                    _ => 40,
                };
                queue.producer()?.try_send(&vec![7; len])?;
                ensure!(consumer.try_recv()?.iter().all(|byte| *byte == 7), "another message came");
            }
            ensure!(matches!(consumer.try_recv(), Err(RecvError::Empty | RecvError::Closed)), "more came");
        }};
    }
    match kind {
        // SAFETY: only this test knows the copy.
        QueueKind::Spsc => drain!(unsafe { spsc::BytesQueue::open(path) }?),
        QueueKind::Mpmc => {
            // SAFETY: as above.
            let queue = unsafe { mpmc::BytesQueue::open(path) }?;
            let before = queue.stats().dead_letters;
            drain!(&queue);
            found.dead_letters = queue.stats().dead_letters - before;
        }
        QueueKind::Broadcast => {
            // SAFETY: as above.
            let queue = unsafe { broadcast::BytesQueue::open(path) }?;
            let consumer = queue.consumer_with(&Subscribe::reliable().from(broadcast::Start::Oldest))?;
            while let Ok(frame) = consumer.try_recv() {
                found.came += 1;
                drop(frame);
            }
        }
    }
    Ok(found)
}
