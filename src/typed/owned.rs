//! Typed messages that own their share of the consumer.
#![allow(unsafe_code, reason = "lends archives in frames that a guard holds")]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use super::frame::{MAX_DEPTH, access_within, invalid};
use super::{Consumer, Message};
use crate::error::RecvError;
use crate::queue::{BytesOwnedFrame, BytesSharedConsumer, Kind};

impl<T: Message, K: Kind> Consumer<T, K> {
    /// Makes this consumer one that threads may share, with frames that own their share of it: see
    /// [`BytesConsumer::into_shared`](crate::kind::BytesConsumer::into_shared).
    pub fn into_shared(self) -> SharedConsumer<T, K> {
        SharedConsumer { bytes: self.bytes.into_shared(), message: PhantomData }
    }
}

/// A [`Consumer`] that threads may share, and whose [frames](OwnedFrame) may be kept anywhere, and
/// dropped on any thread: see [`BytesSharedConsumer`].
///
/// ```
/// use ringway::spsc::Queue;
///
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// // SAFETY: every process that can write this file uses ringway.
/// let queue = unsafe { Queue::<String>::create(&name)? };
/// queue.producer()?.send(&"kept".to_owned())?;
///
/// let frame = queue.consumer()?.into_shared().recv()?;
/// drop(queue);
/// std::thread::spawn(move || assert_eq!(*frame, "kept")).join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// use std::time::{Duration, Instant};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::mpmc::Queue::<String>::create(dir.path().join("q"))? };
/// queue.producer()?.send_many(&["one", "two", "three"].map(String::from))?;
/// let consumer = queue.consumer()?.into_shared();
/// assert_eq!(&*consumer.try_recv()?, "one");
/// let soon = Duration::from_millis(10);
/// assert_eq!(&*consumer.recv_timeout(soon)?, "two");
/// assert_eq!(&*consumer.recv_deadline(Instant::now() + soon)?, "three");
/// assert_eq!(consumer.bytes().held()?, 0); // the same consumer, in bytes
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SharedConsumer<T, K: Kind> {
    bytes: BytesSharedConsumer<K>,
    message: PhantomData<fn() -> T>,
}

impl<T: Message, K: Kind> SharedConsumer<T, K> {
    /// Receives the next message, if one is there now.
    ///
    /// # Errors
    /// As [`Consumer::try_recv`].
    pub fn try_recv(&self) -> Result<OwnedFrame<T, K>, RecvError> {
        OwnedFrame::checked(self.bytes.try_recv()?, &self.bytes)
    }

    /// Receives the next message, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As [`Consumer::recv`].
    pub fn recv(&self) -> Result<OwnedFrame<T, K>, RecvError> {
        OwnedFrame::checked(self.bytes.recv()?, &self.bytes)
    }

    /// Receives the next message, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`Consumer::recv_timeout`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<OwnedFrame<T, K>, RecvError> {
        OwnedFrame::checked(self.bytes.recv_timeout(timeout)?, &self.bytes)
    }

    /// Receives the next message, waiting for it until `deadline`.
    ///
    /// # Errors
    /// As [`Consumer::recv_deadline`].
    pub fn recv_deadline(&self, deadline: Instant) -> Result<OwnedFrame<T, K>, RecvError> {
        OwnedFrame::checked(self.bytes.recv_deadline(deadline)?, &self.bytes)
    }

    /// The same consumer, for messages as bytes: settings, counts, several messages at once.
    pub fn bytes(&self) -> &BytesSharedConsumer<K> {
        &self.bytes
    }
}

impl<T, K: Kind> Clone for SharedConsumer<T, K> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), message: PhantomData }
    }
}

impl<T, K: Kind> fmt::Debug for SharedConsumer<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}

/// A received message that keeps its consumer attached and its file mapped: derefs to the archive in
/// the file. Dropping it releases the frame, on any thread: see [`BytesOwnedFrame`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::mpmc::Queue::<String>::create(dir.path().join("q"))? };
/// queue.producer()?.send(&"hello".to_string())?;
/// let consumer = queue.consumer()?.into_shared();
/// let frame = consumer.recv()?;
/// println!("message {}: {}, {} bytes", frame.position(), &*frame, frame.as_bytes().len());
/// frame.reject(); // it is delivered once more
/// assert_eq!(consumer.recv()?.redeliveries(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OwnedFrame<T: Message, K: Kind> {
    /// Points into the bytes that `bytes` guards.
    archived: NonNull<T::Archived>,
    bytes: BytesOwnedFrame<K>,
}

// SAFETY: `archived` is used only as a shared reference to a `T::Archived`, which may be sent if a
// `T::Archived` may be shared between threads; the archive is never dropped. The other field is
// `Send`.
unsafe impl<T: Message<Archived: Sync>, K: Kind> Send for OwnedFrame<T, K> {}
// SAFETY: as for `Send`: a shared frame lends a `&T::Archived` and a `&BytesOwnedFrame`.
unsafe impl<T: Message<Archived: Sync>, K: Kind> Sync for OwnedFrame<T, K> {}

impl<T: Message, K: Kind> OwnedFrame<T, K> {
    /// Validates the archive; an invalid one is skipped, or rejected where that leads to a dead
    /// letter.
    fn checked(bytes: BytesOwnedFrame<K>, consumer: &BytesSharedConsumer<K>) -> Result<Self, RecvError> {
        let reason = match access_within::<T>(&bytes, MAX_DEPTH) {
            Ok(archived) => return Ok(Self { archived: NonNull::from(archived), bytes }),
            Err(reason) => reason,
        };
        let is_kept = consumer.has_retry_limit()?;
        let error = invalid(consumer.path(), &bytes, is_kept, reason);
        if is_kept {
            bytes.reject();
        }
        Err(error)
    }

    /// Returns how many times the message was delivered before: see
    /// [`BytesFrame::redeliveries`](crate::kind::BytesFrame::redeliveries).
    pub fn redeliveries(&self) -> u64 {
        self.bytes.redeliveries()
    }

    /// Returns the position of the message in the queue's order: see
    /// [`BytesFrame::position`](crate::kind::BytesFrame::position).
    pub fn position(&self) -> u64 {
        self.bytes.position()
    }

    /// Rejects the message: it is redelivered before any new one, with one redelivery more.
    pub fn reject(self) {
        self.bytes.reject();
    }

    /// The whole archive, root at the end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T: Message, K: Kind> Deref for OwnedFrame<T, K> {
    type Target = T::Archived;

    #[inline]
    fn deref(&self) -> &T::Archived {
        // SAFETY: points to an archive that was validated, in bytes that nothing writes to while
        // `self.bytes` lives.
        unsafe { self.archived.as_ref() }
    }
}

impl<T: Message<Archived: fmt::Debug>, K: Kind> fmt::Debug for OwnedFrame<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
