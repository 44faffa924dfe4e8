//! Receives archives from untrusted peers.
#![allow(unsafe_code, reason = "lends archives in copies that a guard holds")]

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use crate::error::RecvError;
use crate::queue::Kind;
use crate::queue::consumer_controls;
use crate::queue::untrusted::{BytesConsumer, BytesFrame, Limits};
use crate::typed::Message;
use crate::typed::frame::{access_within, invalid};

/// A consumer of a [`Queue`](super::Queue): messages are copied, then validated, and lent from the copy.
///
/// It may be sent to another thread, but not shared between threads.
///
/// ```
/// use std::time::{Duration, Instant};
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// use ringway::untrusted::spsc::Queue;
/// let queue = Queue::<u64>::create(&name)?;
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// for message in 1..=4 {
///     producer.send(&message)?;
/// }
/// let soon = Duration::from_millis(10);
/// assert_eq!(*consumer.recv()?, 1);
/// assert_eq!(*consumer.try_recv()?, 2);
/// assert_eq!(*consumer.recv_timeout(soon)?, 3);
/// assert_eq!(*consumer.recv_deadline(Instant::now() + soon)?, 4);
/// queue.close();
/// assert_eq!(consumer.iter().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumer<T, K: Kind> {
    bytes: BytesConsumer<K>,
    depth: NonZeroUsize,
    message: PhantomData<fn() -> T>,
}

impl<T: Message, K: Kind> Consumer<T, K> {
    pub(super) fn new(bytes: BytesConsumer<K>, limits: Limits) -> Self {
        Self { bytes, depth: limits.max_depth(), message: PhantomData }
    }

    /// Receives the next message if one is there now. Several frames may be held, and dropped in any order.
    ///
    /// # Errors
    /// [`RecvError::Empty`]; `Invalid` if it is not an archive of `T`, or too deep, and `TooLarge`
    /// (they are skipped); `Closed`; `Corrupted`.
    #[inline(always)]
    pub fn try_recv(&self) -> Result<Frame<'_, T, K>, RecvError> {
        self.validated(self.bytes.try_recv()?)
    }

    /// Receives the next message, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), but never `Empty`; `Interrupted` and `Cancelled` if those
    /// are enabled.
    #[inline(always)]
    pub fn recv(&self) -> Result<Frame<'_, T, K>, RecvError> {
        self.validated(self.bytes.recv()?)
    }

    /// Receives the next message, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Frame<'_, T, K>, RecvError> {
        self.validated(self.bytes.recv_timeout(timeout)?)
    }

    /// Receives the next message, waiting for it until `deadline`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Frame<'_, T, K>, RecvError> {
        self.validated(self.bytes.recv_deadline(deadline)?)
    }

    /// Iterates over all messages from now on, waiting for each, until the queue is closed. The
    /// iterator yields errors other than `Closed`, and they do not end it: a loop that continues
    /// after each error must expect that `Corrupted` may never end.
    pub fn iter(&self) -> impl Iterator<Item = Result<Frame<'_, T, K>, RecvError>> {
        self.bytes.iter().map(|frame| self.validated(frame?))
    }

    #[inline(always)]
    fn validated<'c>(&'c self, bytes: BytesFrame<'c, K>) -> Result<Frame<'c, T, K>, RecvError> {
        match access_within::<T>(&bytes, self.depth) {
            Ok(archived) => Ok(Frame { archived: NonNull::from(archived), bytes }),
            // Dropping the frame releases it.
            Err(reason) => Err(invalid(self.bytes.path(), &bytes, false, reason)),
        }
    }

    consumer_controls!();

    fn engine(&self) -> &crate::queue::BytesConsumer<K> {
        self.bytes.engine()
    }
}

impl<T, K: Kind> fmt::Debug for Consumer<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}

/// A received message: derefs to an archive in private memory. Dropping it releases the frame in the file.
///
/// If a panic drops the guard, the message is redelivered, with the contents that untrusted peers
/// may have given it by then.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// use ringway::untrusted::mpmc::Queue;
/// let queue = Queue::<u64>::create(&name)?;
/// queue.producer()?.send(&7)?;
/// let consumer = queue.consumer()?;
/// let frame = consumer.recv()?;
/// assert_eq!((*frame == 7, frame.as_bytes().len()), (true, 8));
/// frame.reject(); // it is delivered once more
/// assert_eq!(consumer.recv()?.redeliveries(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Frame<'c, T: Message, K: Kind> {
    /// Points into the copy that `bytes` holds.
    archived: NonNull<T::Archived>,
    bytes: BytesFrame<'c, K>,
}

impl<T: Message, K: Kind> Frame<'_, T, K> {
    /// The number of earlier deliveries of the message. It comes from the file, so an untrusted
    /// peer may have set it to any value.
    pub fn redeliveries(&self) -> u64 {
        self.bytes.redeliveries()
    }

    /// Rejects the message: it is redelivered.
    pub fn reject(self) {
        self.bytes.reject();
    }

    /// The whole archive, root at the end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T: Message, K: Kind> Deref for Frame<'_, T, K> {
    type Target = T::Archived;

    #[inline(always)]
    fn deref(&self) -> &T::Archived {
        // SAFETY: points to an archive that was validated, in heap memory that belongs to `self.bytes` and
        // that nothing writes to as long as that lives; moving the frame does not move it.
        unsafe { self.archived.as_ref() }
    }
}

impl<T: Message<Archived: fmt::Debug>, K: Kind> fmt::Debug for Frame<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
