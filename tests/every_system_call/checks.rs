//! What must hold whichever call failed.

use std::fmt::Display;
use std::time::Duration;

use ringway::CreateOptions;
use ringway::mpmc;
use ringway::spsc::BytesQueue;

use crate::process::{Outcome, TestDir, ensure};

pub(crate) const SOON: Duration = Duration::from_secs(5);

pub(crate) fn spsc() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096)
}

pub(crate) fn many() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096).max_messages(8).max_participants(4)
}

/// What the process has open and mapped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    descriptors: usize,
    /// Parts of queue files.
    mappings: usize,
}

impl Holdings {
    pub(crate) fn now() -> Outcome<Self> {
        let descriptors = std::fs::read_dir("/proc/self/fd")?.count();
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let is_queue = |line: &&str| line.contains("/ringway-test-") || line.contains("memfd:ringway");
        Ok(Self { descriptors, mappings: maps.lines().filter(is_queue).count() })
    }

    /// Everything was released.
    pub(crate) fn all_given_back(self) -> Outcome {
        let now = Self::now()?;
        ensure!(now == self, "leaked: {self:?} before, {now:?} after");
        Ok(())
    }
}

/// An error says what failed, and on which queue.
pub(crate) fn explains(error: &dyn Display, name: &str) -> Outcome {
    let message = error.to_string();
    ensure!(message.contains(name), "the error does not name {name}: {message}");
    let (_, rest) = message.split_once(": ").ok_or_else(|| format!("no sentence: {message}"))?;
    // The name of the step and the system's error text, or a sentence with advice.
    let told = [" failed: ", "no room", "no permission", "no space", "was unlinked", "could not be taken"];
    ensure!(told.iter().any(|part| rest.contains(part)), "the error does not say what failed: {message}");
    Ok(())
}

/// Nothing is in the directory but the queue, if it is there.
pub(crate) fn only_the_queue(place: &TestDir) -> Outcome<bool> {
    for entry in std::fs::read_dir(place.directory())? {
        let entry = entry?;
        ensure!(entry.path() == place.path(), "{:?} is left", entry.file_name());
    }
    Ok(place.path().exists())
}

/// After any failure there is a whole queue or none, and after `open_or_create` it works.
pub(crate) fn spsc_works(place: &TestDir) -> Outcome {
    only_the_queue(place)?;
    // SAFETY: only this test and its children know the file.
    let queue = unsafe { BytesQueue::open_or_create_with(place.path(), &spsc()) }?;
    passes(&queue)?;
    ringway::unlink(place.path())?;
    ensure!(!only_the_queue(place)?, "it was unlinked, and is there");
    Ok(())
}

pub(crate) fn many_works(place: &TestDir) -> Outcome {
    only_the_queue(place)?;
    // SAFETY: as above.
    let queue = unsafe { mpmc::BytesQueue::open_or_create_with(place.path(), &many()) }?;
    many_passes(&queue)?;
    ensure!(queue.stats().participants.is_empty(), "somebody is left: {:?}", queue.stats().participants);
    ringway::unlink(place.path())?;
    ensure!(!only_the_queue(place)?, "it was unlinked, and is there");
    Ok(())
}

pub(crate) fn passes(queue: &BytesQueue) -> Outcome {
    let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    producer.send_timeout(b"after all", SOON)?;
    ensure!(*consumer.recv_timeout(SOON)? == *b"after all", "something else came");
    Ok(())
}

pub(crate) fn many_passes(queue: &mpmc::BytesQueue) -> Outcome {
    let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    producer.send_timeout(b"after all", SOON)?;
    ensure!(*consumer.recv_timeout(SOON)? == *b"after all", "something else came");
    Ok(())
}
