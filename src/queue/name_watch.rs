//! Noticing that a queue's name leads elsewhere by now, for participants that asked to be told.
//!
//! `rm`, a deployment script, or logind's RemoveIPC removes the file, and somebody makes another one of the same name; whoever
//! took part in the first one goes on in a file that no peer finds. Nothing epoch for that, so it is asked of the
//! filesystem, at most once in [`INTERVAL`]: by consumers where nothing is there to be taken, which is a cold path, and
//! by producers before each message. Those who did not ask pay nothing: a producer's first look is at its fork guard, and
//! one that asked has a guard that always attempts like a forked child's, so that it takes the cold path each time.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::shm::Warning;

/// Asking takes a microsecond or two.
const INTERVAL: Duration = Duration::from_millis(50);

/// A participant's wish to be told.
pub(super) struct NameWatch {
    is_on: bool,
    asked: Cell<Option<Instant>>,
}

impl NameWatch {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { is_on: shared.open_options().end_when_orphaned && !shared.is_memfd(), asked: Cell::new(None) }
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether the queue is found no more by its name, if that is to be known, and was not asked just now. What was orphaned
    /// once is asked of each time: it should not be forgotten for an interval.
    pub(super) fn is_orphaned(&self, shared: &Shared) -> bool {
        if !self.is_on {
            return false;
        }
        let now = Instant::now();
        if self.asked.get().is_some_and(|asked| now.duration_since(asked) < INTERVAL) {
            return false;
        }
        let is_orphaned = shared.is_orphaned().unwrap_or_else(|error| {
            shared.note(Warning::NameUnknown { reason: error.to_string() });
            false
        });
        self.asked.set((!is_orphaned).then_some(now));
        is_orphaned
    }
}
