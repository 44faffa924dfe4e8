//! What a process notes about itself, for its parent to read after its death.

use std::sync::atomic::Ordering;

use crate::process::{MessageLog, Words};

const READY: usize = 0;
const EVENTS: usize = 1;
const TAKING: usize = 2;
const LATE: usize = 3;
const NO_PLACE: usize = 4;
const HELD: usize = 5;
/// More than a consumer ever holds.
const MAX_HELD: usize = 512;

/// One process's notes.
pub(crate) struct SelfReport(Words);

impl SelfReport {
    pub(crate) fn new() -> Self {
        Self(Words::new(HELD + MAX_HELD))
    }

    fn get(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::SeqCst)
    }

    fn set(&self, index: usize, value: u64) {
        self.0[index].store(value, Ordering::SeqCst);
    }

    fn add(&self, index: usize) {
        self.0[index].fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn set_ready(&self) {
        self.set(READY, 1);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.get(READY) != 0
    }

    /// It has made progress.
    pub(crate) fn progress(&self) {
        self.add(EVENTS);
    }

    pub(crate) fn events(&self) -> u64 {
        self.get(EVENTS)
    }

    /// All registry entries were taken.
    pub(crate) fn found_no_place(&self) {
        self.add(NO_PLACE);
    }

    /// A message was first delivered after a later message of its sender.
    pub(crate) fn came_late(&self) {
        self.add(LATE);
    }

    /// It may get up to `most` messages, and has not noted which yet.
    pub(crate) fn taking(&self, most: u64) {
        self.set(TAKING, most);
    }

    /// It holds this message. Returns where that is noted.
    pub(crate) fn holds(&self, number: u64) -> usize {
        let free = (HELD..HELD + MAX_HELD).find(|index| self.get(*index) == 0).expect("few are held");
        self.set(free, number + 1);
        free
    }

    /// It does not hold that message any more.
    pub(crate) fn let_go(&self, noted: usize) {
        self.set(noted, 0);
    }

    /// Its process has ended, or been killed: reports the consequences to the message_log, and is
    /// ready for the next process.
    pub(crate) fn clear(&self, message_log: &MessageLog, was_killed: bool) -> Left {
        let left = Left {
            taking: if was_killed { self.get(TAKING) } else { 0 },
            late: self.get(LATE),
            no_place: self.get(NO_PLACE),
            held: (HELD..HELD + MAX_HELD).filter(|index| self.get(*index) != 0).count() as u64,
        };
        for index in HELD..HELD + MAX_HELD {
            if let Some(number) = self.get(index).checked_sub(1) {
                message_log.death(number);
            }
        }
        (0..HELD + MAX_HELD).for_each(|index| self.set(index, 0));
        left
    }
}

/// What processes that are gone have left, summed up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    /// Messages that they may have got without a note.
    pub(crate) taking: u64,
    /// Messages that reached them late.
    pub(crate) late: u64,
    /// How many times they found no free entry.
    pub(crate) no_place: u64,
    /// Messages that they still held, according to their notes.
    pub(crate) held: u64,
}

impl std::ops::AddAssign for Left {
    fn add_assign(&mut self, other: Self) {
        self.taking += other.taking;
        self.late += other.late;
        self.no_place += other.no_place;
        self.held += other.held;
    }
}
