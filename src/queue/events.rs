//! The eventcounts of a participant, and the notifications when one attaches or detaches.

use std::ops::Deref;

pub(crate) use super::file::events::QueueEvents;
use super::file::shared::Shared;
use crate::shm::fork::ForkGuard;

/// A participant's eventcounts. Dropped after its liveness lock, they wake every participant that
/// sleeps: the one that detaches may have held what others want, or have been the last of its role.
pub(super) struct ParticipantEvents {
    events: QueueEvents,
    guard: ForkGuard,
}

impl ParticipantEvents {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { events: shared.events().clone(), guard: shared.guard() }
    }
}

impl Deref for ParticipantEvents {
    type Target = QueueEvents;

    #[inline(always)]
    fn deref(&self) -> &QueueEvents {
        &self.events
    }
}

impl Drop for ParticipantEvents {
    fn drop(&mut self) {
        if self.guard.is_intact() {
            self.events.notify_all();
        }
    }
}
