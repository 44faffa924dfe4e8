//! Stores words into an MPMC queue's file as they are after a participant was killed between two of
//! its stores.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use ringway::Role;
use ringway::mpmc::BytesQueue;

use super::{Outcome, TestDir};

// The format: see `src/layout`.
const TAIL: u64 = 0x500;
const HEAD: u64 = 0x580;
const REGISTRY: u64 = 0x1000;
const ENTRY: u64 = 256;
const ENQ: u64 = 128;
const DEQ: u64 = 136;

fn get(place: &TestDir, at: u64) -> Outcome<u64> {
    let mut word = [0; 8];
    std::fs::File::open(place.path())?.read_exact_at(&mut word, at)?;
    Ok(u64::from_ne_bytes(word))
}

fn put(place: &TestDir, at: u64, word: u64) -> Outcome {
    let file = OpenOptions::new().write(true).open(place.path())?;
    Ok(file.write_all_at(&word.to_ne_bytes(), at)?)
}

/// The entry of the youngest participant of that role.
fn youngest(queue: &BytesQueue, role: Role) -> Outcome<u64> {
    let mut all = queue.stats().participants;
    all.retain(|one| one.role == role);
    Ok(all.iter().max_by_key(|one| one.since).ok_or("nobody has that role")?.entry as u64)
}

/// The youngest producer, which makes no calls any more, has claimed `count` positions and
/// committed none.
pub(crate) fn claim(place: &TestDir, queue: &BytesQueue, count: u64) -> Outcome {
    let entry = youngest(queue, Role::Producer)?;
    let tail = get(place, TAIL)?;
    put(place, REGISTRY + entry * ENTRY + ENQ, (tail >> 2) << 8 | count)?;
    put(place, TAIL, tail + (count << 2))
}

/// The youngest producer, which makes no calls any more, was about to claim `count` positions.
pub(crate) fn intend(place: &TestDir, queue: &BytesQueue, count: u64) -> Outcome {
    let entry = youngest(queue, Role::Producer)?;
    let tail = get(place, TAIL)?;
    put(place, REGISTRY + entry * ENTRY + ENQ, (tail >> 2) << 8 | count)
}

/// The youngest consumer, which makes no calls any more, has taken `count` positions and holds none
/// of them yet.
pub(crate) fn take(place: &TestDir, queue: &BytesQueue, count: u64) -> Outcome {
    let entry = youngest(queue, Role::Consumer)?;
    let head = get(place, HEAD)?;
    put(place, REGISTRY + entry * ENTRY + DEQ, (head >> 1) << 8 | count)?;
    put(place, HEAD, head + (count << 1))
}
