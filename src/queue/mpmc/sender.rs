//! One of the producers.
#![allow(unsafe_code, reason = "vouches for the room that the lane grants")]

use std::sync::Arc;

use super::mapping::{allocate_lane, map_own_lane};
use super::participant::Participant;
use super::stall::StallDetector;
use crate::error::AttachError;
use crate::lane::mpmc::{CompleteFrame, MAX_PREFETCHED, MpmcWriter};
use crate::lane::{Refusal, Reserved, Room};
use crate::layout::order::{EntryRole, MAX_BATCH, Tail};
use crate::order_ring::{Claimed, CursorGuess, FrameRef, NotClaimed, OrderRing, Producer, SentDeadLetter};
use crate::prefetch;
use crate::queue::Shared;
use crate::queue::checksummed::serial::SerialSender;
use crate::queue::kind::Sender;
use crate::queue::recovery_failures::RecoveryFailures;
use crate::retry;
use crate::wait::Attempt;

/// While waiting, a sender checks this rarely which participant blocks it, so that its attempts
/// stay cheap.
const ATTEMPTS_PER_STALL_CHECK: u64 = 8;

/// Maximum number of spin hints between two attempts for room: some microseconds.
const MAX_PAUSE: u64 = 512;

pub(crate) struct MpmcSender {
    writer: MpmcWriter,
    /// Frames that are staged ...
    staged: Vec<CompleteFrame>,
    /// ... at most this many.
    max_staged: usize,
    stall: StallDetector,
    /// Where the next claim will begin.
    guess: CursorGuess<Tail>,
    /// Last, so that everything above is gone when the entry is free.
    participant: Participant,
}

/// The staged frames end here; they are listed in the sender.
pub(crate) struct MpmcStaged {
    end: u64,
    count: usize,
}

impl MpmcSender {
    pub(super) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let participant: Participant = Participant::attach(Arc::clone(&shared), EntryRole::Producer)?;
        let (entry, ring, geometry) = (participant.entry(), participant.ring(), shared.geometry());
        let me = entry.index();
        if !ring.is_lane_ready(me) {
            allocate_lane(shared.file(), geometry, me).map_err(|source| shared.lane_failed(source))?;
            entry.set_lane_ready();
        }
        let memory =
            map_own_lane(&shared, me).map_err(shared.not_mapped("mapping the lane", geometry.lane_len))?;
        let frames = entry.frames_in_lane();
        let writer = MpmcWriter::adopt(memory, 0, geometry, ring.count() as usize, &frames)
            .map_err(|corruption| AttachError::Corrupted(shared.corrupted(corruption)))?;
        let max_staged = MAX_BATCH.min(ring.max_messages()) as usize;
        let guess = CursorGuess::new(ring);
        Ok(Self {
            writer,
            staged: Vec::new(),
            max_staged,
            stall: StallDetector::default(),
            guess,
            participant,
        })
    }

    #[inline(always)]
    pub(super) fn ring(&self) -> &OrderRing {
        self.participant.ring()
    }

    #[inline(always)]
    fn producer(&self) -> Producer<'_> {
        self.participant.entry().producer(&self.guess)
    }

    #[inline(always)]
    fn reserve_at(&mut self, at: u64, len: usize) -> Result<Reserved, Refusal> {
        let ring = self.participant.ring();
        self.writer.reserve(at, len, |first, most| ring.count_reusable(first, most))
    }

    /// The lane has no room. Returns true if another attempt may succeed.
    #[cold]
    fn lane_is_full(&self) -> bool {
        self.writer.oldest().is_some_and(|oldest| self.stall.check(&self.participant, oldest, false))
    }

    /// Claims at least `least` positions, at most `most`.
    #[inline(always)]
    fn claim(&self, least: usize, most: usize) -> Result<Claimed, Refusal> {
        for _ in retry::CALL.rounds() {
            match self.producer().claim(least as u64, most as u64) {
                Ok(claimed) => return Ok(claimed),
                Err(NotClaimed::PositionsExhausted) => return Err(Refusal::PositionsExhausted),
                Err(NotClaimed::Closed) => return Err(Refusal::Closed),
                Err(NotClaimed::Full(position)) => {
                    if !self.stall.check(&self.participant, position, false) {
                        break;
                    }
                }
            }
        }
        Err(self.full())
    }

    /// Claims one position, retrying if necessary.
    #[inline(always)]
    fn claim_next(&self) -> Result<u64, Refusal> {
        match self.producer().claim_next() {
            Some(position) => Ok(position),
            None => self.claim_slowly(),
        }
    }

    #[cold]
    #[inline(never)]
    fn claim_slowly(&self) -> Result<u64, Refusal> {
        self.claim(1, 1).map(|claimed| claimed.first)
    }

    /// Claims positions for the frames, from the first one on, and commits them. In between, `seal`
    /// gets payload, length and position of each frame, and may take no more than constant time for
    /// each.
    #[inline(always)]
    fn claim_and_commit(
        &mut self,
        frames: &[CompleteFrame],
        least: usize,
        mut seal: impl FnMut(*mut u8, usize, u64),
    ) -> Result<usize, Refusal> {
        let Claimed { first, count } = self.claim(least, frames.len())?;
        let frames = &frames[..count as usize];
        for (frame, position) in frames.iter().zip(first..) {
            seal(self.payload(self.writer.slot_of(*frame)), frame.len as usize, position);
        }
        let refs = frames.iter().map(|frame| self.frame_ref(*frame));
        self.producer().commit_run(first, refs);
        self.writer.track(first, frames);
        self.producer().count_sent(count);
        Ok(count as usize)
    }

    /// Copies a dead letter and commits it.
    pub(super) fn send_dead_letter(&mut self, payload: &[u8], letter: SentDeadLetter) -> Result<(), Refusal> {
        let reserved = self.reserve(payload.len())?;
        // SAFETY: the writer granted these bytes, mapped and for this sender alone; the dead letter
        // comes from another file.
        unsafe { self.payload(reserved).copy_from_nonoverlapping(payload.as_ptr(), payload.len()) };
        let position = self.claim_next()?;
        let frame = self.writer.complete(reserved, payload.len());
        self.producer().commit_dead_letter(position, self.frame_ref(frame), letter);
        self.writer.track(position, &[frame]);
        self.producer().count_sent(1);
        Ok(())
    }

    #[inline(always)]
    fn frame_ref(&self, frame: CompleteFrame) -> FrameRef {
        self.producer().frame_ref(frame.offset, frame.len)
    }

    #[cold]
    fn full(&self) -> Refusal {
        self.producer().count_full();
        Refusal::Full
    }
}

// SAFETY: the writer finds room in the lane, which is mapped for writing as long as it lives, and
// of a file, so that its bytes are initialised. Its liveness lock makes this the only writer of the
// lane, and no consumer reads what has no slot. Room after staged frames begins where they end, and
// ends before the oldest frame whose slot has not moved on.
unsafe impl Sender for MpmcSender {
    type Staged = MpmcStaged;

    #[inline(always)]
    fn shared(&self) -> &Shared {
        self.participant.shared()
    }

    #[inline(always)]
    fn is_own_process(&self) -> bool {
        self.participant.is_own_process()
    }

    #[inline(always)]
    fn reserve(&mut self, len: usize) -> Result<Reserved, Refusal> {
        let reserved = match self.reserve_at(self.writer.tail(), len) {
            Err(Refusal::Full) if self.lane_is_full() => self.reserve_at(self.writer.tail(), len)?,
            Err(Refusal::Full) => return Err(self.full()),
            found => found?,
        };
        // Small frames have all their lines prefetched; batches got no faster by this.
        if len > MAX_PREFETCHED {
            prefetch::next_page_to_write(self.payload(reserved), len);
        }
        Ok(reserved)
    }

    fn reserve_waiting(&mut self, len: usize, which: Attempt) -> Result<Reserved, Refusal> {
        match self.reserve_at(self.writer.tail(), len) {
            Err(Refusal::Full) if which.is_exact(ATTEMPTS_PER_STALL_CHECK) && self.lane_is_full() => {
                self.reserve_at(self.writer.tail(), len)
            }
            found => found,
        }
    }

    #[inline(always)]
    fn contiguous(&mut self) -> Room {
        self.writer.contiguous(self.writer.tail())
    }

    #[inline(always)]
    fn commit(&mut self, reserved: Reserved, len: usize) -> Result<(), Refusal> {
        self.commit_sealed(reserved, len, |_, _| {})
    }

    fn commit_waiting(&mut self, reserved: Reserved, len: usize, which: Attempt) -> Result<(), Refusal> {
        if !which.is_exact(ATTEMPTS_PER_STALL_CHECK) && !self.ring().has_free() {
            return Err(Refusal::Full);
        }
        self.commit(reserved, len)
    }

    fn can_commit(&self, which: Attempt) -> bool {
        let ring = self.ring();
        ring.has_free()
            || (which.is_exact(ATTEMPTS_PER_STALL_CHECK)
                && self.stall.check(&self.participant, ring.awaited(), false)
                && ring.has_free())
    }

    #[inline(always)]
    fn begin(&mut self) -> MpmcStaged {
        self.staged.clear();
        MpmcStaged { end: self.writer.tail(), count: 0 }
    }

    #[inline(always)]
    fn count(staged: &MpmcStaged) -> usize {
        staged.count
    }

    #[inline(always)]
    fn reserve_after(&mut self, staged: &MpmcStaged, len: usize) -> Result<Reserved, Refusal> {
        if self.staged.len() >= self.max_staged {
            return Err(Refusal::Full);
        }
        self.reserve_at(staged.end, len)
    }

    #[inline(always)]
    fn contiguous_after(&mut self, staged: &MpmcStaged) -> Room {
        if self.staged.len() >= self.max_staged {
            return Room::Unknown;
        }
        self.writer.contiguous(staged.end)
    }

    #[inline(always)]
    fn stage(&mut self, staged: &mut MpmcStaged, reserved: Reserved, len: usize) {
        let frame = self.writer.complete(reserved, len);
        staged.end = frame.end;
        staged.count += 1;
        self.staged.push(frame);
    }

    #[inline(always)]
    fn publish(&mut self, staged: MpmcStaged, whole: bool) -> Result<usize, Refusal> {
        self.publish_sealed(staged, whole, |_, _, _| {})
    }

    fn has_ample_room(&self) -> bool {
        self.writer.quarter().is_none_or(|position| self.ring().is_reusable(position))
    }

    fn has_ample_positions(&self) -> bool {
        self.ring().has_free_quarter()
    }

    fn pause(&self) -> u32 {
        (self.ring().max_messages() / 16).clamp(1, MAX_PAUSE) as u32
    }

    #[inline(always)]
    fn payload(&self, reserved: Reserved) -> *mut u8 {
        self.writer.payload(reserved)
    }

    fn position(&self) -> u64 {
        self.ring().next_claim()
    }

    fn has_consumer(&self) -> std::io::Result<bool> {
        let probe = self.participant.probe();
        probe.answered(self.ring().has_live(EntryRole::Consumer, &probe))
    }

    fn recovery_failures(&self) -> Option<&RecoveryFailures> {
        Some(self.participant.recovery_failures())
    }
}

impl SerialSender for MpmcSender {
    #[inline(always)]
    fn commit_sealed(
        &mut self,
        reserved: Reserved,
        len: usize,
        seal: impl FnOnce(*mut u8, u64),
    ) -> Result<(), Refusal> {
        let position = self.claim_next()?;
        seal(self.payload(reserved), position);
        let frame = self.writer.complete(reserved, len);
        self.producer().commit(position, self.frame_ref(frame));
        self.writer.track(position, &[frame]);
        self.producer().count_sent(1);
        Ok(())
    }

    /// Its position is not known yet.
    fn stage_sealed(
        &mut self,
        staged: &mut MpmcStaged,
        reserved: Reserved,
        len: usize,
        _seal: impl FnOnce(*mut u8, u64),
    ) {
        self.stage(staged, reserved, len);
    }

    #[inline(always)]
    fn publish_sealed(
        &mut self,
        _staged: MpmcStaged,
        whole: bool,
        seal: impl FnMut(*mut u8, usize, u64),
    ) -> Result<usize, Refusal> {
        let frames = std::mem::take(&mut self.staged);
        let least = if whole { frames.len() } else { 1 };
        let committed = if frames.is_empty() { Ok(0) } else { self.claim_and_commit(&frames, least, seal) };
        self.staged = frames;
        committed
    }
}
