//! Runs that are killed at a random point leave nothing behind once the residue is removed: by the next
//! run, or by a call that removes unused queues. `RINGWAY_CRASHED_RUNS=10000` sets the number of
//! runs.

use std::path::Path;
use std::time::Duration;

use ringway::{CreateOptions, OpenError, UnlinkError, mpmc, spsc};

use crate::process::{Child, End, Outcome, Random, Test, TestDir, Words, ensure, number_from};

/// The usual duration of a run.
const SPREAD: Duration = Duration::from_micros(800);

pub(crate) fn tests() -> Vec<Test> {
    let runs = number_from("RINGWAY_CRASHED_RUNS", 600);
    vec![
        Test::new("clean-up: the last one removes it", move || one_name(runs)),
        Test::new("clean-up: what nobody uses is removed", move || many_names(runs)),
        Test::new("clean-up: memfds leave nothing", move || memfds(runs)),
        Test::new("clean-up: an owner that lives keeps it", owners),
    ]
}

fn options() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096).unlink_on_last_drop(true)
}

/// Kills `runs` children at random points; returns how many ended first.
fn kill_runs(runs: u64, run: impl Fn(u64) -> Outcome) -> Outcome {
    let mut random = Random::new(31);
    let mut ended = 0;
    for number in 0..runs {
        let after = Duration::from_nanos(random.below(SPREAD.as_nanos() as u64));
        let child = Child::fork(|| {
            End::Timer { after, alone: true }.arm();
            run(number)
        });
        crate::process::progress();
        ended += u64::from(!child.collect()?);
    }
    println!("     {runs} runs, {ended} of them came to their end first");
    Ok(())
}

/// A whole life of an SPSC queue.
fn use_spsc(queue: &spsc::BytesQueue) -> Outcome {
    let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    producer.send(b"something")?;
    // It may be an earlier run's.
    ensure!(*consumer.recv()? == *b"something", "something else came");
    Ok(())
}

fn one_name(runs: u64) -> Outcome {
    let place = TestDir::new()?;
    let path = place.path();
    let run = |_| {
        // SAFETY: only this test and its children know the file.
        use_spsc(&unsafe { spsc::BytesQueue::open_or_create_with(&path, &options()) }?)
    };
    kill_runs(runs, run)?;
    run(0)?;
    is_empty(place.directory())
}

fn many_names(runs: u64) -> Outcome {
    let place = TestDir::new()?;
    let name = |number: u64| place.directory().join(format!("run-{number}"));
    let options = CreateOptions::new().ring_bytes(4096).max_messages(8).max_participants(4);
    let bystander = name(runs);
    // SAFETY: as above.
    let living = unsafe { mpmc::BytesQueue::create_with(&bystander, &options) }?;
    let consumer = living.consumer()?;
    kill_runs(runs, |number| {
        // SAFETY: as above.
        let queue = unsafe { mpmc::BytesQueue::create_with(name(number), &options) }?;
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        producer.send(b"something")?;
        ensure!(*consumer.recv()? == *b"something", "something else came");
        Ok(())
    })?;
    let mut removed = 0;
    for number in 0..=runs {
        match ringway::unlink_if_unused(name(number)) {
            Ok(true) => removed += 1,
            Ok(false) => ensure!(number == runs, "run {number} is dead, and said to be in use"),
            Err(UnlinkError::Open(OpenError::NotFound { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    println!("     {removed} were there to be removed");
    ensure!(bystander.exists(), "a queue was removed that somebody uses");
    drop(consumer);
    ensure!(ringway::unlink_if_unused(&bystander)?, "nobody uses it any more");
    is_empty(place.directory())
}

fn memfds(runs: u64) -> Outcome {
    let names = || -> Outcome<usize> {
        let names = std::fs::read_dir("/dev/shm")?.flatten().map(|entry| entry.file_name());
        Ok(names.filter(|name| name.to_string_lossy().contains("memfd")).count())
    };
    let before = names()?;
    kill_runs(runs, |_| {
        // SAFETY: only this child has it.
        use_spsc(&unsafe { spsc::BytesQueue::create_memfd_with(&CreateOptions::new().ring_bytes(4096)) }?)
    })?;
    ensure!(names()? == before, "a memfd has a name");
    Ok(())
}

/// Handles that remove the queue with the last of them, in several processes.
fn owners() -> Outcome {
    let place = TestDir::new()?;
    let path = place.path();
    // SAFETY: as above.
    let open = |options: &CreateOptions| unsafe { spsc::BytesQueue::open_or_create_with(&path, options) };
    let words = Words::new(1);
    let wait_for =
        |what: u64| super::both::wait_for(|| words[0].load(std::sync::atomic::Ordering::SeqCst) == what);
    let owner = || {
        Child::fork(|| {
            let _queue = open(&options())?;
            words[0].store(1, std::sync::atomic::Ordering::SeqCst);
            loop {
                std::thread::sleep(SPREAD);
            }
        })
    };

    // Another owner is alive: the queue stays. That owner is killed: the next one removes the
    // queue.
    let other = owner();
    wait_for(1)?;
    drop(open(&options())?);
    ensure!(path.exists() && ringway::is_in_use(&path)?, "somebody else still owns it");
    ensure!(!ringway::unlink_if_unused(&path)?, "somebody else still owns it");
    other.kill()?;
    drop(open(&options())?);
    ensure!(!path.exists(), "nobody owns it any more");

    // A producer is alive that owns nothing.
    let plain = open(&CreateOptions::new())?;
    let producer = plain.producer()?;
    drop(open(&options())?);
    ensure!(path.exists(), "somebody takes part");
    drop((producer, plain));
    // The handle is gone before its producer: this is the last of both.
    let queue = open(&options())?;
    let producer = queue.producer()?;
    drop(queue);
    ensure!(path.exists(), "its own producer takes part");
    drop(producer);
    ensure!(!path.exists(), "nobody takes part");

    // A forked child owns nothing, and drops nothing.
    let queue = open(&options())?;
    let inherited = queue.clone();
    Child::fork(|| {
        drop((queue.clone(), inherited));
        Ok(())
    })
    .join()?;
    ensure!(path.exists(), "a child removed its parent's queue");
    drop(queue);
    is_empty(place.directory())
}

fn is_empty(directory: &Path) -> Outcome {
    let left = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}
