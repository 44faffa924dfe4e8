//! The producer's side: claims positions, then commits the frames that are already in the lane.

use std::cell::Cell;

use crossbeam_utils::Backoff;

use super::BroadcastRing;
use crate::layout::order::{Intent, MAX_BATCH, Tail};
use crate::order_ring::claim::SLOTS_AHEAD;
use crate::order_ring::crash_point::crash_point;
use crate::order_ring::intent::IntentKind;
use crate::order_ring::walk::SlotAt;
use crate::order_ring::{Claimed, CursorGuess, FrameRef, NotClaimed, OrderRing};
use crate::retry;
use crate::sync::{Ordering, fence};

/// What a producer knows of the shared cursors.
pub(crate) struct ProducerState {
    /// Where the next claim begins; one writer: exactly.
    guess: CursorGuess<Tail>,
    /// A copy of `free`: what it has loaded last.
    free: Cell<u64>,
    /// The entry whose cursor was in the way last: it alone is read until it moves.
    pub(super) gate: Cell<Option<usize>>,
}

impl ProducerState {
    /// One writer: after the takeover.
    pub(crate) fn new(ring: &BroadcastRing) -> Self {
        let state = Self { guess: CursorGuess::new(&ring.order), free: Cell::new(0), gate: Cell::new(None) };
        state.refresh(ring);
        state
    }

    /// Loads `free`: what is written from now on may overwrite what lies below it.
    fn refresh(&self, ring: &BroadcastRing) -> u64 {
        let free = ring.free();
        self.free.set(free);
        // A copy that sees bytes which are written from here on sees this `free`, too.
        fence(Ordering::Release);
        free
    }
}

/// The producer's side of an attached entry.
#[derive(Clone, Copy)]
pub(crate) struct BroadcastProducer<'a> {
    pub(super) ring: &'a BroadcastRing,
    pub(super) me: usize,
    pub(super) state: &'a ProducerState,
}

impl BroadcastProducer<'_> {
    /// Notices what other raises have made over.
    pub(crate) fn refresh(self) {
        self.state.refresh(self.ring);
    }

    /// Counts the positions from `first` on, `most` at most, that are over.
    #[inline(always)]
    pub(crate) fn count_over(self, first: u64, most: u64) -> u64 {
        let count = |free: u64| free.saturating_sub(first).min(most);
        let known = count(self.state.free.get());
        if known == most { known } else { count(self.state.refresh(self.ring)) }
    }

    /// How many positions may be claimed from `first` on: `least`, or as many as there are.
    #[inline(always)]
    fn room(self, first: u64, least: u64) -> u64 {
        let order = &self.ring.order;
        let until = |free: u64| free.saturating_add(order.max_messages()).min(order.limit);
        let room = until(self.state.free.get()).saturating_sub(first);
        if room >= least { room } else { until(self.state.refresh(self.ring)).saturating_sub(first) }
    }

    /// Claims as many as possible of the next `most` positions, but not fewer than `least`. `Full`
    /// has the position up to which positions must be over.
    ///
    /// The caller must have its frames complete, and commit every position that it wins before it
    /// claims again.
    #[inline(always)]
    pub(crate) fn claim(self, least: u64, most: u64) -> Result<Claimed, NotClaimed> {
        debug_assert!(0 < least && least <= most && most <= MAX_BATCH);
        match self.try_claim(least, most) {
            Err(None) => self.claim_contended(least, most),
            Err(Some(not_claimed)) => Err(not_claimed),
            Ok(claimed) => Ok(claimed),
        }
    }

    /// Another participant won the CAS.
    #[cold]
    #[inline(never)]
    fn claim_contended(self, least: u64, most: u64) -> Result<Claimed, NotClaimed> {
        let backoff = Backoff::new();
        for _ in retry::CURSOR.rounds() {
            backoff.spin();
            match self.try_claim(least, most) {
                Err(None) => {}
                Err(Some(not_claimed)) => return Err(not_claimed),
                Ok(claimed) => return Ok(claimed),
            }
        }
        Err(NotClaimed::Full(self.target(self.ring.newest(), least)))
    }

    /// One attempt. `Err(None)`: another participant won the CAS, or may have.
    #[inline(always)]
    fn try_claim(self, least: u64, most: u64) -> Result<Claimed, Option<NotClaimed>> {
        let (ring, guess) = (self.ring, &self.state.guess);
        let tail = guess.cursor(&ring.order);
        let first = tail.position();
        let count = self.room(first, least).min(most);
        if count < least || tail.is_closed() {
            let is_so = !guess.invalidate() && ring.order.tail() == tail;
            return Err(is_so.then(|| self.not_claimed(tail, least)));
        }
        if ring.has_one_writer() {
            return Ok(Claimed { first, count });
        }
        if self.cas_tail(tail, count) { Ok(Claimed { first, count }) } else { Err(None) }
    }

    /// Moves `tail` over `count` positions. False: another participant won the CAS.
    #[inline(always)]
    fn cas_tail(self, tail: Tail, count: u64) -> bool {
        let (order, guess) = (&self.ring.order, &self.state.guess);
        let own = &order.entries[self.me].own;
        // SYNC intent: Release, for it must not become visible before the commits of the claim before.
        OrderRing::store_intent(own, IntentKind::Claim, Intent::new(tail.position(), count));
        crash_point();
        let claimed = tail.claimed(count);
        let exchanged =
            order.cursors.tail.compare_exchange(tail.0, claimed.0, Ordering::AcqRel, Ordering::Relaxed);
        crash_point();
        if exchanged.is_err() {
            OrderRing::store_intent(own, IntentKind::Claim, Intent::NONE);
            guess.invalidate();
            return false;
        }
        guess.moved(tail, claimed);
        order.prefetch_slots(claimed.position() + SLOTS_AHEAD, count);
        true
    }

    #[cold]
    fn not_claimed(self, tail: Tail, least: u64) -> NotClaimed {
        let first = tail.position();
        if tail.is_closed() {
            NotClaimed::Closed
        } else if self.ring.order.limit.saturating_sub(first) < least {
            NotClaimed::PositionsExhausted
        } else {
            NotClaimed::Full(self.target(first, least))
        }
    }

    /// Up to where positions must be over before `least` positions may be claimed from `first` on.
    fn target(self, first: u64, least: u64) -> u64 {
        first.saturating_add(least).saturating_sub(self.ring.max_messages())
    }

    /// Up to where positions must be over for the next claim of one position, as this producer
    /// knows it; `None` if there is room for it.
    pub(crate) fn awaited(self) -> Option<u64> {
        let first = self.ring.newest();
        (self.room(first, 1) == 0).then(|| self.target(first, 1))
    }

    /// A frame in the producer's own lane.
    #[inline(always)]
    pub(crate) fn frame_ref(self, offset: u64, len: u64) -> FrameRef {
        FrameRef { lane: self.me, offset, len }
    }

    /// Makes a frame at a claimed position visible. Nothing that can fail or block may come between
    /// claim and commit.
    #[inline(always)]
    pub(crate) fn commit(self, position: u64, frame: FrameRef) {
        let step = self.ring.order.slot_at(position);
        step.fill(frame);
        step.publish();
        self.store_tail(position, 1);
    }

    /// Like [`commit`](Self::commit), for consecutive positions. Many writers: in order. One writer:
    /// all of them become visible together.
    #[inline(always)]
    pub(crate) fn commit_run(self, first: u64, mut frames: impl ExactSizeIterator<Item = FrameRef>) {
        let count = frames.len() as u64;
        let order = &self.ring.order;
        if !self.ring.has_one_writer() {
            let mut commit = |step: SlotAt<'_>| {
                if let Some(frame) = frames.next() {
                    step.fill(frame);
                    step.publish();
                }
            };
            for stretch in order.run(first, count) {
                stretch.steps().for_each(&mut commit);
            }
            return;
        }
        let Some(oldest) = frames.next() else { return };
        let mut commit = |step: SlotAt<'_>| {
            if let Some(frame) = frames.next() {
                step.fill(frame);
                step.publish();
            }
        };
        for stretch in order.run(first + 1, count - 1) {
            stretch.steps().for_each(&mut commit);
        }
        // Last: consumers do not pass it.
        let step = order.slot_at(first);
        step.fill(oldest);
        step.publish();
        self.store_tail(first, count);
    }

    /// One writer: moves `tail` after the commit.
    #[inline(always)]
    fn store_tail(self, first: u64, count: u64) {
        if self.ring.has_one_writer() {
            crash_point();
            let (from, to) = (Tail::at(first), Tail::at(first + count));
            // Release: who sees it sees the positions before it committed.
            self.ring.order.cursors.tail.store(to.0, Ordering::Release);
            self.state.guess.moved(from, to);
            self.ring.order.prefetch_slots(first + count + SLOTS_AHEAD, count);
        }
    }

    /// Counts committed frames.
    #[inline(always)]
    pub(crate) fn count_sent(self, count: u64) {
        OrderRing::add(&self.ring.order.entries[self.me].own.sent, count);
    }

    /// Counts an attempt that found no room.
    pub(crate) fn count_full(self) {
        OrderRing::add(&self.ring.order.entries[self.me].own.full, 1);
    }
}
