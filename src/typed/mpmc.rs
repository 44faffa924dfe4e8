//! The methods that only MPMC queues have, for typed ones.

use super::{Frame, Message, Queue};
use crate::error::{OpenError, RecoverError};
use crate::queue::{DeadLetter, Mpmc, MpmcKind, Recovery, Stats};

impl<T: Message, K: MpmcKind> Queue<T, K> {
    /// Runs a recovery now: finds dead participants and removes their residue. See
    /// [`BytesQueue::recover`](crate::kind::BytesQueue::recover).
    ///
    /// # Errors
    /// Those of [`BytesQueue::recover`](crate::kind::BytesQueue::recover).
    pub fn recover(&self) -> Result<Recovery, RecoverError> {
        self.bytes().recover()
    }

    /// Counters since the queue was created, and the attached participants.
    pub fn stats(&self) -> Stats {
        self.bytes().stats()
    }
}

impl<T: Message> Queue<T, Mpmc> {
    /// Opens the queue that holds this one's dead letters: see
    /// [`BytesQueue::dead_letters`](crate::kind::BytesQueue::dead_letters).
    ///
    /// # Errors
    /// Those of [`BytesQueue::dead_letters`](crate::kind::BytesQueue::dead_letters).
    pub fn dead_letters(&self) -> Result<Self, OpenError> {
        self.bytes().dead_letters().map(Self::from_bytes)
    }
}

impl<T: Message> Frame<'_, T, Mpmc> {
    /// The origin of the message, in a dead-letter queue; otherwise `None`.
    pub fn dead_letter(&self) -> Option<DeadLetter> {
        self.bytes().dead_letter()
    }
}
