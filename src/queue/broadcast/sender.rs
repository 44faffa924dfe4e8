//! One of the producers.
#![allow(unsafe_code, reason = "vouches for the room that the lane grants")]

#[cfg(all(test, not(loom)))]
mod tests;

use std::cell::Cell;
use std::sync::Arc;

use crate::error::{AttachError, Holdup};
use crate::lane::mpmc::{CompleteFrame, MAX_PREFETCHED, MpmcWriter};
use crate::lane::{Corruption, Refusal, Reserved, Room};
use crate::layout::order::{EntryRole, MAX_BATCH};
use crate::order_ring::broadcast::{BroadcastProducer, BroadcastRing, ProducerState, Raise};
use crate::order_ring::{Claimed, FrameRef, NotClaimed, Registry as _};
use crate::prefetch;
use crate::queue::Shared;
use crate::queue::kind::Sender;
use crate::queue::mpmc::mapping::{allocate_lane, map_own_lane};
use crate::queue::mpmc::participant::Participant;
use crate::queue::mpmc::stall::StallDetector;
use crate::queue::recovery_failures::RecoveryFailures;
use crate::retry;
use crate::wait::Attempt;

/// While waiting, a sender checks this rarely which participant blocks it, so that its attempts
/// stay cheap.
const ATTEMPTS_PER_STALL_CHECK: u64 = 8;
/// Maximum number of spin hints between two attempts for room: some microseconds.
const MAX_PAUSE: u64 = 512;
/// Raises for one frame. Each gives up an eighth of what is retained, at least one message: this is
/// enough to free a lane.
const MAX_RAISES: u32 = 256;
/// Tells what a cursor blocks from what an uncommitted position blocks.
const BY_CURSOR: u64 = 1 << 63;

pub(crate) struct BroadcastSender {
    writer: MpmcWriter,
    /// Frames that are staged ...
    staged: Vec<CompleteFrame>,
    /// ... at most this many.
    max_staged: usize,
    stall: StallDetector,
    state: ProducerState,
    /// Up to where positions had to be over when the last raise found something in the way.
    missed: Cell<Option<u64>>,
    /// Whether that was a position that another producer has claimed and not committed: its commit
    /// notifies consumers only.
    is_blocked: Cell<bool>,
    /// Last, so that everything above is gone when the entry is free.
    participant: Participant<BroadcastRing>,
}

/// The staged frames end here; they are listed in the sender.
pub(crate) struct BroadcastStaged {
    end: u64,
    count: usize,
}

impl BroadcastSender {
    pub(super) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let participant = Participant::<BroadcastRing>::attach(Arc::clone(&shared), EntryRole::Producer)?;
        let (entry, ring, geometry) = (participant.entry(), participant.ring(), shared.geometry());
        let me = entry.index();
        if !ring.order().is_lane_ready(me) {
            allocate_lane(shared.file(), geometry, me).map_err(|source| shared.lane_failed(source))?;
            entry.set_lane_ready();
        }
        let memory =
            map_own_lane(&shared, me).map_err(shared.not_mapped("mapping the lane", geometry.lane_len))?;
        if ring.has_one_writer() {
            ring.take_over();
        }
        let slots = ring.order().count() as usize;
        let frames = entry.frames_in_lane();
        // After the frames: room that none of them takes was over by the `free` that they were read by.
        // This loads that one or a later one, and its fence comes before anything is written there. What
        // became over in between is released when the writer needs room.
        let state = ProducerState::new(ring);
        let writer = MpmcWriter::adopt(memory, 0, geometry, slots, &frames)
            .map_err(|corruption| AttachError::Corrupted(shared.corrupted(corruption)))?;
        let max_staged = MAX_BATCH.min(ring.max_messages()) as usize;
        Ok(Self {
            writer,
            staged: Vec::new(),
            max_staged,
            stall: StallDetector::default(),
            state,
            missed: Cell::new(None),
            is_blocked: Cell::new(false),
            participant,
        })
    }

    #[inline(always)]
    fn ring(&self) -> &BroadcastRing {
        self.participant.ring()
    }

    #[inline(always)]
    fn producer(&self) -> BroadcastProducer<'_> {
        self.participant.entry().producer(&self.state)
    }

    #[inline(always)]
    fn reserve_at(&mut self, at: u64, len: usize) -> Result<Reserved, Refusal> {
        let Self { writer, participant, state, .. } = self;
        let producer = participant.entry().producer(state);
        writer.reserve(at, len, |first, most| producer.count_over(first, most))
    }

    /// The lane has no room: gives up the oldest messages of this producer, if nothing is in the
    /// way.
    #[cold]
    #[inline(never)]
    fn reserve_raising(&mut self, at: u64, len: usize, asks: bool) -> Result<Reserved, Refusal> {
        for _ in 0..MAX_RAISES {
            let Some(oldest) = self.writer.oldest() else { break };
            if !self.raise(oldest.saturating_add(1), asks)? {
                break;
            }
            match self.reserve_at(at, len) {
                Err(Refusal::Full) => {}
                found => return found,
            }
        }
        Err(Refusal::Full)
    }

    /// Makes positions below `target` over. False if something is in the way; if `asks`, only a
    /// participant that is alive.
    #[cold]
    #[inline(never)]
    fn raise(&self, target: u64, asks: bool) -> Result<bool, Refusal> {
        let (participant, ring) = (&self.participant, self.ring());
        for _ in retry::CALL.rounds() {
            let done = self.producer().raise(target);
            self.is_blocked.set(matches!(done, Raise::Uncommitted(_)));
            let is_worth_another = match done {
                Raise::Done => {
                    self.missed.set(None);
                    return Ok(true);
                }
                Raise::Held(_) | Raise::Uncommitted(_) if !asks => false,
                Raise::Held(gate) => {
                    self.stall.check_with(participant, gate.position | BY_CURSOR, false, |probe, dead| {
                        ring.blocked_by_gate(gate.entry, target, probe, dead)
                    })
                }
                Raise::Uncommitted(position) => self.stall.check(participant, position, false),
                Raise::Beyond => {
                    let (position, found) = (ring.newest(), target);
                    return Err(Refusal::Corrupted(Corruption { word: "free", position, found }));
                }
            };
            if !is_worth_another {
                break;
            }
        }
        self.missed.set(Some(target));
        Ok(false)
    }

    /// Claims at least `least` positions, at most `most`.
    #[inline(always)]
    fn claim(&self, least: usize, most: usize) -> Result<Claimed, Refusal> {
        match self.producer().claim(least as u64, most as u64) {
            Ok(claimed) => Ok(claimed),
            Err(not_claimed) => self.claim_slowly(not_claimed, least, most),
        }
    }

    #[cold]
    #[inline(never)]
    fn claim_slowly(&self, mut found: NotClaimed, least: usize, most: usize) -> Result<Claimed, Refusal> {
        for _ in retry::CALL.rounds() {
            match found {
                NotClaimed::PositionsExhausted => return Err(Refusal::PositionsExhausted),
                NotClaimed::Closed => return Err(Refusal::Closed),
                NotClaimed::Full(target) if !self.raise(target, true)? => break,
                NotClaimed::Full(_) => {}
            }
            match self.producer().claim(least as u64, most as u64) {
                Ok(claimed) => return Ok(claimed),
                Err(not_claimed) => found = not_claimed,
            }
        }
        Err(self.full())
    }

    /// Claims `count` positions, or, unless `whole`, fewer if something is in the way.
    #[inline(always)]
    fn claim_batch(&self, count: usize, whole: bool) -> Result<Claimed, Refusal> {
        let all = || self.producer().claim(count as u64, count as u64);
        let found = match all() {
            // Room for all is made if it can be; else there may be room for some.
            Err(NotClaimed::Full(target)) if self.raise(target, false)? => all(),
            found => found,
        };
        found.or_else(|_| {
            self.producer().refresh();
            self.claim(if whole { count } else { 1 }, count)
        })
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

    /// Whether a position can be claimed now, after a raise; `asks` as in `raise`.
    fn has_position(&self, asks: bool) -> bool {
        match self.producer().awaited() {
            None => true,
            Some(target) => self.raise(target, asks).unwrap_or(true),
        }
    }

    /// Whether what was in the way last has moved by a quarter of what is retained.
    fn is_ample(&self) -> bool {
        let Some(missed) = self.missed.get() else { return true };
        let quarter = self.ring().retained() / 4;
        self.producer().known_gate().is_none_or(|gate| gate.position >= missed.saturating_add(quarter))
    }
}

// SAFETY: the writer finds room in the lane, which is mapped for writing as long as it lives, and
// of a file, so that its bytes are initialised. Its liveness lock makes this the only writer of the
// lane. A consumer reads in place only what is committed and not over, and the room that the writer
// grants belongs to frames that are over or not committed; what a lossy consumer copies of such room
// it loads by atomics, in its own mapping, and throws away. Room after staged frames begins where
// they end.
unsafe impl Sender for BroadcastSender {
    type Staged = BroadcastStaged;

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
            Err(Refusal::Full) => match self.reserve_raising(self.writer.tail(), len, true) {
                Err(Refusal::Full) => return Err(self.full()),
                found => found?,
            },
            found => found?,
        };
        // Small frames have all their lines prefetched.
        if len > MAX_PREFETCHED {
            prefetch::next_page_to_write(self.payload(reserved), len);
        }
        Ok(reserved)
    }

    fn reserve_waiting(&mut self, len: usize, which: Attempt) -> Result<Reserved, Refusal> {
        match self.reserve_at(self.writer.tail(), len) {
            Err(Refusal::Full) => {
                let asks = which.is_exact(ATTEMPTS_PER_STALL_CHECK);
                self.reserve_raising(self.writer.tail(), len, asks)
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
        let position = self.claim(1, 1)?.first;
        let frame = self.writer.complete(reserved, len);
        self.producer().commit(position, self.frame_ref(frame));
        self.writer.track(position, &[frame]);
        self.producer().count_sent(1);
        Ok(())
    }

    fn commit_waiting(&mut self, reserved: Reserved, len: usize, which: Attempt) -> Result<(), Refusal> {
        if !self.has_position(which.is_exact(ATTEMPTS_PER_STALL_CHECK)) {
            return Err(Refusal::Full);
        }
        self.commit(reserved, len)
    }

    fn can_commit(&self, which: Attempt) -> bool {
        self.has_position(which.is_exact(ATTEMPTS_PER_STALL_CHECK))
    }

    #[inline(always)]
    fn begin(&mut self) -> BroadcastStaged {
        self.staged.clear();
        BroadcastStaged { end: self.writer.tail(), count: 0 }
    }

    #[inline(always)]
    fn count(staged: &BroadcastStaged) -> usize {
        staged.count
    }

    #[inline(always)]
    fn reserve_after(&mut self, staged: &BroadcastStaged, len: usize) -> Result<Reserved, Refusal> {
        if self.staged.len() >= self.max_staged {
            return Err(Refusal::Full);
        }
        match self.reserve_at(staged.end, len) {
            Err(Refusal::Full) => self.reserve_raising(staged.end, len, true),
            found => found,
        }
    }

    #[inline(always)]
    fn contiguous_after(&mut self, staged: &BroadcastStaged) -> Room {
        if self.staged.len() >= self.max_staged {
            return Room::Unknown;
        }
        self.writer.contiguous(staged.end)
    }

    #[inline(always)]
    fn stage(&mut self, staged: &mut BroadcastStaged, reserved: Reserved, len: usize) {
        let frame = self.writer.complete(reserved, len);
        staged.end = frame.end;
        staged.count += 1;
        self.staged.push(frame);
    }

    #[inline(always)]
    fn publish(&mut self, _staged: BroadcastStaged, whole: bool) -> Result<usize, Refusal> {
        if self.staged.is_empty() {
            return Ok(0);
        }
        let Claimed { first, count } = self.claim_batch(self.staged.len(), whole)?;
        let frames = &self.staged[..count as usize];
        self.producer().commit_run(first, frames.iter().map(|frame| self.frame_ref(*frame)));
        self.writer.track(first, frames);
        self.producer().count_sent(count);
        Ok(count as usize)
    }

    fn has_ample_room(&self) -> bool {
        self.is_ample()
    }

    fn has_ample_positions(&self) -> bool {
        self.is_ample()
    }

    fn pause(&self) -> u32 {
        (self.ring().max_messages() / 16).clamp(1, MAX_PAUSE) as u32
    }

    #[inline(always)]
    fn payload(&self, reserved: Reserved) -> *mut u8 {
        self.writer.payload(reserved)
    }

    fn position(&self) -> u64 {
        self.ring().newest()
    }

    fn has_consumer(&self) -> std::io::Result<bool> {
        let probe = self.participant.probe();
        probe.answered(self.ring().order().has_live(EntryRole::Consumer, &probe))
    }

    fn holdup(&self) -> Option<Holdup> {
        let (ring, target) = (self.ring(), self.missed.get()?);
        let gate = ring.gate().filter(|gate| gate.position < target)?;
        Some(Holdup {
            entry: gate.entry,
            pid: ring.order().entry_record(gate.entry).pid as u32,
            position: gate.position,
            kept: ring.newest().saturating_sub(gate.position),
        })
    }

    fn is_blocked(&self) -> bool {
        self.is_blocked.get()
    }

    fn recovery_failures(&self) -> Option<&RecoveryFailures> {
        Some(self.participant.recovery_failures())
    }
}
