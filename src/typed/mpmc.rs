//! What only MPMC queues have, for typed ones.

use super::{Frame, Message, Queue};
use crate::error::{OpenError, RecoverError};
use crate::queue::{DeadLetter, Mpmc, Recovery, Stats};

impl<T: Message> Queue<T, Mpmc> {
    /// Looks for dead participants and gives back what they have left, now: see
    /// [`BytesQueue::recover`](crate::BytesQueue::recover).
    ///
    /// # Errors
    /// As there.
    pub fn recover(&self) -> Result<Recovery, RecoverError> {
        self.bytes().recover()
    }

    /// What has happened since the queue was created, and who takes part.
    pub fn stats(&self) -> Stats {
        self.bytes().stats()
    }

    /// The queue that holds this one's dead letters: see
    /// [`BytesQueue::dead_letters`](crate::BytesQueue::dead_letters).
    ///
    /// # Errors
    /// As there.
    pub fn dead_letters(&self) -> Result<Self, OpenError> {
        self.bytes().dead_letters().map(Self::from_bytes)
    }
}

impl<T: Message> Frame<'_, T, Mpmc> {
    /// What the message says of itself as a dead letter, in a dead-letter queue; else none.
    pub fn dead_letter(&self) -> Option<DeadLetter> {
        self.bytes().dead_letter()
    }
}
