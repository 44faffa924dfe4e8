//! Receiving from untrusted peers.
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
use crate::queue::consumer_controls;
use crate::queue::{self, Kind};

/// A consumer of a [`BytesQueue`](super::BytesQueue): each message is copied before user code sees
/// it.
///
/// It may be sent to another thread, but not shared between threads.
///
/// ```
/// use std::time::{Duration, Instant};
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// use ringway::untrusted::spsc::BytesQueue;
/// let queue = BytesQueue::create(&name)?;
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// for message in ["one", "two", "three", "four"] {
///     producer.send(message.as_bytes())?;
/// }
/// let soon = Duration::from_millis(10);
/// assert_eq!(&*consumer.recv()?, b"one");
/// assert_eq!(&*consumer.try_recv()?, b"two");
/// assert_eq!(&*consumer.recv_timeout(soon)?, b"three");
/// assert_eq!(&*consumer.recv_deadline(Instant::now() + soon)?, b"four");
/// queue.close();
/// assert_eq!(consumer.iter().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesConsumer<K: Kind> {
    inner: queue::BytesConsumer<K>,
    pool: Pool,
    limits: Limits,
    /// No participant that keeps to the protocol gets further than this position, and from there on
    /// sums could overflow.
    last_position: u64,
}

impl<K: Kind> BytesConsumer<K> {
    pub(super) fn new(inner: queue::BytesConsumer<K>, limits: Limits) -> Self {
        // Messages that were begun before the limit end after it, by less than a ring.
        let last_position = POSITION_LIMIT + 4 * inner.place().1.geometry().ring_bytes();
        Self { inner, pool: Pool::default(), limits, last_position }
    }

    /// Takes the next message, if one is there now. Several frames may be held, and dropped in any
    /// order.
    ///
    /// # Errors
    /// [`RecvError::Empty`]; `Closed` if no message will come any more either; `TooLarge` (the
    /// message is skipped); `Corrupted`.
    #[inline(always)]
    pub fn try_recv(&self) -> Result<BytesFrame<'_, K>, RecvError> {
        self.copied(queue::BytesConsumer::try_recv)
    }

    /// Takes the next message, waiting for it as long as it takes.
    /// [`set_wait_strategy`](Self::set_wait_strategy) sets how it waits.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), but never `Empty`; `Interrupted` and `Cancelled` if that
    /// was asked for.
    #[inline(always)]
    pub fn recv(&self) -> Result<BytesFrame<'_, K>, RecvError> {
        self.copied(queue::BytesConsumer::recv)
    }

    /// Takes the next message, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<BytesFrame<'_, K>, RecvError> {
        self.copied(|consumer| consumer.recv_timeout(timeout))
    }

    /// Takes the next message, waiting for it until `deadline`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<BytesFrame<'_, K>, RecvError> {
        self.copied(|consumer| consumer.recv_deadline(deadline))
    }

    /// Returns an iterator over all messages from now on. It waits for each, and ends when the
    /// queue is closed. Errors other than `Closed` are items and do not end it: a caller that
    /// continues after each error should mind that `Corrupted` may never end.
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
        // Checked first, since one call advances by little more than a ring.
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
        // SAFETY: the engine took the place and length from its own memory, where it had checked
        // them: the bytes are mapped as long as the consumer lives. Consumers' mappings are made
        // for reading, and `held` is the only guard, through which no code ever reads, so that this
        // process accesses them here only.
        let copy = unsafe { self.pool.copy(payload, len) };
        Ok(BytesFrame { copy, held })
    }

    #[cold]
    fn came_too_far(&self, position: u64) -> RecvError {
        let corruption = Corruption { word: "reader's position", position, found: position };
        RecvError::Corrupted(self.inner.place().1.corrupted(corruption))
    }

    consumer_controls!();

    pub(crate) fn engine(&self) -> &queue::BytesConsumer<K> {
        &self.inner
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

/// A copy of a received message, which no other process can change. Dropping it releases the
/// message's room in the file.
///
/// If a panic drops it, the message is redelivered, with the bytes that it has by then.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// use ringway::untrusted::mpmc::BytesQueue;
/// let queue = BytesQueue::create(&name)?;
/// queue.producer()?.send(b"job")?;
/// let consumer = queue.consumer()?;
/// consumer.recv()?.reject(); // it is delivered once more
/// assert_eq!(consumer.recv()?.redeliveries(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesFrame<'c, K: Kind> {
    copy: Copied<'c>,
    /// Never read through: other processes may write there.
    held: queue::BytesFrame<'c, K>,
}

impl<K: Kind> BytesFrame<'_, K> {
    /// Returns how many times the message was delivered before, according to words in the file that
    /// other processes can write.
    pub fn redeliveries(&self) -> u64 {
        self.held.redeliveries()
    }

    /// Rejects the message: it is redelivered.
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
