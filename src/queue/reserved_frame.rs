//! Frames that are written in place before they are committed: one, or several together.
#![allow(unsafe_code, reason = "lends payload bytes that are granted to this producer")]

use std::ops::{Deref, DerefMut};

use super::kind::{Kind, Sender, StagedOf};
use super::producer::BytesProducer;
use crate::error::SendError;
use crate::lane::Reserved;
use crate::prefetch;
use crate::wait::Until;

/// A reserved frame: bytes in the file that only this producer may access until the frame is
/// committed.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// let mut frame = producer.reserve(100)?;
/// frame[..5].copy_from_slice(b"hello");
/// frame.truncate(5);
/// frame.commit()?;
/// producer.reserve(100)?.abort(); // as dropping it does
/// assert_eq!(*consumer.recv()?, *b"hello");
/// assert!(consumer.try_recv().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReservedFrame<'p, K: Kind> {
    producer: &'p mut BytesProducer<K>,
    reserved: Reserved,
    len: usize,
    /// The time limit of the reservation; what is left of it limits the commit.
    until: Option<Until>,
}

impl<'p, K: Kind> ReservedFrame<'p, K> {
    #[inline(always)]
    pub(super) fn new(
        producer: &'p mut BytesProducer<K>,
        reserved: Reserved,
        len: usize,
        until: Option<Until>,
    ) -> Self {
        Self { producer, reserved, len, until }
    }

    /// Commits the frame: makes it visible to the consumer.
    ///
    /// # Errors
    /// [`SendError::Forked`] in a forked child of the process that reserved it. An MPMC commit also
    /// needs positions in the order; if they are missing, it waits or fails as the call that
    /// reserved the frame does, up to the same time limit. On every error the frame is given up.
    #[inline(always)]
    pub fn commit(self) -> Result<(), SendError> {
        self.producer.check_process()?;
        self.producer.commit_until(self.reserved, self.len, self.until)
    }

    /// Gives the frame up, as if it had never existed. The same as dropping it.
    pub fn abort(self) {}

    /// Shortens the message to its first `len` bytes. Does nothing if it is no longer than that, or
    /// if the queue holds fixed-size messages.
    pub fn truncate(&mut self, len: usize) {
        if !self.producer.is_fixed() {
            self.len = self.len.min(len);
        }
    }
}

impl<K: Kind> Deref for ReservedFrame<'_, K> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: the sender granted these `len` mapped bytes, by the contract of `Sender`; until
        // `commit`, which consumes the reserved frame, no other code accesses them, and `self` is
        // borrowed meanwhile.
        unsafe { std::slice::from_raw_parts(self.producer.payload(self.reserved), self.len) }
    }
}

impl<K: Kind> DerefMut for ReservedFrame<'_, K> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.producer.payload(self.reserved), self.len) }
    }
}

/// Frames that are committed together: after a crash all of them exist, or none (MPMC: the first
/// few). Dropping the batch gives all of them up.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// let mut batch = producer.batch()?;
/// assert!(batch.is_empty());
/// batch.try_reserve(5)?.copy_from_slice(b"hello");
/// batch.try_reserve(5)?.copy_from_slice(b"world");
/// assert_eq!(batch.len(), 2);
/// assert_eq!(batch.commit()?, 2);
/// assert_eq!(*consumer.recv()?, *b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesBatch<'p, K: Kind> {
    producer: &'p mut BytesProducer<K>,
    staged: StagedOf<K>,
    /// The frame that was reserved last; it is staged when the next one is reserved.
    open: Option<(Reserved, usize)>,
}

impl<'p, K: Kind> BytesBatch<'p, K> {
    #[inline(always)]
    pub(super) fn new(producer: &'p mut BytesProducer<K>, staged: StagedOf<K>) -> Self {
        Self { producer, staged, open: None }
    }

    /// Reserves a frame of `len` bytes in the batch; it has to be written before the next call.
    ///
    /// # Errors
    /// As [`BytesProducer::try_reserve`]. Frames that are already in the batch stay there; on
    /// `Full`, commit it and begin another.
    #[inline(always)]
    pub fn try_reserve(&mut self, len: usize) -> Result<&mut [u8], SendError> {
        self.producer.check_process()?;
        self.close_frame();
        let reserved = match self.producer.sender().reserve_after(&self.staged, len) {
            Ok(reserved) => reserved,
            Err(refusal) => return Err(self.producer.refused(refusal, len)),
        };
        self.open = Some((reserved, len));
        let payload = self.producer.payload(reserved);
        // SAFETY: the sender granted these `len` mapped bytes, by the contract of `Sender`; no
        // other code accesses them until `commit`, which consumes the batch, and the batch is
        // exclusively borrowed as long as the slice lives.
        Ok(unsafe { std::slice::from_raw_parts_mut(payload, len) })
    }

    /// Adds a copy of `message`.
    #[inline(always)]
    pub(super) fn push(&mut self, message: &[u8]) -> Result<(), SendError> {
        prefetch::copy(message, self.try_reserve(message.len())?);
        Ok(())
    }

    #[inline(always)]
    fn close_frame(&mut self) {
        if let Some((reserved, len)) = self.open.take() {
            self.producer.sender().stage(&mut self.staged, reserved, len);
        }
    }

    /// Returns the number of frames in the batch.
    #[inline]
    pub fn len(&self) -> usize {
        K::Sender::count(&self.staged) + usize::from(self.open.is_some())
    }

    /// Returns whether the batch is empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Commits all frames together: makes them visible to the consumer. Returns how many.
    ///
    /// # Errors
    /// [`SendError::Forked`] in a forked child of the process that began the batch; `Full` if the
    /// kind of the queue needs more than room for the frames, and lacks it. On every error all of
    /// them are given up.
    #[inline(always)]
    pub fn commit(self) -> Result<usize, SendError> {
        self.publish(true)
    }

    /// Commits all frames, or, if not `whole`, as many as possible.
    #[inline(always)]
    pub(super) fn publish(mut self, whole: bool) -> Result<usize, SendError> {
        self.producer.check_process()?;
        self.close_frame();
        self.producer.publish(self.staged, whole)
    }
}
