//! One attempt to take the next message, or several.

use super::super::subscribe::{ConsumerMode, Start};
use super::{BroadcastFrame, BroadcastReceiver, BroadcastRun};
use crate::lane::Corruption;
use crate::order_ring::broadcast::Seen;
use crate::order_ring::{FrameRef, Registry as _};
use crate::prefetch;
use crate::retry;
use crate::wait::Attempt;

/// While waiting, one attempt in this number tells an uncommitted position from none: it takes the
/// cache line from producers.
const ATTEMPTS_PER_EXACT: u64 = 32;
/// A claim is committed within nanoseconds, unless its producer is interrupted or dead: this many
/// attempts precede the check of the producer's liveness lock.
const UNCOMMITTED_POLLS: u32 = 64;

impl BroadcastReceiver {
    #[inline(always)]
    pub(super) fn is_exact(which: Attempt) -> bool {
        which.after_one().is_exact(ATTEMPTS_PER_EXACT)
    }

    #[inline(always)]
    pub(super) fn attempt(&self, exact: bool) -> Result<Option<BroadcastFrame>, Corruption> {
        if self.tracker.has_rejected()
            && let Some(again) = self.tracker.take_rejected()
        {
            return Ok(Some(again));
        }
        let position = self.next.get();
        if self.mode == ConsumerMode::Reliable
            && self.lag.get() == 0
            && let Seen::Frame(frame) = self.ring().see(position)
        {
            let taken = self.out(position, frame)?;
            self.advance(position + 1, 1);
            return Ok(Some(taken));
        }
        self.attempt_slowly(exact)
    }

    /// What only lossy consumers need, and waits.
    #[inline(never)]
    fn attempt_slowly(&self, exact: bool) -> Result<Option<BroadcastFrame>, Corruption> {
        if self.lag.get() != 0 {
            return Ok(None);
        }
        match self.next_frame(exact)? {
            Some(taken) => {
                self.advance(taken.position + 1, 1);
                Ok(Some(taken))
            }
            None => {
                self.flush_released();
                Ok(None)
            }
        }
    }

    /// Finds the next message, after tombstones; it is kept for this consumer then.
    #[inline(always)]
    fn next_frame(&self, exact: bool) -> Result<Option<BroadcastFrame>, Corruption> {
        for _ in retry::CALL.rounds() {
            let position = self.next.get();
            let seen = match self.mode {
                ConsumerMode::Reliable => self.ring().see(position),
                _ => self.ring().see_unkept(position),
            };
            match (seen, self.mode) {
                (Seen::Frame(frame), ConsumerMode::Lossy) => {
                    if let Some(taken) = self.copied(position, frame)? {
                        return Ok(Some(taken));
                    }
                    self.note_lag(position)?;
                    return Ok(None);
                }
                (Seen::Frame(frame), _) => {
                    if !self.pin(position) {
                        self.note_lag(position)?;
                        return Ok(None);
                    }
                    return self.out(position, frame).map(Some);
                }
                (Seen::Tombstone, _) => self.pass(position),
                (Seen::Over, _) => {
                    self.note_lag(position)?;
                    return Ok(None);
                }
                (Seen::Nothing, _) if !exact || !self.should_retry(position) => return Ok(None),
                (Seen::Nothing, _) => {}
            }
        }
        Ok(None)
    }

    /// Keeps the position for this consumer, if nothing is in flight that does so. False if it is
    /// announced to be over.
    #[inline(always)]
    pub(super) fn pin(&self, position: u64) -> bool {
        if self.mode != ConsumerMode::LossyInPlace || self.is_in_flight() {
            return true;
        }
        let cursor = self.participant.entry().cursor();
        let is_kept = cursor.join(position) == position;
        if !is_kept {
            self.unpin();
        }
        is_kept
    }

    /// Holds nothing up any more. A producer may have read the cursor while it stood, and sleep.
    #[cold]
    fn unpin(&self) {
        self.participant.entry().cursor().remove();
        self.events.room.notify_all();
    }

    /// Copies the frame. `None` if it was overwritten meanwhile.
    #[inline(always)]
    fn copied(&self, position: u64, frame: FrameRef) -> Result<Option<BroadcastFrame>, Corruption> {
        let mut taken = match self.out(position, frame) {
            Ok(taken) => taken,
            // The slot may have been claimed again while it was read.
            Err(corruption) if self.ring().is_intact(position) => return Err(corruption),
            Err(_) => return Ok(None),
        };
        let from = self.lanes.memory.payload(taken.offset);
        #[allow(unsafe_code, reason = "copies bytes that other processes may be writing")]
        // SAFETY: `out` has checked that the bytes lie in a lane that is mapped for reading; a lossy
        // consumer accesses them by the atomic loads of this copy only.
        let copy = unsafe { self.copies.copy(from, taken.len) };
        if !self.ring().is_intact(position) {
            self.copies.release(copy);
            return Ok(None);
        }
        taken.copy = copy;
        Ok(Some(taken))
    }

    /// Checks where the frame lies.
    #[inline(always)]
    fn out(&self, position: u64, frame: FrameRef) -> Result<BroadcastFrame, Corruption> {
        let FrameRef { lane, offset, len } = frame;
        let is_ready = self.ready.get(lane).is_some_and(std::cell::Cell::get) || self.is_lane_ready(lane);
        let fits = len <= self.max_payload && offset <= self.lanes.lane_len - len;
        if is_ready && fits && offset & (self.granule - 1) == 0 {
            let offset = lane * self.lanes.lane_len as usize + offset as usize;
            return Ok(BroadcastFrame { position, offset, len: len as usize, copy: 0 });
        }
        Err(Corruption { word: "slot", position, found: offset })
    }

    /// The first frame of a lane.
    #[cold]
    fn is_lane_ready(&self, lane: usize) -> bool {
        let is_ready = lane < self.ready.len() && self.ring().order().is_lane_ready(lane);
        if is_ready {
            self.lanes.prepare(lane);
            self.ready[lane].set(true);
        }
        is_ready
    }

    /// Notes that messages were taken.
    #[inline(always)]
    fn advance(&self, next: u64, count: u64) {
        self.next.set(next);
        let entry = self.participant.entry();
        entry.record_next(next);
        entry.count_received(count);
    }

    /// Whether a frame is in flight, or rejected.
    #[inline(always)]
    pub(super) fn is_in_flight(&self) -> bool {
        self.tracker.released() != self.next.get()
    }

    /// Passes a position without a message.
    #[cold]
    fn pass(&self, position: u64) {
        self.next.set(position + 1);
        self.participant.entry().record_next(position + 1);
        if self.tracker.release(position, position + 1) {
            self.publish();
        }
    }

    /// The position is over: goes on to one that is retained, and notes how many are missed.
    #[cold]
    fn note_lag(&self, position: u64) -> Result<(), Corruption> {
        let ring = self.ring();
        let (oldest, newest) = (ring.oldest(), ring.newest());
        let start = if let Start::At(_) = self.on_lag { Start::Oldest } else { self.on_lag };
        let next = start.position(oldest, newest).max(oldest);
        // A reliable consumer's positions are never over, nor those of one that holds a frame.
        if self.mode == ConsumerMode::Reliable || !(position + 1..=newest).contains(&next) {
            return Err(Corruption { word: "slot's state", position, found: next });
        }
        self.next.set(next);
        self.tracker.release(position, next);
        self.lag.set(self.lag.get() + (next - position));
        let entry = self.participant.entry();
        entry.record_next(next);
        entry.count_lagged(next - position);
        Ok(())
    }

    /// Nothing is at the position. Returns true if another attempt may succeed.
    #[cold]
    fn should_retry(&self, position: u64) -> bool {
        let is_blocked = self.ring().is_uncommitted(position);
        self.is_blocked.set(is_blocked);
        if !is_blocked {
            return false;
        }
        for _ in 0..UNCOMMITTED_POLLS {
            if self.ring().is_settled(position) {
                return true;
            }
            std::hint::spin_loop();
        }
        self.stall.check(&self.participant, position, true)
    }

    /// Like `attempt`, but takes nothing, and misses nothing.
    pub(super) fn is_ready(&self, exact: bool) -> Result<bool, Corruption> {
        for _ in retry::CALL.rounds() {
            let position = self.next.get();
            match self.ring().see_unkept(position) {
                Seen::Frame(_) | Seen::Over => return Ok(true),
                Seen::Tombstone => self.pass(position),
                Seen::Nothing if !exact || !self.should_retry(position) => break,
                Seen::Nothing => {}
            }
        }
        self.flush_released();
        Ok(false)
    }

    /// Takes up to `max` messages.
    #[inline(always)]
    pub(super) fn attempt_many(
        &self,
        max: usize,
        spans: &mut Vec<BroadcastFrame>,
        exact: bool,
    ) -> Result<Option<BroadcastRun>, Corruption> {
        spans.clear();
        if max == 0 {
            return Ok(None);
        }
        if self.tracker.has_rejected()
            && let Some(again) = self.tracker.take_rejected()
        {
            spans.push(again);
            return Ok(Some(BroadcastRun { count: 1 }));
        }
        if self.lag.get() == 0 {
            self.take_run(max, spans, exact)?;
        }
        if spans.is_empty() {
            self.flush_released();
            return Ok(None);
        }
        Ok(Some(BroadcastRun { count: spans.len() }))
    }

    /// A function of its own, so that its loop has all registers. An error is returned only if it
    /// is the first thing that is found: the next call finds it again.
    #[inline(never)]
    fn take_run(&self, max: usize, spans: &mut Vec<BroadcastFrame>, exact: bool) -> Result<(), Corruption> {
        while spans.len() < max {
            // What is missed ends the run, and is reported by the next call.
            let found = self.next_frame(exact && spans.is_empty());
            match found {
                Ok(Some(taken)) => {
                    if self.mode != ConsumerMode::Lossy {
                        prefetch::to_read(self.lanes.memory.payload(taken.offset));
                    }
                    self.next.set(taken.position + 1);
                    spans.push(taken);
                }
                Err(corruption) if spans.is_empty() => return Err(corruption),
                Ok(None) | Err(_) => break,
            }
        }
        if !spans.is_empty() {
            self.advance(self.next.get(), spans.len() as u64);
        }
        Ok(())
    }
}
