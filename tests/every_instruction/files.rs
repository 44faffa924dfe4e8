//! Processes are killed while they create, open and unlink queues.

use std::time::Duration;

use ringway::spsc::BytesQueue;
use ringway::{CreateOptions, OpenError};

use super::attempts::{Kill, Step, at_events};
use super::tracer::Gate;
use crate::process::{Child, Kind, Outcome, Shape, Test, TestDir, ensure};

const KIND: Kind = Kind::new("variable", 1024, Shape::Same(40));

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("files: create", || at_events("create", create)),
        Test::new("files: open", || at_events("open", open)),
        Test::new("files: unlink", || at_events("unlink", unlink)),
    ]
}

fn options() -> CreateOptions {
    CreateOptions::new().ring_bytes(1024)
}

fn create(kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    let path = place.path();
    let body = |gate: &Gate| {
        let options = options();
        gate.enter()?;
        // SAFETY: only this test and its children know the file.
        let _queue = unsafe { BytesQueue::create_with(&path, &options) }?;
        gate.leave()
    };
    let is_complete = kill(Step { file: &place.path(), body: Box::new(body) })?;
    let is_there = check(&place)?;
    ensure!(is_there || !is_complete, "it was created, and is not there");
    anybody_can_begin(&place)
}

fn open(kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    drop(KIND.create(&place)?);
    let body = |gate: &Gate| {
        let path = place.path();
        gate.enter()?;
        // SAFETY: only this test and its children know the file.
        let _queue = unsafe { BytesQueue::open(&path) }?;
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    ensure!(check(&place)?, "opening it took it away");
    anybody_can_begin(&place)
}

fn unlink(kill: Kill<'_>) -> Outcome {
    let place = TestDir::new()?;
    drop(KIND.create(&place)?);
    let body = |gate: &Gate| {
        let path = place.path();
        gate.enter()?;
        ringway::unlink(&path)?;
        gate.leave()
    };
    let is_complete = kill(Step { file: &place.path(), body: Box::new(body) })?;
    let is_there = check(&place)?;
    ensure!(!is_there || !is_complete, "it was unlinked, and is there");
    anybody_can_begin(&place)
}

/// Whether a whole queue is there. A part of one must never be, nor any other file.
fn check(place: &TestDir) -> Outcome<bool> {
    for entry in std::fs::read_dir(place.directory())? {
        let entry = entry?;
        ensure!(entry.path() == place.path(), "{:?} is left", entry.file_name());
    }
    // SAFETY: only this test and its children know the file.
    match unsafe { BytesQueue::open(place.path()) } {
        Ok(queue) => KIND.is_whole(&queue).map(|()| true),
        Err(OpenError::NotFound { .. } | OpenError::Unlinked { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whatever was left, `open_or_create` finds or creates a queue immediately.
fn anybody_can_begin(place: &TestDir) -> Outcome {
    let path = place.path();
    Child::fork(|| {
        // SAFETY: only this test and its children know the file.
        let queue = unsafe { BytesQueue::open_or_create_with(&path, &options()) }?;
        KIND.is_whole(&queue)
    })
    .join_within(Duration::from_secs(5))
    .map_err(|error| format!("open_or_create: {error}"))?;
    // SAFETY: as above.
    drop(unsafe { BytesQueue::open(&path) }?);
    ringway::unlink(&path)?;
    ensure!(!path.exists(), "it was unlinked, and is there");
    Ok(())
}
