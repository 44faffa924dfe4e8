//! Receiving from those whom nobody trusts.
#![allow(unsafe_code, reason = "copies payloads that others may be writing")]

use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Limits;
use super::buffer::{Copied, Pool};
use crate::error::RecvError;
use crate::lane::Corruption;
use crate::layout::POSITION_LIMIT;
use crate::park::Canceller;
use crate::queue::{self, Kind};
use crate::wait::WaitStrategy;

/// A consumer of a [`BytesQueue`](super::BytesQueue): each message is copied before anybody attempts at it.
///
/// It may be sent to another thread, but not shared between threads.
pub struct BytesConsumer<K: Kind> {
    inner: queue::BytesConsumer<K>,
    pool: Pool,
    limits: Limits,
    /// Further on than this nobody comes who keeps to the protocol, and from there on sums could overflow.
    last_position: u64,
}

impl<K: Kind> BytesConsumer<K> {
    pub(super) fn new(inner: queue::BytesConsumer<K>, limits: Limits) -> Self {
        // Messages that were begun before the limit end behind it, less than a ring.
        let last_position = POSITION_LIMIT + 4 * inner.place().1.geometry().ring_bytes();
        Self { inner, pool: Pool::default(), limits, last_position }
    }

    /// The next message, if one is there now. Several frames may be held, and dropped in any order.
    ///
    /// # Errors
    /// [`RecvError::Empty`]; `Closed` if nothing will come any more either; `TooLarge` (it is skipped); `Corrupted`.
    #[inline(always)]
    pub fn try_recv(&self) -> Result<BytesFrame<'_, K>, RecvError> {
        self.copied(queue::BytesConsumer::try_recv)
    }

    /// The next message, waiting for it as long as it takes. How it waits, [`set_wait_strategy`](Self::set_wait_strategy) says.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), but never `Empty`; `Interrupted` and `Cancelled` if that is asked for.
    #[inline(always)]
    pub fn recv(&self) -> Result<BytesFrame<'_, K>, RecvError> {
        self.copied(queue::BytesConsumer::recv)
    }

    /// The next message, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<BytesFrame<'_, K>, RecvError> {
        self.copied(|consumer| consumer.recv_timeout(timeout))
    }

    /// The next message, waiting for it until `deadline`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<BytesFrame<'_, K>, RecvError> {
        self.copied(|consumer| consumer.recv_deadline(deadline))
    }

    /// All messages from now on, waiting for each, until the queue is closed. Errors other than `Closed` are delivered and
    /// do not end it: whoever goes on after each should mind that `Corrupted` may never end.
    pub fn iter(&self) -> impl Iterator<Item = Result<BytesFrame<'_, K>, RecvError>> {
        std::iter::from_fn(|| match self.recv() {
            Err(RecvError::Closed) => None,
            result => Some(result),
        })
    }

    #[inline(always)]
    fn copied<'c>(
        &'c self,
        receive: impl FnOnce(&'c queue::BytesConsumer<K>) -> Result<queue::BytesFrame<'c, K>, RecvError>,
    ) -> Result<BytesFrame<'c, K>, RecvError> {
        // Looked at first, for one call goes on by little more than a ring.
        let (position, _) = self.inner.place();
        if position > self.last_position {
            return Err(self.came_too_far(position));
        }
        let held = receive(&self.inner)?;
        let (payload, len) = held.payload();
        if len > self.limits.max_bytes() {
            // Dropping it releases it.
            return Err(RecvError::TooLarge { len, limit: self.limits.max_bytes() });
        }
        // SAFETY: the engine took the place and length from its own memory, where it had checked them: the bytes are mapped
        // as long as the consumer lives. Consumers' mappings are made for reading, and `held` is the only guard, which
        // nobody ever attempts into, so that this process accesses them here only.
        let copy = unsafe { self.pool.copy(payload, len) };
        Ok(BytesFrame { copy, held })
    }

    #[cold]
    fn came_too_far(&self, position: u64) -> RecvError {
        let corruption = Corruption { word: "reader's position", position, found: position };
        RecvError::Corrupted(self.inner.place().1.corrupted(corruption))
    }

    /// How this consumer waits for messages.
    pub fn set_wait_strategy(&self, wait: WaitStrategy) {
        self.inner.set_wait_strategy(wait);
    }

    /// As of a [trusted](crate::BytesConsumer::set_interruptible) one.
    pub fn set_interruptible(&self, interruptible: bool) {
        self.inner.set_interruptible(interruptible);
    }

    /// As of a [trusted](crate::BytesConsumer::end_when_disconnected) one.
    pub fn end_when_disconnected(&self, ends: bool) {
        self.inner.end_when_disconnected(ends);
    }

    /// Ends this consumer's waits from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.inner.canceller()
    }

    /// As of a [trusted](crate::BytesConsumer::wait_for_producer) one.
    ///
    /// # Errors
    /// As there.
    pub fn wait_for_producer(&self, timeout: Duration) -> Result<(), RecvError> {
        self.inner.wait_for_producer(timeout)
    }

    /// Whether a live process says that it produces into this queue.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn has_producer(&self) -> std::io::Result<bool> {
        self.inner.has_producer()
    }

    pub(crate) fn path(&self) -> &Path {
        self.inner.place().1.path()
    }
}

impl<K: Kind> fmt::Debug for BytesConsumer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// A copy of a received message, which nobody else can change. Dropping it gives the message's room in the file back.
///
/// Dropped by a panic, the message comes again, as whatever others have made of it by then.
pub struct BytesFrame<'c, K: Kind> {
    copy: Copied<'c>,
    /// Never looked into: others may write there.
    held: queue::BytesFrame<'c, K>,
}

impl<K: Kind> BytesFrame<'_, K> {
    /// How often the message was delivered before, as far as others' words in the file can be believed.
    pub fn redeliveries(&self) -> u64 {
        self.held.redeliveries()
    }

    /// Puts the message back: it comes again.
    pub fn reject(self) {
        self.held.reject();
    }
}

impl<K: Kind> Deref for BytesFrame<'_, K> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        &self.copy
    }
}

impl<K: Kind> fmt::Debug for BytesFrame<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("untrusted::BytesFrame").field("len", &self.len()).finish_non_exhaustive()
    }
}
