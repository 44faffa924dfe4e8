//! Where a queue's participants sleep, and what they are told when one comes or goes.

use std::ops::Deref;

use super::shared::Shared;
use crate::park::{Bell, barrier};
use crate::shm::fork::ForkGuard;

/// A queue's bells.
#[derive(Clone)]
pub(crate) struct Bells {
    /// For messages: consumers sleep here.
    pub(crate) messages: Bell,
    /// For room: producers do.
    pub(crate) room: Bell,
}

impl Bells {
    /// Makes this process known to those who sleep; before its first change to the queue.
    pub(super) fn take_part(&self) {
        if !barrier::register() {
            self.messages.need_fence();
            self.room.need_fence();
        }
    }

    /// Wakes whoever is asleep or about to be, whatever the words say.
    pub(crate) fn wake_everybody(&self) {
        self.messages.ring_for_all();
        self.room.ring_for_all();
    }

    /// Wakes whoever sleeps: much may have changed.
    pub(crate) fn notify_everybody(&self) {
        self.messages.notify_all();
        self.room.notify_all();
    }
}

/// A participant's bells. Dropped behind its lease, they wake whoever sleeps: it may have held what others want, or been
/// the last of its role.
pub(super) struct Attached {
    bells: Bells,
    guard: ForkGuard,
}

impl Attached {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { bells: shared.bells().clone(), guard: shared.guard() }
    }
}

impl Deref for Attached {
    type Target = Bells;

    #[inline(always)]
    fn deref(&self) -> &Bells {
        &self.bells
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if self.guard.is_intact() {
            self.bells.notify_everybody();
        }
    }
}
