//! Reserving a frame, and committing it.

use std::time::{Duration, Instant};

use super::BytesProducer;
use crate::error::SendError;
use crate::lane::{Refusal, Reserved};
use crate::queue::kind::{Kind, Sender, StagedOf};
use crate::queue::reserved_frame::ReservedFrame;
use crate::wait::Until;

impl<K: Kind> BytesProducer<K> {
    /// Reserves a frame of `len` bytes to be written in place. The consumer sees it once it is
    /// committed; dropping it gives the reservation up.
    ///
    /// The bytes have the values that an earlier frame left there.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let mut frame = producer.try_reserve(1024)?;
    /// frame.fill(7);
    /// frame.commit()?;
    /// assert_eq!(consumer.recv()?.len(), 1024);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_reserve(&mut self, len: usize) -> Result<ReservedFrame<'_, K>, SendError> {
        self.reserve_frame_until(len, None)
    }

    /// Reserves a frame, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`try_reserve`](Self::try_reserve), but never `Full`.
    #[inline(always)]
    pub fn reserve(&mut self, len: usize) -> Result<ReservedFrame<'_, K>, SendError> {
        self.reserve_frame_until(len, Some(Until::Forever))
    }

    /// Reserves a frame, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_reserve`](Self::try_reserve), with `Timeout` instead of `Full`.
    pub fn reserve_timeout(
        &mut self,
        len: usize,
        timeout: Duration,
    ) -> Result<ReservedFrame<'_, K>, SendError> {
        self.reserve_frame_until(len, Some(Until::after(timeout)))
    }

    /// Reserves a frame, waiting for room until `deadline`.
    ///
    /// # Errors
    /// As [`try_reserve`](Self::try_reserve), with `Timeout` instead of `Full`.
    pub fn reserve_deadline(
        &mut self,
        len: usize,
        deadline: Instant,
    ) -> Result<ReservedFrame<'_, K>, SendError> {
        self.reserve_frame_until(len, Some(Until::Deadline(deadline)))
    }

    #[inline(always)]
    fn reserve_frame_until(
        &mut self,
        len: usize,
        until: Option<Until>,
    ) -> Result<ReservedFrame<'_, K>, SendError> {
        self.check()?;
        let reserved = self.reserve_until(len, until)?;
        Ok(ReservedFrame::new(self, reserved, len, until))
    }

    /// Reserves room for one frame; waits for it if there is an `until`. The caller has checked the
    /// process.
    #[inline(always)]
    pub(crate) fn reserve_until(&mut self, len: usize, until: Option<Until>) -> Result<Reserved, SendError> {
        match (self.sender.reserve(len), until) {
            (Ok(reserved), _) => Ok(reserved),
            (Err(Refusal::Full), Some(until)) => {
                let is_ample = |sender: &K::Sender| sender.has_ample_room();
                self.wait(len, until, is_ample, move |sender, which| sender.reserve_waiting(len, which))
            }
            (Err(refusal), _) => Err(self.refused(refusal, len)),
        }
    }

    /// Commits the reserved frame; waits for what that needs if there is an `until`. The caller has
    /// checked the process.
    #[inline(always)]
    pub(crate) fn commit_until(
        &mut self,
        reserved: Reserved,
        len: usize,
        until: Option<Until>,
    ) -> Result<(), SendError> {
        match (self.sender.commit(reserved, len), until) {
            (Ok(()), _) => {}
            (Err(Refusal::Full), Some(until)) => {
                let is_ample = |sender: &K::Sender| sender.has_ample_positions();
                self.wait(len, until, is_ample, move |sender, which| {
                    sender.commit_waiting(reserved, len, which)
                })?;
            }
            (Err(refusal), _) => return Err(self.refused(refusal, len)),
        }
        self.notify(1);
        Ok(())
    }

    /// Commits the staged frames: all of them or, if not `whole`, as many as possible. Returns how
    /// many.
    #[inline(always)]
    pub(crate) fn publish(&mut self, staged: StagedOf<K>, whole: bool) -> Result<usize, SendError> {
        match self.sender.publish(staged, whole) {
            Ok(count) => {
                self.notify(count as u32);
                Ok(count)
            }
            Err(refusal) => Err(self.refused(refusal, 0)),
        }
    }

    /// Wakes consumers for this many messages.
    #[inline(always)]
    fn notify(&self, count: u32) {
        if K::WAKES_ALL {
            self.events.messages.notify_all();
        } else {
            self.events.messages.notify(count);
        }
    }
}
