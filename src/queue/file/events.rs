//! The eventcounts on which a queue's participants park.

use crate::park::{EventCount, barrier};

/// A queue's eventcounts.
#[derive(Clone)]
pub(crate) struct QueueEvents {
    /// For messages: consumers park here.
    pub(crate) messages: EventCount,
    /// For room: producers park here.
    pub(crate) room: EventCount,
    /// For the end of all tasks: callers of `join` park here.
    pub(crate) tasks: EventCount,
}

impl QueueEvents {
    /// Makes this process known to sleeping participants; before its first change to the queue.
    pub(in crate::queue) fn take_part(&self) {
        if !barrier::register() {
            self.messages.need_fence();
            self.room.need_fence();
            self.tasks.need_fence();
        }
    }

    /// Wakes every participant that sleeps or is about to, whatever the words say.
    pub(crate) fn force_notify_all(&self) {
        self.messages.force_notify_all();
        self.room.force_notify_all();
        self.tasks.force_notify_all();
    }

    /// Wakes every participant that sleeps: much may have changed.
    pub(crate) fn notify_all(&self) {
        self.messages.notify_all();
        self.room.notify_all();
        self.tasks.notify_all();
    }
}
