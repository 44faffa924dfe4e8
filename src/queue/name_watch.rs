//! Noticing that a queue is orphaned, for participants that asked for it.
//!
//! `rm`, a deployment script, or logind's RemoveIPC removes the file, and another one of the same
//! name is created; participants of the first one continue in a file that no peer finds. No
//! notification is sent for that, so the filesystem is asked, at most once in [`INTERVAL`]: by
//! consumers where nothing can be taken, which is a cold path, and by producers before each
//! message. Participants that did not ask for it pay nothing: a producer first checks its fork
//! guard, and one that asked for it has a guard that always reads as in a forked child, so that it
//! takes the cold path each time.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::file::shared::Shared;
use crate::shm::Warning;

/// The question takes a microsecond or two.
const INTERVAL: Duration = Duration::from_millis(50);

/// Whether a participant asked for it, and when the name was checked last.
pub(super) struct NameWatch {
    is_on: bool,
    asked: Cell<Option<Instant>>,
}

impl NameWatch {
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            is_on: shared.handle_options().end_when_orphaned && !shared.is_memfd(),
            asked: Cell::new(None),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether the queue is orphaned, if that was asked for and was not checked just now. Once a
    /// queue was found orphaned, each call checks again: the answer must not be lost for an
    /// interval.
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
