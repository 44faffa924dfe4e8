//! The producer's side: claims positions, then commits the frames that are already in the lane.

use crossbeam_utils::Backoff;

use super::crash_point::crash_point;
use super::intent::IntentKind;
use super::walk::{SlotAt, count_while};
use super::{CursorGuess, FrameRef, OrderRing, SentDeadLetter};
use crate::layout::order::{Intent, MAX_BATCH, PackedFrameRef, SlotState, Tail};
use crate::prefetch;
use crate::retry::{self, RetryLimit};
use crate::sync::Ordering;

/// How many positions ahead a producer prefetches a slot's cache line.
pub(super) const SLOTS_AHEAD: u64 = 8;

/// Slots in a cache line.
const SLOTS_PER_LINE: u64 = 4;

/// Positions that were won, to be committed immediately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// Why nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotClaimed {
    /// The slot of this position, which decides whether the claim may be made, is not free yet, or
    /// other participants won each attempt.
    Full(u64),
    /// The positions are used up.
    PositionsExhausted,
    /// The queue is closed.
    Closed,
}

/// The producer's side of an attached [`Entry`](super::Entry).
#[derive(Clone, Copy)]
pub(crate) struct Producer<'a> {
    pub(super) ring: &'a OrderRing,
    pub(super) me: usize,
    /// Where the next claim begins.
    pub(super) guess: &'a CursorGuess<Tail>,
}

impl Producer<'_> {
    /// Claims the next position, as [`claim`](Self::claim) does. `None` if the slow path is needed.
    #[inline(always)]
    pub(crate) fn claim_next(self) -> Option<u64> {
        let tail = self.guess.cursor(self.ring);
        let position = tail.position();
        if self.ring.free_run(position, 1) == 1 && !tail.is_closed() {
            return self.cas_tail(tail, 1).then_some(position);
        }
        self.guess.invalidate();
        None
    }

    /// Claims as many as possible of the next `most` positions, but not fewer than `least`.
    ///
    /// The caller must have its frames complete, and commit every position that it wins before it
    /// claims again.
    #[inline(always)]
    pub(crate) fn claim(self, least: u64, most: u64) -> Result<Claimed, NotClaimed> {
        debug_assert!(0 < least && least <= most && most <= MAX_BATCH);
        match self.try_claim(least, most) {
            Err(None) => self.claim_contended(retry::CURSOR, least, most),
            Err(Some(not_claimed)) => Err(not_claimed),
            Ok(claimed) => Ok(claimed),
        }
    }

    /// Another participant won the CAS.
    ///
    /// When the limit is reached, the ring was not full, but the caller treats it so, and may sleep.
    /// It misses no wake by that: each round that was lost is a claim of another participant, so after
    /// more rounds than there are positions in a lap a release came after the caller armed, and its
    /// notification ends the sleep. In a larger ring the sleep ends with its timeout.
    #[cold]
    #[inline(never)]
    pub(super) fn claim_contended(
        self,
        limit: RetryLimit,
        least: u64,
        most: u64,
    ) -> Result<Claimed, NotClaimed> {
        let backoff = Backoff::new();
        for _ in limit.rounds() {
            backoff.spin();
            match self.try_claim(least, most) {
                Err(None) => {}
                Err(Some(not_claimed)) => return Err(not_claimed),
                Ok(claimed) => return Ok(claimed),
            }
        }
        Err(NotClaimed::Full(self.ring.awaited()))
    }

    /// One attempt. `Err(None)`: another participant won the CAS, or may have.
    #[inline(always)]
    fn try_claim(self, least: u64, most: u64) -> Result<Claimed, Option<NotClaimed>> {
        let tail = self.guess.cursor(self.ring);
        let first = tail.position();
        let count = self.ring.free_run(first, most);
        if count < least || tail.is_closed() {
            let is_so = !self.guess.invalidate() && self.ring.tail() == tail;
            return Err(is_so.then(|| self.ring.not_claimed(tail, first + count)));
        }
        if self.cas_tail(tail, count) { Ok(Claimed { first, count }) } else { Err(None) }
    }

    /// Moves `tail` over `count` positions, which are free. False: another participant won the CAS.
    #[inline(always)]
    fn cas_tail(self, tail: Tail, count: u64) -> bool {
        let (ring, own) = (self.ring, &self.ring.entries[self.me].own);
        let first = tail.position();
        // SYNC intent: Release, for it must not become visible before the commits of the claim before.
        OrderRing::store_intent(own, IntentKind::Claim, Intent::new(first, count));
        crash_point();
        let claimed = tail.claimed(count);
        let exchanged =
            ring.cursors.tail.compare_exchange(tail.0, claimed.0, Ordering::AcqRel, Ordering::Relaxed);
        crash_point();
        if exchanged.is_err() {
            OrderRing::store_intent(own, IntentKind::Claim, Intent::NONE);
            self.guess.invalidate();
            return false;
        }
        self.guess.moved(tail, claimed);
        ring.prefetch_slots(first + count + SLOTS_AHEAD, count);
        true
    }

    /// A frame in the producer's own lane.
    #[inline(always)]
    pub(crate) fn frame_ref(self, offset: u64, len: u64) -> FrameRef {
        FrameRef { lane: self.me, offset, len }
    }

    /// Makes the frames at claimed positions visible, from `first` on, in order. Nothing that can
    /// fail or block may come between claim and commit.
    #[inline(always)]
    pub(crate) fn commit_run(self, first: u64, mut frames: impl ExactSizeIterator<Item = FrameRef>) {
        let count = frames.len();
        let mut commit = |step: SlotAt<'_>| {
            if let Some(frame) = frames.next() {
                step.fill(frame);
                step.publish();
            }
        };
        for stretch in self.ring.run(first, count as u64) {
            stretch.steps().for_each(&mut commit);
        }
    }

    /// Commits one frame; see [`commit_run`](Self::commit_run).
    #[inline(always)]
    pub(crate) fn commit(self, position: u64, frame: FrameRef) {
        let step = self.ring.slot_at(position);
        step.fill(frame);
        step.publish();
    }

    /// Like [`commit`](Self::commit), for a dead letter: also records where it comes from.
    pub(crate) fn commit_dead_letter(self, position: u64, frame: FrameRef, sent: SentDeadLetter) {
        let step = self.ring.slot_at(position);
        step.fill(frame);
        self.ring.record_dead_letter(position, sent);
        step.publish();
    }

    /// Counts committed frames.
    #[inline(always)]
    pub(crate) fn count_sent(self, count: u64) {
        OrderRing::add(&self.ring.entries[self.me].own.sent, count);
    }

    /// Counts an attempt that found no room.
    pub(crate) fn count_full(self) {
        OrderRing::add(&self.ring.entries[self.me].own.full, 1);
    }
}

impl OrderRing {
    /// Prefetches the slots of `count` positions from `first` on, for writing.
    #[inline(always)]
    pub(super) fn prefetch_slots(&self, first: u64, count: u64) {
        prefetch::to_write(self.slot(first));
        let mut more = SLOTS_PER_LINE;
        while more < count {
            prefetch::to_write(self.slot(first + more));
            more += SLOTS_PER_LINE;
        }
    }

    /// Counts the positions from `first` on, `most` at most, up to the first that may not be claimed:
    /// its slot is not free, or there are too many messages already.
    #[inline(always)]
    fn free_run(&self, first: u64, most: u64) -> u64 {
        // SYNC release: the reads of the slot's last frame are done.
        let is_free = |step: SlotAt<'_>| step.state() == SlotState::free(step.lap);
        let decides = self.decides(first);
        if most == 1 {
            return u64::from(first < self.limit && is_free(self.slot_at(decides)));
        }
        count_while(self.run(decides, most.min(self.limit.saturating_sub(first))), is_free)
    }

    /// The position whose slot decides whether `position` may be claimed.
    #[inline(always)]
    fn decides(&self, position: u64) -> u64 {
        // Wrapping: a corrupt word must not cause a panic.
        position.wrapping_add(self.slack)
    }

    /// The position whose slot keeps the next claim waiting, a moment ago.
    pub(crate) fn awaited(&self) -> u64 {
        self.decides(self.next_claim())
    }

    #[cold]
    fn not_claimed(&self, tail: Tail, position: u64) -> NotClaimed {
        if tail.is_closed() {
            NotClaimed::Closed
        } else if position >= self.limit {
            NotClaimed::PositionsExhausted
        } else {
            NotClaimed::Full(self.decides(position))
        }
    }

    /// The number of consecutive positions that could be claimed, a moment ago.
    pub(crate) fn free_positions(&self) -> u64 {
        self.free_run(self.tail().position(), self.count())
    }

    /// Whether the next position's slot was free, a moment ago.
    #[inline(always)]
    pub(crate) fn has_free(&self) -> bool {
        self.free_run(self.tail().position(), 1) == 1
    }

    /// Whether a quarter of the positions and one more are free, or will be when the frames in
    /// between are released.
    pub(crate) fn has_free_quarter(&self) -> bool {
        let three_quarters = self.max_messages() - self.max_messages() / 4;
        self.next_claim().checked_sub(three_quarters).is_none_or(|position| self.is_reusable(position))
    }

    /// Closes the queue to producers: the CAS of a claim that has not seen this fails.
    pub(crate) fn close(&self) {
        self.cursors.tail.fetch_or(Tail::CLOSED, Ordering::AcqRel);
    }
}

impl SlotAt<'_> {
    #[inline(always)]
    pub(super) fn fill(self, frame: FrameRef) {
        let FrameRef { lane, offset, len } = frame;
        self.slot.frame.store(PackedFrameRef::new(lane, offset, len).0, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn publish(self) {
        crash_point();
        // SYNC commit
        self.slot.state.store(SlotState::full(self.lap).0, Ordering::Release);
    }
}
