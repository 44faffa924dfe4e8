//! The eventcounts on which a queue's participants park, and the notifications when one attaches or
//! detaches.

use std::ops::Deref;

use super::file::shared::Shared;
use crate::park::{EventCount, barrier};
use crate::shm::fork::ForkGuard;

/// A queue's eventcounts.
#[derive(Clone)]
pub(crate) struct QueueEvents {
    /// For messages: consumers park here.
    pub(crate) messages: EventCount,
    /// For room: producers park here.
    pub(crate) room: EventCount,
}

impl QueueEvents {
    /// Makes this process known to sleeping participants; before its first change to the queue.
    pub(super) fn take_part(&self) {
        if !barrier::register() {
            self.messages.need_fence();
            self.room.need_fence();
        }
    }

    /// Wakes every participant that sleeps or is about to, whatever the words say.
    pub(crate) fn force_notify_all(&self) {
        self.messages.force_notify_all();
        self.room.force_notify_all();
    }

    /// Wakes every participant that sleeps: much may have changed.
    pub(crate) fn notify_all(&self) {
        self.messages.notify_all();
        self.room.notify_all();
    }
}

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
