//! Frames that are written in place before they exist: one, or several at once.
#![allow(unsafe_code, reason = "lends payload bytes that are granted to this producer")]

use std::ops::{Deref, DerefMut};

use super::kind::{Kind, Sender, StagedOf};
use super::producer::BytesProducer;
use crate::error::SendError;
use crate::lane::Reserved;
use crate::prefetch;
use crate::wait::Until;

/// A reserved frame: bytes in the file that only this producer may touch until it is committed.
pub struct ReservedFrame<'p, K: Kind> {
    producer: &'p mut BytesProducer<K>,
    reserved: Reserved,
    len: usize,
    /// How long to wait: what is left of it when the frame was reserved is for committing it.
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

    /// Makes the frame visible to the consumer.
    ///
    /// # Errors
    /// [`SendError::Forked`] in a forked child of the process that claimed it. On every error the frame is given up.
    /// Kinds that need more than room for a frame may lack it: then as the call that made the claim, which says whether
    /// this waits, and until when.
    #[inline(always)]
    pub fn commit(self) -> Result<(), SendError> {
        self.producer.check_process()?;
        self.producer.commit_until(self.reserved, self.len, self.until)
    }

    /// Gives the frame up: it never existed. The same as dropping it.
    pub fn abort(self) {}

    /// Makes only the first `len` bytes the message. Does nothing if it is no longer than that, or if the queue
    /// holds messages of one size.
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
        // SAFETY: the sender granted these `len` mapped bytes, by the contract of `Sender`; until `commit`, which consumes
        // the claim, nobody else accesses them, and `self` is borrowed meanwhile.
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

/// Frames that are committed together: after a crash all of them exist, or none (MPMC: the first few). Dropping the batch gives all of
/// them up.
pub struct BytesBatch<'p, K: Kind> {
    producer: &'p mut BytesProducer<K>,
    staged: StagedOf<K>,
    /// The frame that was claimed last; it is staged when the next one is claimed.
    open: Option<(Reserved, usize)>,
}

impl<'p, K: Kind> BytesBatch<'p, K> {
    #[inline(always)]
    pub(super) fn new(producer: &'p mut BytesProducer<K>, staged: StagedOf<K>) -> Self {
        Self { producer, staged, open: None }
    }

    /// Adds a frame of `len` bytes, to be written before the next call.
    ///
    /// # Errors
    /// As [`BytesProducer::try_reserve`]. What is in the batch already stays; on `Full`, commit it and begin another.
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
        // SAFETY: the sender granted these `len` mapped bytes, by the contract of `Sender`; nobody else accesses them until
        // `commit`, which consumes the batch, and the batch is exclusively borrowed as long as the slice lives.
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

    /// How many frames are in the batch.
    #[inline]
    pub fn len(&self) -> usize {
        K::Sender::count(&self.staged) + usize::from(self.open.is_some())
    }

    /// Whether nothing is in the batch.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes all frames visible to the consumer, at once. Returns how many.
    ///
    /// # Errors
    /// [`SendError::Forked`] in a forked child of the process that began the batch; `Full` if the kind of the queue needs
    /// more than room for the frames, and lacks it. On every error all of them are given up.
    #[inline(always)]
    pub fn commit(self) -> Result<usize, SendError> {
        self.publish(true)
    }

    /// Commits all frames, or as many as can be if it need not be the whole.
    #[inline(always)]
    pub(super) fn publish(mut self, whole: bool) -> Result<usize, SendError> {
        self.producer.check_process()?;
        self.close_frame();
        self.producer.publish(self.staged, whole)
    }
}
