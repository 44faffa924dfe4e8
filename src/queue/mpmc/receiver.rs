//! One of the consumers.
#![allow(unsafe_code, reason = "vouches for the frames that the order ring refers to")]

mod ready;
mod redelivery;
mod store;

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::dead_letter_mover::DeadLetterMover;
use super::mapping::Lanes;
use super::participant::Participant;
use super::stall::StallDetector;
use super::watch::Watch;
use crate::error::AttachError;
use crate::lane::Corruption;
use crate::layout::order::{EntryRole, MAX_BATCH};
use crate::order_ring::{Consumer, FrameRef, HeldSlot, NotTaken, OrderRing, TakeState, TakenSlot};
use crate::prefetch;
use crate::queue::Shared;
use crate::queue::events::QueueEvents;
use crate::queue::kind::Receiver;
use crate::queue::recovery_failures::RecoveryFailures;
use crate::retry;
use crate::wait::Attempt;

/// While waiting, one attempt in this number tells an uncommitted position from none: it takes the
/// cache line from producers.
const ATTEMPTS_PER_EXACT: u64 = 32;
/// A claim is committed within nanoseconds, unless its producer is interrupted or dead: this many
/// attempts precede the check of the producer's liveness lock.
const UNCOMMITTED_POLLS: u32 = 64;
/// Attempts that find nothing, before the next dead-peer scan.
const EMPTY_ATTEMPTS_PER_SCAN: u32 = 64;
pub(crate) struct MpmcReceiver {
    state: TakeState,
    stall: StallDetector,
    is_blocked: Cell<bool>,
    idle: Cell<u32>,
    watch: Watch,
    /// Lanes that were seen to be ready.
    ready: Vec<Cell<bool>>,
    /// Corruption found in an otherwise good batch; returned by the next call.
    corruption: Cell<Option<Corruption>>,
    dead_letter_mover: Arc<DeadLetterMover>,
    /// Whether frames may be read in place, which dead-lettering them needs.
    may_dead_letter: bool,
    /// Last, so that everything above is gone when the entry is free.
    store: MpmcFrameStore,
}

/// What guards refer to, from any thread.
pub(crate) struct MpmcFrameStore {
    /// All lanes, read-only.
    lanes: Lanes,
    /// Vectors to be reused.
    spans: Mutex<Vec<Vec<MpmcFrame>>>,
    max_payload: u64,
    granule: u64,
    events: QueueEvents,
    participant: Participant,
}

/// A frame in flight.
#[derive(Clone, Copy)]
pub(crate) struct MpmcFrame {
    position: u64,
    /// Offset of the payload, in all lanes.
    offset: usize,
    len: usize,
}

/// Frames that were taken together.
#[derive(Clone, Copy)]
pub(crate) struct MpmcRun {
    count: usize,
}

impl MpmcReceiver {
    pub(super) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        // Before a registry entry is taken: preparing it may fail.
        let dead_letter_mover = DeadLetterMover::prepare(&shared)?;
        let participant: Participant = Participant::attach(Arc::clone(&shared), EntryRole::Consumer)?;
        let geometry = shared.geometry();
        let lanes = Lanes::map(&shared, participant.ring())
            .map_err(shared.not_mapped("mapping the lanes", geometry.lane_len))?;
        // A consumer that was the only one scans rarely, since there was none to watch.
        shared.events().messages.notify_all();
        Ok(Self {
            state: TakeState::new(participant.ring()),
            stall: StallDetector::default(),
            is_blocked: Cell::new(false),
            idle: Cell::new(0),
            watch: Watch::new(participant.ring()),
            ready: vec![Cell::new(false); participant.ring().entry_count()],
            corruption: Cell::new(None),
            dead_letter_mover,
            may_dead_letter: shared.is_trusted(),
            store: MpmcFrameStore {
                lanes,
                spans: Mutex::default(),
                max_payload: geometry.max_payload,
                granule: geometry.align,
                events: shared.events().clone(),
                participant,
            },
        })
    }

    #[inline(always)]
    fn ring(&self) -> &OrderRing {
        self.store.participant.ring()
    }

    #[inline(always)]
    fn consumer(&self) -> Consumer<'_> {
        self.store.participant.entry().consumer(&self.state)
    }

    /// Before an attempt of a wait. If `which` asks for a dead-peer scan, the next attempt that
    /// finds nothing makes one: it may be long before there is another attempt.
    #[inline(always)]
    fn prepare_scan(&self, which: Attempt) {
        if which == Attempt::WithDeadPeerScan {
            self.idle.set(EMPTY_ATTEMPTS_PER_SCAN - 1);
        }
    }

    #[inline(always)]
    fn is_exact(which: Attempt) -> bool {
        which.after_one().is_exact(ATTEMPTS_PER_EXACT)
    }

    #[inline(always)]
    fn attempt(&self, exact: bool) -> Result<Option<MpmcFrame>, Corruption> {
        for _ in retry::CALL.rounds() {
            if self.consumer().is_redelivery_due()
                && let Some(again) = self.take_redelivered()
            {
                return again.map(Some);
            }
            match self.consumer().take(exact) {
                Ok(found) => return self.taken(found).map(Some),
                Err(nothing) if self.should_retry(nothing) => {}
                Err(_) => break,
            }
        }
        Ok(None)
    }

    #[inline(always)]
    fn taken(&self, found: TakenSlot) -> Result<MpmcFrame, Corruption> {
        self.consumer().count_received(1);
        self.out(found)
    }

    /// Checks where the frame lies.
    #[inline(always)]
    fn out(&self, found: TakenSlot) -> Result<MpmcFrame, Corruption> {
        let TakenSlot { position, frame: FrameRef { lane, offset, len } } = found;
        let store = &self.store;
        let is_ready = self.ready.get(lane).is_some_and(Cell::get) || self.is_lane_ready(lane);
        let fits = len <= store.max_payload && offset <= store.lanes.lane_len - len;
        if is_ready && fits && offset & (store.granule - 1) == 0 {
            let offset = lane * store.lanes.lane_len as usize + offset as usize;
            store.lanes.memory.note_read(offset, len as usize);
            return Ok(MpmcFrame { position, offset, len: len as usize });
        }
        Err(self.corrupted(position, offset))
    }

    /// The frame is lost; those after it are not.
    #[cold]
    fn corrupted(&self, position: u64, offset: u64) -> Corruption {
        self.store.participant.entry().release(HeldSlot { position, redeliveries: 0 });
        self.store.events.room.notify_all();
        Corruption { word: "slot", position, found: offset }
    }

    /// The first frame of a lane.
    #[cold]
    fn is_lane_ready(&self, lane: usize) -> bool {
        let is_ready = lane < self.ready.len() && self.ring().is_lane_ready(lane);
        if is_ready {
            self.store.lanes.prepare(lane);
            self.ready[lane].set(true);
        }
        is_ready
    }

    /// Nothing can be taken. Returns true if another attempt may succeed.
    #[cold]
    fn should_retry(&self, nothing: NotTaken) -> bool {
        self.is_blocked.set(matches!(nothing, NotTaken::Uncommitted(_)));
        match nothing {
            NotTaken::Empty => {
                self.idle.set(self.idle.get().wrapping_add(1));
                if self.idle.get().is_multiple_of(EMPTY_ATTEMPTS_PER_SCAN) {
                    self.watch.attempt(&self.store.participant);
                }
                false
            }
            NotTaken::Uncommitted(position) => {
                for _ in 0..UNCOMMITTED_POLLS {
                    if self.ring().is_committed(position) {
                        return true;
                    }
                    std::hint::spin_loop();
                }
                self.stall.check(&self.store.participant, position, true)
            }
        }
    }

    /// Takes up to `most` frames; one of them may be corrupted.
    ///
    /// A function of its own, so that its loops have all registers. By the time that the last frame
    /// is marked, the first lines of the first ones are there.
    #[inline(never)]
    fn take_run(
        &self,
        most: u64,
        spans: &mut Vec<MpmcFrame>,
        exact: bool,
    ) -> Result<Option<Corruption>, NotTaken> {
        let consumer = self.consumer();
        let run = consumer.take_many(most, exact)?;
        let mut corruption = None;
        consumer.mark_run(run, |found| match self.out(found) {
            Ok(taken) => {
                prefetch::to_read(self.store.lanes.memory.payload(taken.offset));
                spans.push(taken);
            }
            Err(found) => corruption = Some(found),
        });
        consumer.count_received(spans.len() as u64);
        Ok(corruption)
    }

    #[inline(always)]
    fn attempt_many(
        &self,
        max: usize,
        spans: &mut Vec<MpmcFrame>,
        exact: bool,
    ) -> Result<Option<MpmcRun>, Corruption> {
        spans.clear();
        if max == 0 {
            return Ok(None);
        }
        if let Some(corruption) = self.corruption.take() {
            return Err(corruption);
        }
        for _ in retry::CALL.rounds() {
            if self.consumer().is_redelivery_due()
                && let Some(again) = self.take_redelivered()
            {
                spans.push(again?);
                return Ok(Some(MpmcRun { count: 1 }));
            }
            match self.take_run((max as u64).min(MAX_BATCH), spans, exact) {
                Ok(Some(corruption)) if spans.is_empty() => return Err(corruption),
                // A run that holds nothing but tombstones: continue after it.
                Ok(None) if spans.is_empty() => {}
                Ok(corruption) => {
                    self.corruption.set(corruption);
                    return Ok(Some(MpmcRun { count: spans.len() }));
                }
                Err(nothing) if self.should_retry(nothing) => {}
                Err(_) => break,
            }
        }
        Ok(None)
    }
}

// SAFETY: a position is taken once, by the CAS on `head`, and again only after it was rejected; the
// liveness lock makes this the only participant with its number.
unsafe impl Receiver for MpmcReceiver {
    type FrameStore = MpmcFrameStore;

    #[inline(always)]
    fn store(&self) -> &MpmcFrameStore {
        &self.store
    }

    #[inline(always)]
    fn take(&self) -> Result<Option<MpmcFrame>, Corruption> {
        self.attempt(true)
    }

    #[inline(always)]
    fn take_waiting(&self, which: Attempt) -> Result<Option<MpmcFrame>, Corruption> {
        self.prepare_scan(which);
        self.attempt(Self::is_exact(which))
    }

    fn can_take(&self, which: Attempt) -> Result<bool, Corruption> {
        Ok(self.is_ready(which))
    }

    #[inline(always)]
    fn take_many(&self, max: usize, spans: &mut Vec<MpmcFrame>) -> Result<Option<MpmcRun>, Corruption> {
        self.attempt_many(max, spans, true)
    }

    #[inline(always)]
    fn take_many_waiting(
        &self,
        max: usize,
        spans: &mut Vec<MpmcFrame>,
        which: Attempt,
    ) -> Result<Option<MpmcRun>, Corruption> {
        self.prepare_scan(which);
        self.attempt_many(max, spans, Self::is_exact(which))
    }

    /// From now on nothing is claimed, even if the process that closed the queue died before it
    /// stored that.
    fn finish_close(&self) {
        self.ring().close();
    }

    fn is_drained(&self) -> bool {
        self.ring().is_drained()
    }

    fn has_more(&self) -> bool {
        self.ring().has_more()
    }

    fn position(&self) -> u64 {
        self.ring().next_take()
    }

    fn first_undelivered(&self) -> u64 {
        self.ring().next_take()
    }

    fn waiting(&self) -> u64 {
        self.ring().waiting()
    }

    fn is_blocked(&self) -> bool {
        self.is_blocked.get()
    }

    fn has_producer(&self) -> std::io::Result<bool> {
        let probe = self.store.participant.probe();
        probe.answered(self.ring().has_live(EntryRole::Producer, &probe))
    }

    fn recovery_failures(&self) -> Option<&RecoveryFailures> {
        Some(self.store.participant.recovery_failures())
    }

    fn watch_slice(&self) -> Duration {
        self.watch.slice()
    }
}
