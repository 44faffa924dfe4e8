//! What the words for `task_done` and `join` say, read by a process that is not attached.

use std::mem::offset_of;

use super::source::Source;
use crate::error::{Corrupted, InspectError};
use crate::layout::order::Tail;
use crate::layout::{CURSORS_OFFSET, OrderCursors, Policy, RARE_OFFSET, Rare};

/// The words, read one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Tasks {
    pub(super) done: u64,
    skipped: u64,
    target: u64,
    position: u64,
    /// Read last: it is not lower than when the others were stored.
    tail: u64,
}

impl Tasks {
    pub(super) fn read(source: &Source) -> Result<Self, InspectError> {
        let rare = |offset| source.word((RARE_OFFSET + offset) as u64);
        let cursor = |offset| source.word((CURSORS_OFFSET + offset) as u64);
        Ok(Self {
            done: cursor(offset_of!(OrderCursors, done))?,
            skipped: rare(offset_of!(Rare, skipped))?,
            target: rare(offset_of!(Rare, skip_target))?,
            position: rare(offset_of!(Rare, skip_position))?,
            tail: Tail(cursor(offset_of!(OrderCursors, tail))?).position(),
        })
    }

    /// How many messages are not done; `None` if the queue does not count that, or the words
    /// contradict each other.
    pub(super) fn unfinished(self, policy: Policy) -> Option<u64> {
        let counts = !policy.at_most_once && policy.max_redeliveries == 0 && !policy.is_dead_letter_queue;
        let unfinished = self.tail.wrapping_sub(self.skipped).wrapping_sub(self.done);
        (counts && unfinished <= self.tail).then_some(unfinished)
    }

    /// The word that no participant could have stored, if there is one.
    fn invalid(self) -> Option<(&'static str, u64)> {
        // After a power loss the sum of `skipped` and `done` is right, and each of them may be
        // anything.
        if self.tail.wrapping_sub(self.skipped).wrapping_sub(self.done) > self.tail {
            return Some(("done", self.done));
        }
        let position = self.position.checked_sub(1)?;
        if position >= self.tail {
            return Some(("position of a tombstone", self.position));
        }
        let is_next = self.target.wrapping_sub(self.skipped) <= 1;
        (!is_next).then_some(("number of a tombstone", self.target))
    }

    /// Finds words that are wrong twice: recovery may have changed them while they were read.
    pub(super) fn corruption(self, source: &Source) -> Result<Option<Corrupted>, InspectError> {
        let Some((word, found)) = self.invalid() else { return Ok(None) };
        let again = Self::read(source)?;
        let is_unchanged = Self { tail: self.tail, ..again } == self && again.invalid().is_some();
        Ok(is_unchanged.then(|| source.corrupted(word, self.tail, found)))
    }
}
