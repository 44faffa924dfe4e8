//! The state of an MPMC queue file in words, for finding out why a test failed.

use std::fmt::Write;
use std::path::Path;

use ringway::mpmc::BytesQueue;

// The format: see `src/layout`.
const TAIL: usize = 0x500;
const HEAD: usize = 0x580;
const REGISTRY: usize = 0x1000;
const ENTRY: usize = 256;
const SLOT: usize = 16;
/// A longer text would not be read.
const MAX_SLOTS: usize = 64;

/// The residue of every participant in the file, and which of them live.
pub(crate) fn dump(path: &Path, slots: usize, participants: usize) -> String {
    let Ok(file) = std::fs::read(path) else { return "the file cannot be read".into() };
    let word = |at: usize| u64::from_ne_bytes(file[at..at + 8].try_into().expect("eight bytes"));
    let mut text = format!("tail {}, head {}\n", word(TAIL) >> 2, word(HEAD) >> 1);
    // SAFETY: only the tests that use this know the file.
    let alive: Vec<usize> = match unsafe { BytesQueue::open(path) } {
        Ok(queue) => queue.stats().participants.iter().filter(|one| one.alive).map(|one| one.entry).collect(),
        Err(error) => return format!("{text}{error}"),
    };
    for entry in 0..participants {
        let at = REGISTRY + entry * ENTRY;
        let state = word(at);
        if state == 0 {
            continue;
        }
        let intent = |word: u64| (word >> 8, word & 0xff);
        let _ = writeln!(
            text,
            "entry {entry}: {} {}, owner {}, pid {}, enq {:?}, deq {:?}{}",
            if state & 1 == 0 { "clean" } else { "dirty" },
            if state & 2 == 0 { "producer" } else { "consumer" },
            state >> 2,
            word(at + 8),
            intent(word(at + 128)),
            intent(word(at + 136)),
            if alive.contains(&entry) { ", alive" } else { "" },
        );
    }
    let first = (REGISTRY + participants * ENTRY).next_multiple_of(4096);
    for slot in 0..slots.min(MAX_SLOTS) {
        let at = first + slot * SLOT;
        let state = word(at);
        let kind = ["FREE", "FULL", "HELD", "REDELIVER"][(state & 3) as usize];
        let position = (state >> 18) * slots as u64 + slot as u64;
        let _ = writeln!(
            text,
            "slot {slot}: {kind} position {position} owner {} redeliveries {}, lane {} offset {} len {}",
            state >> 6 & 0xfff,
            state >> 2 & 0xf,
            word(at + 8) >> 52,
            (word(at + 8) >> 27 & 0x1ff_ffff) * 8,
            word(at + 8) & 0x7ff_ffff,
        );
    }
    text
}
