//! Where a queue's participants sleep, and what they are told when one comes or goes.

use std::ops::Deref;

use super::shared::Shared;
use crate::park::{EventCount, barrier};
use crate::shm::fork::ForkGuard;

/// A queue's eventcounts.
#[derive(Clone)]
pub(crate) struct QueueEvents {
    /// For messages: consumers sleep here.
    pub(crate) messages: EventCount,
    /// For room: producers do.
    pub(crate) room: EventCount,
}

impl QueueEvents {
    /// Makes this process known to those who sleep; before its first change to the queue.
    pub(super) fn take_part(&self) {
        if !barrier::register() {
            self.messages.need_fence();
            self.room.need_fence();
        }
    }

    /// Wakes whoever is asleep or about to be, whatever the words say.
    pub(crate) fn force_notify_all(&self) {
        self.messages.force_notify_all();
        self.room.force_notify_all();
    }

    /// Wakes whoever sleeps: much may have changed.
    pub(crate) fn notify_all(&self) {
        self.messages.notify_all();
        self.room.notify_all();
    }
}

/// A participant's eventcounts. Dropped behind its liveness lock, they wake whoever sleeps: it may have held what others want, or been
/// the last of its role.
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
