//! The consumer of a typed queue.
#![allow(unsafe_code, reason = "unchecked reading is an unsafe opt-in")]

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::{Frame, Frames, Message};
use crate::error::RecvError;
use crate::queue::consumer_controls;
use crate::queue::{BytesConsumer, Kind};

/// The consumer of a [`Queue`](super::Queue). Messages are validated, then lent from the file.
/// Dropping it frees the role for another consumer.
///
/// It may be sent to another thread, but not shared between threads.
///
/// ```
/// use std::time::{Duration, Instant};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::Queue::<String>::create(dir.path().join("q"))? };
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// producer.send_many(&["one", "two", "three", "four"].map(String::from))?;
/// assert!(consumer.len() > 0 && !consumer.is_empty() && consumer.room() > 0);
/// println!("attached at {}", consumer.attached_at());
///
/// let soon = Duration::from_millis(10);
/// assert_eq!(&*consumer.recv_deadline(Instant::now() + soon)?, "one");
/// assert_eq!(consumer.try_recv_many(1)?.len(), 1);
/// assert_eq!(consumer.recv_many(1)?.len(), 1);
/// assert_eq!(consumer.try_iter().count(), 1);
/// assert!(consumer.recv_many_timeout(10, soon).unwrap_err().is_timeout());
/// assert!(consumer.recv_many_deadline(10, Instant::now()).unwrap_err().is_timeout());
///
/// producer.send_many(&["five", "six", "seven"].map(String::from))?;
/// // SAFETY: only this program, with this type, sends to this queue.
/// assert_eq!(unsafe { consumer.recv_unchecked()? }.as_str(), "five");
/// // SAFETY: as above.
/// assert_eq!(unsafe { consumer.try_recv_unchecked()? }.as_str(), "six");
/// queue.close();
/// for message in consumer.iter() {
///     println!("{}", &*message?); // until the queue is closed
/// }
/// let shared = consumer.into_shared(); // its frames have no lifetime
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumer<T, K: Kind> {
    pub(super) bytes: BytesConsumer<K>,
    message: PhantomData<fn() -> T>,
}

impl<T: Message, K: Kind> Consumer<T, K> {
    pub(super) fn new(bytes: BytesConsumer<K>) -> Self {
        Self { bytes, message: PhantomData }
    }

    /// Receives the next message if one is there now. It is read in place and released when the
    /// frame is dropped; several frames may be held, and dropped in any order.
    ///
    /// # Errors
    /// [`RecvError::Empty`]; `Invalid` if a frame is not an archive of `T` (it is skipped).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::Queue::<(u32, bool)>::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// assert!(consumer.try_recv().unwrap_err().is_empty());
    /// producer.send(&(7, true))?;
    /// assert_eq!(consumer.try_recv()?.0, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_recv(&self) -> Result<Frame<'_, T, K>, RecvError> {
        Frame::checked(self.bytes.try_recv()?)
    }

    /// Receives the next message, waiting for it as long as it takes.
    ///
    /// [`set_wait_strategy`](Self::set_wait_strategy) sets how it waits. If producers may end
    /// without closing the queue, see [`end_when_disconnected`](Self::end_when_disconnected).
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), but never `Empty`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::Queue::<(u32, bool)>::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send(&(7, true))?;
    /// let frame = consumer.recv()?;
    /// assert!(frame.1);
    /// drop(frame); // its room is free again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn recv(&self) -> Result<Frame<'_, T, K>, RecvError> {
        Frame::checked(self.bytes.recv()?)
    }

    /// Receives the next message, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::Queue::<(u32, bool)>::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let soon = std::time::Duration::from_millis(10);
    /// assert!(consumer.recv_timeout(soon).unwrap_err().is_timeout());
    /// producer.send(&(7, true))?;
    /// assert_eq!(consumer.recv_timeout(soon)?.0, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Frame<'_, T, K>, RecvError> {
        Frame::checked(self.bytes.recv_timeout(timeout)?)
    }

    /// Receives the next message, waiting for it until `deadline`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Frame<'_, T, K>, RecvError> {
        Frame::checked(self.bytes.recv_deadline(deadline)?)
    }

    /// Iterates over all messages from now on, waiting for each, until the queue is closed. The
    /// iterator yields errors other than `Closed`, and they do not end it.
    pub fn iter(&self) -> impl Iterator<Item = Result<Frame<'_, T, K>, RecvError>> {
        self.bytes.iter().map(|frame| Frame::checked(frame?))
    }

    /// Iterates over the messages that are there now, without waiting: see [`BytesConsumer::try_iter`].
    pub fn try_iter(&self) -> impl Iterator<Item = Result<Frame<'_, T, K>, RecvError>> {
        self.bytes.try_iter().map(|frame| Frame::checked(frame?))
    }

    /// The backlog, in the units of [`BytesConsumer::len`].
    pub fn len(&self) -> u64 {
        self.bytes.len()
    }

    /// Whether no message waits for a consumer. An estimate, as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The room that producers have, in the units of [`BytesQueue::room`](crate::kind::BytesQueue::room).
    pub fn room(&self) -> u64 {
        self.bytes.room()
    }

    /// Receives the next message without validation, if one is there now.
    ///
    /// # Errors
    /// [`RecvError::Empty`].
    ///
    /// # Safety
    /// Every frame of the queue must be a valid archive of `T`, as [`Producer`](super::Producer) writes it.
    #[inline(always)]
    pub unsafe fn try_recv_unchecked(&self) -> Result<Frame<'_, T, K>, RecvError> {
        let bytes = self.bytes.try_recv()?;
        // SAFETY: the caller's promise is the same.
        unsafe { Frame::unchecked(bytes) }
    }

    /// Receives the next message without validation, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As [`try_recv_unchecked`](Self::try_recv_unchecked), but never `Empty`.
    ///
    /// # Safety
    /// As [`try_recv_unchecked`](Self::try_recv_unchecked).
    #[inline(always)]
    pub unsafe fn recv_unchecked(&self) -> Result<Frame<'_, T, K>, RecvError> {
        let bytes = self.bytes.recv()?;
        // SAFETY: the caller's promise is the same.
        unsafe { Frame::unchecked(bytes) }
    }

    /// Receives up to `max` messages that are there now, in one guard that releases them together.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is none, or if `max` is 0.
    #[inline(always)]
    pub fn try_recv_many(&self, max: usize) -> Result<Frames<'_, T, K>, RecvError> {
        self.bytes.try_recv_many(max).map(Frames::new)
    }

    /// Receives up to `max` messages, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// As [`try_recv_many`](Self::try_recv_many), but never `Empty`.
    ///
    /// # Panics
    /// If `max` is 0.
    #[inline(always)]
    pub fn recv_many(&self, max: usize) -> Result<Frames<'_, T, K>, RecvError> {
        self.bytes.recv_many(max).map(Frames::new)
    }

    /// Receives up to `max` messages, waiting for the first for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv_many`](Self::try_recv_many), with `Timeout` instead of `Empty`.
    ///
    /// # Panics
    /// If `max` is 0.
    pub fn recv_many_timeout(&self, max: usize, timeout: Duration) -> Result<Frames<'_, T, K>, RecvError> {
        self.bytes.recv_many_timeout(max, timeout).map(Frames::new)
    }

    /// Receives up to `max` messages, waiting for the first until `deadline`.
    ///
    /// # Errors
    /// As [`try_recv_many`](Self::try_recv_many), with `Timeout` instead of `Empty`.
    ///
    /// # Panics
    /// If `max` is 0.
    pub fn recv_many_deadline(&self, max: usize, deadline: Instant) -> Result<Frames<'_, T, K>, RecvError> {
        self.bytes.recv_many_deadline(max, deadline).map(Frames::new)
    }

    #[cfg(not(loom))]
    pub(crate) fn bytes(&self) -> &BytesConsumer<K> {
        &self.bytes
    }

    consumer_controls!();

    fn engine(&self) -> &BytesConsumer<K> {
        &self.bytes
    }
}

impl<T, K: Kind> std::fmt::Debug for Consumer<T, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bytes.fmt(f)
    }
}
