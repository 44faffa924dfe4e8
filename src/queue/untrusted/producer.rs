//! Sending where untrusted peers may write.
#![allow(unsafe_code, reason = "copies payloads to where others may be writing")]

use std::time::{Duration, Instant};

use super::Limits;
use crate::error::SendError;
use crate::lane::{Reserved, Room};
use crate::queue::copy::copy_in;
use crate::queue::producer_controls;
use crate::queue::{self, Kind, Schema, Sender};
use crate::wait::Until;

/// A producer of a [`BytesQueue`](super::BytesQueue): messages are copied in, and never read back
/// from the file.
///
/// ```
/// use std::time::{Duration, Instant};
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// use ringway::untrusted::spsc::BytesQueue;
/// let queue = BytesQueue::create(&name)?;
/// let mut producer = queue.producer()?;
/// let soon = Duration::from_millis(10);
/// producer.send(b"one")?;
/// producer.try_send(b"two")?;
/// producer.send_timeout(b"three", soon)?;
/// producer.send_deadline(b"four", Instant::now() + soon)?;
/// assert!(producer.max_message() <= queue.max_message());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesProducer<K: Kind> {
    inner: queue::BytesProducer<K>,
    limits: Limits,
}

impl<K: Kind> BytesProducer<K> {
    pub(super) fn new(inner: queue::BytesProducer<K>, limits: Limits) -> Self {
        Self { inner, limits }
    }

    /// Sends a copy of `message` if there is room now.
    ///
    /// # Errors
    /// [`SendError::Full`]; `TooLarge` or `WrongLength` if the message can never be sent; `Corrupted`.
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.send_until(message, None)
    }

    /// Sends a copy of `message`, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.send_until(message, Some(Until::Forever))
    }

    /// Sends a copy of `message`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), with `Timeout` instead of `Full`.
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<(), SendError> {
        self.send_until(message, Some(Until::after(timeout)))
    }

    /// Sends a copy of `message`, waiting for room until `deadline`.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), with `Timeout` instead of `Full`.
    pub fn send_deadline(&mut self, message: &[u8], deadline: Instant) -> Result<(), SendError> {
        self.send_until(message, Some(Until::Deadline(deadline)))
    }

    #[inline]
    fn send_until(&mut self, message: &[u8], until: Option<Until>) -> Result<(), SendError> {
        self.check(message.len())?;
        let reserved = self.reserve_until(message.len(), until)?;
        self.commit_until(reserved, message, until)
    }

    /// Checks whether a message of `len` bytes may begin.
    #[inline]
    pub(crate) fn check(&self, len: usize) -> Result<(), SendError> {
        self.inner.check()?;
        let max = self.max_message();
        if len > max { Err(SendError::TooLarge { len, max }) } else { Ok(()) }
    }

    /// The contiguous room for a message whose length is not known yet.
    #[inline]
    pub(crate) fn contiguous(&mut self) -> Room {
        self.inner.sender().contiguous()
    }

    #[inline]
    pub(crate) fn reserve_until(&mut self, len: usize, until: Option<Until>) -> Result<Reserved, SendError> {
        self.inner.reserve_until(len, until)
    }

    /// The address of a reserved message.
    #[inline]
    pub(crate) fn payload(&self, reserved: Reserved) -> *const u8 {
        self.inner.payload(reserved)
    }

    /// Copies a message to the room that was reserved for it, or for a longer one, and commits it.
    #[inline]
    pub(crate) fn commit_until(
        &mut self,
        reserved: Reserved,
        message: &[u8],
        until: Option<Until>,
    ) -> Result<(), SendError> {
        // SAFETY: the engine granted at least these bytes, by sums of its own, so they are mapped
        // for writing. The liveness lock makes this the only producer in this process that has the
        // mapping, and `&mut self` the only thread; commit words are atomics too.
        unsafe { copy_in(message, self.inner.payload(reserved)) };
        self.inner.commit_until(reserved, message.len(), until)
    }

    /// Whether messages of this queue may be nested to any depth.
    pub(crate) fn is_recursive(&self) -> bool {
        self.inner.is_recursive()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn schema(&self) -> &Schema {
        self.inner.schema()
    }

    /// Returns the bytes of the largest message that is sent here.
    pub fn max_message(&self) -> usize {
        self.inner.max_message().min(self.limits.max_bytes())
    }

    producer_controls!();

    pub(crate) fn engine(&self) -> &queue::BytesProducer<K> {
        &self.inner
    }
}

impl<K: Kind> std::fmt::Debug for BytesProducer<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}
