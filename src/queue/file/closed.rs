//! A closed queue that is found when a process starts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::error::{AttachError, OpenError};
use crate::queue::kind::{Engine, Receiver};
use crate::shm::Warning;
use crate::wait::Attempt;

/// Whether an existing queue makes room for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queue) enum Way {
    /// The queue is kept: it is open, or messages are left in it, or it is not to be replaced.
    Kept,
    /// It is closed, and some process is attached: perhaps one that is also checking whether it can
    /// be replaced.
    Busy,
    /// No file has its name, or another queue has it.
    Free,
}

/// How many times a closed queue to which another process is attached is checked again, and the
/// time between two checks: a process that starts at the same time attaches for some microseconds,
/// to see whether anything is left.
pub(in crate::queue) const MAX_BUSY: u32 = 20;
pub(in crate::queue) const WHILE_BUSY: Duration = Duration::from_millis(5);

impl Shared {
    /// Adds a warning if the queue is closed.
    pub(in crate::queue) fn note_closed(&self) {
        if self.events().messages.is_closed() {
            self.note(Warning::Closed);
        }
    }

    /// Removes a closed queue in which nothing is left and to which no process is attached, if that
    /// was asked for.
    pub(in crate::queue) fn give_way<K: Engine>(self: &Arc<Self>) -> Result<Way, OpenError> {
        if !self.handle_options().replace_closed || self.is_memfd() || !self.events().messages.is_closed() {
            return Ok(Way::Kept);
        }
        match K::attach_probe(Arc::clone(self)) {
            Ok(receiver) if !is_spent(&receiver) => return Ok(Way::Kept),
            Ok(_) => {}
            Err(
                AttachError::RoleTaken { .. }
                | AttachError::TooManyParticipants { .. }
                | AttachError::TooManyOfRole { .. },
            ) => {
                return Ok(Way::Busy);
            }
            // Another process has just removed it.
            Err(AttachError::Unlinked { .. } | AttachError::Orphaned { .. }) => return Ok(Way::Free),
            // The next participant that attaches gets this error.
            Err(_) => return Ok(Way::Kept),
        }
        let removed = self.remove_if_unused().map_err(|source: io::Error| OpenError::Io {
            path: self.path().to_path_buf(),
            step: "removing the closed queue",
            source,
        })?;
        Ok(if removed { Way::Free } else { Way::Busy })
    }
}

/// Whether no message is left in a closed queue, not even one that a dead consumer held, since
/// attaching has requeued those. No message can come after that.
fn is_spent(receiver: &impl Receiver) -> bool {
    receiver.finish_close();
    matches!(receiver.can_take(Attempt::WithDeadPeerScan), Ok(false)) && receiver.is_drained()
}
