//! The sending side, in bytes.
#![allow(unsafe_code, reason = "lends payload bytes that the lane protocol grants to this producer")]

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::shared::Attached;
use crate::error::{AttachError, Role, SendError};
use crate::lane::{Refusal, Slot, Staged, Writer};
use crate::layout::Framing;
use crate::shm::Lease;
use crate::shm::fork::ForkGuard;
use crate::wait::{self, Until};

/// Spin hints between two looks at a full queue: the consumer gives room back in larger pieces anyway.
const FULL_PAUSE: u32 = 16;

/// The producer of a [`BytesQueue`](super::BytesQueue). Dropping it makes room for another producer; what was sent
/// stays.
pub struct BytesProducer {
    writer: Writer,
    guard: ForkGuard,
    shared: Arc<Shared>,
    /// Last, so that everything above is gone when a successor may attach.
    _lease: Lease,
}

impl BytesProducer {
    pub(crate) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let Attached { memory, cursors, lease } = shared.attach(Role::Producer)?;
        let writer = Writer::attach(memory, cursors, shared.geometry())
            .map_err(|damage| AttachError::Damaged(shared.damaged(damage)))?;
        Ok(Self { writer, guard: shared.guard(), shared, _lease: lease })
    }

    /// Sends a copy of `message` if there is room now.
    ///
    /// # Errors
    /// [`SendError::Full`]; `TooLarge` or `WrongLength` if the message can never be sent.
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let mut claim = self.try_claim(message.len())?;
        claim.copy_from_slice(message);
        claim.commit();
        Ok(())
    }

    /// Sends a copy of `message`, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let mut claim = self.claim(message.len())?;
        claim.copy_from_slice(message);
        claim.commit();
        Ok(())
    }

    /// Sends a copy of `message`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), with `Timeout` instead of `Full`.
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<(), SendError> {
        let mut claim = self.claim_until(message.len(), Until::after(timeout))?;
        claim.copy_from_slice(message);
        claim.commit();
        Ok(())
    }

    /// Sends as many of `messages` as there is room for, in order and in one commit: after a crash either all of
    /// them exist or none. Returns how many.
    ///
    /// # Errors
    /// [`SendError::Full`] if there is no room for the first one; as [`try_send`](Self::try_send) if the first one
    /// can never be sent. A later one that cannot ends the batch before it.
    pub fn try_send_many<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> Result<usize, SendError> {
        let mut batch = self.batch()?;
        for message in messages {
            let message = message.as_ref();
            let first = batch.is_empty();
            match batch.try_claim(message.len()) {
                Ok(payload) => payload.copy_from_slice(message),
                Err(error) if first => return Err(error),
                Err(_) => break,
            }
        }
        Ok(batch.commit())
    }

    /// Sends all of `messages` in order, in as few commits as the room allows, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`; the messages before the one that cannot be sent are sent.
    pub fn send_many<M: AsRef<[u8]>>(&mut self, mut messages: &[M]) -> Result<(), SendError> {
        while let Some((first, _)) = messages.split_first() {
            match self.try_send_many(messages) {
                Ok(sent) => messages = &messages[sent..],
                Err(SendError::Full) => {
                    // Wait for room; the claim is given up and made again as part of the next batch.
                    self.claim(first.as_ref().len())?.abort();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reserves a frame of `len` bytes to be written in place. It exists for the consumer once it is committed;
    /// dropping the claim takes it back.
    ///
    /// The bytes are whatever an earlier frame left there.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let mut frame = producer.try_claim(1024)?;
    /// frame.fill(7);
    /// frame.commit();
    /// assert_eq!(consumer.recv()?.len(), 1024);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_claim(&mut self, len: usize) -> Result<Claim<'_>, SendError> {
        self.check_process()?;
        let slot = self.reserve_until(len, None)?;
        Ok(Claim { producer: self, slot, len })
    }

    /// Reserves a frame, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`try_claim`](Self::try_claim), but never `Full`.
    #[inline(always)]
    pub fn claim(&mut self, len: usize) -> Result<Claim<'_>, SendError> {
        self.claim_until(len, Until::Forever)
    }

    /// Reserves a frame, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_claim`](Self::try_claim), with `Timeout` instead of `Full`.
    pub fn claim_timeout(&mut self, len: usize, timeout: Duration) -> Result<Claim<'_>, SendError> {
        self.claim_until(len, Until::after(timeout))
    }

    #[inline(always)]
    fn claim_until(&mut self, len: usize, until: Until) -> Result<Claim<'_>, SendError> {
        self.check_process()?;
        let slot = self.reserve_until(len, Some(until))?;
        Ok(Claim { producer: self, slot, len })
    }

    /// Finds room for one frame; waits for it if there is an `until`. The caller has looked at the process.
    #[inline(always)]
    pub(crate) fn reserve_until(&mut self, len: usize, until: Option<Until>) -> Result<Slot, SendError> {
        match (self.writer.reserve(len), until) {
            (Ok(slot), _) => Ok(slot),
            (Err(Refusal::Full), Some(until)) => self.wait_for_room(len, until),
            (Err(refusal), _) => Err(self.refused(refusal, len)),
        }
    }

    #[cold]
    fn wait_for_room(&mut self, len: usize, until: Until) -> Result<Slot, SendError> {
        let found =
            wait::wait(until, FULL_PAUSE, |looks| match self.writer.reserve_patiently(len, looks + 1) {
                Err(Refusal::Full) => None,
                Err(refusal) => Some(Err(self.refused(refusal, len))),
                Ok(slot) => Some(Ok(slot)),
            });
        found.unwrap_or(Err(SendError::Timeout))
    }

    /// Begins a batch: several frames that are committed at once.
    ///
    /// # Errors
    /// [`SendError::Forked`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let mut batch = producer.batch()?;
    /// for i in 0..10_u8 {
    ///     batch.try_claim(8)?.fill(i);
    /// }
    /// assert!(consumer.try_recv().is_err(), "nothing is committed yet");
    /// assert_eq!(batch.commit(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn batch(&mut self) -> Result<BytesBatch<'_>, SendError> {
        self.check_process()?;
        let staged = self.writer.begin();
        Ok(BytesBatch { producer: self, staged, open: None, len: 0 })
    }

    /// Whether a live process consumes this queue.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn has_consumer(&self) -> std::io::Result<bool> {
        self.shared.is_role_taken(Role::Consumer)
    }

    /// Bytes of the largest message that the queue takes.
    pub fn max_message(&self) -> usize {
        self.shared.geometry().max_payload as usize
    }

    #[inline(always)]
    pub(crate) fn check_process(&self) -> Result<(), SendError> {
        if self.guard.is_intact() { Ok(()) } else { Err(SendError::Forked) }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn refused(&self, refusal: Refusal, len: usize) -> SendError {
        match (refusal, self.shared.geometry().framing) {
            (Refusal::Full, _) => SendError::Full,
            (Refusal::Length, Framing::Variable) => SendError::TooLarge { len, max: self.max_message() },
            (Refusal::Length, Framing::Fixed { len: expected }) => {
                SendError::WrongLength { len, expected: expected as usize }
            }
            (Refusal::Exhausted, _) => SendError::Exhausted,
            (Refusal::Damaged(damage), _) => SendError::Damaged(self.shared.damaged(damage)),
        }
    }

    pub(crate) fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    #[inline(always)]
    pub(crate) fn payload(&self, slot: Slot) -> *mut u8 {
        self.writer.payload(slot)
    }

    #[inline(always)]
    pub(crate) fn commit(&mut self, slot: Slot, len: usize) {
        self.writer.commit(slot, len);
    }
}

impl std::fmt::Debug for BytesProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BytesProducer")
            .field("path", &self.shared.path())
            .field("position", &self.writer.position())
            .finish()
    }
}

/// A reserved frame: bytes in the file that only this producer may touch until it is committed.
pub struct Claim<'p> {
    producer: &'p mut BytesProducer,
    slot: Slot,
    len: usize,
}

impl Claim<'_> {
    /// Makes the frame visible to the consumer. In a forked child of the process that claimed it, it does nothing.
    #[inline(always)]
    pub fn commit(self) {
        if self.producer.guard.is_intact() {
            self.producer.commit(self.slot, self.len);
        }
    }

    /// Gives the frame up: it never existed. The same as dropping it.
    pub fn abort(self) {}

    /// Makes only the first `len` bytes the message. Does nothing if it is no longer than that, or if the queue
    /// holds messages of one size.
    pub fn truncate(&mut self, len: usize) {
        if matches!(self.producer.writer, Writer::Variable(_)) {
            self.len = self.len.min(len);
        }
    }
}

impl Deref for Claim<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: the writer reserved these `len` mapped bytes; until `commit`, which consumes the claim, nobody
        // else accesses them, and `self` is borrowed meanwhile.
        unsafe { std::slice::from_raw_parts(self.producer.payload(self.slot), self.len) }
    }
}

impl DerefMut for Claim<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.producer.payload(self.slot), self.len) }
    }
}

/// Frames that are committed together: after a crash all of them exist, or none. Dropping the batch gives all of
/// them up.
pub struct BytesBatch<'p> {
    producer: &'p mut BytesProducer,
    staged: Staged,
    /// The frame that was claimed last; it is staged when the next one is claimed.
    open: Option<(Slot, usize)>,
    len: usize,
}

impl BytesBatch<'_> {
    /// Adds a frame of `len` bytes, to be written before the next call.
    ///
    /// # Errors
    /// As [`BytesProducer::try_claim`]. What is in the batch already stays; on `Full`, commit it and begin another.
    #[inline(always)]
    pub fn try_claim(&mut self, len: usize) -> Result<&mut [u8], SendError> {
        self.producer.check_process()?;
        self.close_frame();
        let slot = match self.producer.writer.reserve_behind(&self.staged, len) {
            Ok(slot) => slot,
            Err(refusal) => return Err(self.producer.refused(refusal, len)),
        };
        self.open = Some((slot, len));
        self.len += 1;
        let payload = self.producer.payload(slot);
        // SAFETY: the writer reserved these `len` mapped bytes; nobody else accesses them until `commit`, which
        // consumes the batch, and the batch is exclusively borrowed as long as the slice lives.
        Ok(unsafe { std::slice::from_raw_parts_mut(payload, len) })
    }

    #[inline(always)]
    fn close_frame(&mut self) {
        if let Some((slot, len)) = self.open.take() {
            self.producer.writer.stage(&mut self.staged, slot, len);
        }
    }

    /// How many frames are in the batch.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in the batch.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes all frames visible to the consumer, with one store. Returns how many: 0 in a forked child of the process
    /// that began the batch.
    #[inline(always)]
    pub fn commit(mut self) -> usize {
        if !self.producer.guard.is_intact() {
            return 0;
        }
        self.close_frame();
        self.producer.writer.publish(self.staged);
        self.len
    }
}
