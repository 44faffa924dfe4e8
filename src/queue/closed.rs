//! A closed queue that is found at the next start.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::kind::{Engine, Receiver};
use super::shared::Shared;
use crate::error::{AttachError, OpenError};
use crate::shm::Warning;
use crate::wait::WITH_DEAD_PEER_SCAN;

/// Whether a queue that was found makes room for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is in use: it is open, or messages are left in it, or it is not to be replaced.
    Kept,
    /// It is closed, and some process takes part in it: perhaps one that is just finding out the same.
    Busy,
    /// Its name is free, or another queue's.
    Free,
}

/// So often is a closed queue asked again that another process takes part in, and so long later each time: whoever starts at
/// the same time attaches for some microseconds, to see whether anything is left.
pub(super) const MAX_BUSY: u32 = 20;
pub(super) const WHILE_BUSY: Duration = Duration::from_millis(5);

impl Shared {
    /// Says that the queue is closed, if it is.
    pub(super) fn note_closed(&self) {
        if self.events().messages.is_closed() {
            self.note(Warning::Closed);
        }
    }

    /// Removes a closed queue in which nothing is left and nobody takes part, if that is asked for.
    pub(super) fn give_way<K: Engine>(self: &Arc<Self>) -> Result<Way, OpenError> {
        if !self.open_options().replace_closed || self.is_memfd() || !self.events().messages.is_closed() {
            return Ok(Way::Kept);
        }
        match K::attach_receiver(Arc::clone(self)) {
            Ok(receiver) if !is_spent(&receiver) => return Ok(Way::Kept),
            Ok(_) => {}
            Err(AttachError::RoleTaken { .. } | AttachError::TooManyParticipants { .. }) => {
                return Ok(Way::Busy);
            }
            // Another has just removed it.
            Err(AttachError::Unlinked { .. } | AttachError::Orphaned { .. }) => return Ok(Way::Free),
            // Whoever attaches to it is told.
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

/// Whether no message is left in a closed queue: also none that a dead consumer held, which attaching has requeued. Nothing can
/// come after that.
fn is_spent(receiver: &impl Receiver) -> bool {
    receiver.finish_close();
    matches!(receiver.can_take(WITH_DEAD_PEER_SCAN), Ok(false)) && receiver.is_drained()
}
