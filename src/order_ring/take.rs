//! The consumer's side: takes positions and marks them. [`super::release`] gives them back.

use crossbeam_utils::Backoff;

use super::crash_point::crash_point;
use super::intent::IntentKind;
use super::walk::{SlotAt, count_while};
use super::{CursorGuess, FrameRef, HeldSlot, IS_RECOVERABLE, OrderRing, RedeliveryScan};
use crate::layout::order::{Head, Intent, MAX_BATCH, SlotState};
use crate::retry;
use crate::sync::Ordering;

/// Positions that were won and are to be marked; those among them that were never committed are
/// skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TakenPositions {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// A frame that was taken for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TakenSlot {
    pub(crate) position: u64,
    pub(crate) frame: FrameRef,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// No position is claimed and not taken.
    Empty,
    /// This position is claimed, and not committed yet.
    Uncommitted(u64),
}

/// What a consumer knows between its calls.
pub(crate) struct TakeState {
    /// Where the next take begins.
    guess: CursorGuess<Head>,
    redelivery: RedeliveryScan,
}

impl TakeState {
    pub(crate) fn new(ring: &OrderRing) -> Self {
        Self { guess: CursorGuess::new(ring), redelivery: RedeliveryScan::new(ring) }
    }
}

/// The consumer's side of an attached [`Entry`](super::Entry).
#[derive(Clone, Copy)]
pub(crate) struct Consumer<'a> {
    pub(super) ring: &'a OrderRing,
    pub(super) me: usize,
    pub(super) state: &'a TakeState,
}

impl Consumer<'_> {
    /// Takes the next frame.
    ///
    /// Telling an empty queue from a next position that is claimed but not committed takes a read
    /// of the producers' line. If `!exact`, that read is omitted, and `Empty` may mean either.
    #[inline(always)]
    pub(crate) fn take(self, exact: bool) -> Result<TakenSlot, NotTaken> {
        let Self { ring, me, state: TakeState { guess, .. } } = self;
        // One loop for the first attempt and the others. If the others were a function of their
        // own, the result would go through memory in either case, and be loaded there sooner than
        // it can be forwarded.
        let backoff = Backoff::new();
        for _ in retry::CURSOR.rounds() {
            let head = guess.cursor(ring);
            let position = head.position();
            let step = ring.slot_at(position);
            let state = step.state();
            if state != SlotState::full(step.lap) {
                if guess.invalidate() {
                    continue;
                }
                match ring.empty_or_uncommitted(head, state, exact) {
                    Some(nothing) => return Err(nothing),
                    None => continue,
                }
            }
            if self.cas_head(head, 1) {
                step.mark(me);
                return Ok(TakenSlot { position, frame: OrderRing::frame_ref(step.slot) });
            }
            backoff.spin();
        }
        Err(NotTaken::Empty)
    }

    /// Takes up to `most` positions. [`mark_run`](Self::mark_run), which must be called next, says
    /// which of them have frames.
    #[inline(always)]
    pub(crate) fn take_many(self, most: u64, exact: bool) -> Result<TakenPositions, NotTaken> {
        debug_assert!(0 < most && most <= MAX_BATCH);
        let Self { ring, state: TakeState { guess, .. }, .. } = self;
        let backoff = Backoff::new();
        for _ in retry::CURSOR.rounds() {
            let head = guess.cursor(ring);
            let first = head.position();
            let count = ring.full_run(first, most);
            if count == 0 {
                if guess.invalidate() {
                    continue;
                }
                match ring.empty_or_uncommitted(head, ring.state_at(first), exact) {
                    Some(nothing) => return Err(nothing),
                    None => continue,
                }
            }
            if self.cas_head(head, count) {
                return Ok(TakenPositions { first, count });
            }
            backoff.spin();
        }
        Err(NotTaken::Empty)
    }

    #[inline(always)]
    fn cas_head(self, head: Head, count: u64) -> bool {
        let (guess, own) = (&self.state.guess, &self.ring.entries[self.me].own);
        // SYNC intent: Release, for it must not become visible before the marks of the take before.
        OrderRing::store_intent(own, IntentKind::Take, Intent::new(head.position(), count));
        crash_point();
        let taken = head.taken(count);
        let cursor = &self.ring.cursors.head;
        let exchanged = cursor.compare_exchange(head.0, taken.0, Ordering::AcqRel, Ordering::Relaxed);
        crash_point();
        if exchanged.is_err() {
            OrderRing::store_intent(own, IntentKind::Take, Intent::NONE);
            guess.invalidate();
            return false;
        }
        guess.moved(head, taken);
        true
    }

    /// Marks the taken positions one after the other; passes each that has a frame to `each` as
    /// soon as it is marked.
    #[inline(always)]
    pub(crate) fn mark_run(self, taken: TakenPositions, mut each: impl FnMut(TakenSlot)) {
        let mut position = taken.first;
        for stretch in self.ring.run(taken.first, taken.count) {
            for step in stretch.steps() {
                // What was FULL then is FULL now: only its winner moves it, and that is this
                // participant, alive.
                if step.state().lap() == step.lap {
                    crash_point();
                    step.mark(self.me);
                    each(TakenSlot { position, frame: OrderRing::frame_ref(step.slot) });
                }
                position += 1;
            }
        }
    }

    /// Whether there may be frames to redeliver.
    #[inline(always)]
    pub(crate) fn is_redelivery_due(self) -> bool {
        self.state.redelivery.is_due(self.ring)
    }

    /// Takes the oldest frame that is to be redelivered.
    #[cold]
    pub(crate) fn take_redelivery(self) -> Option<HeldSlot> {
        self.state.redelivery.take(self.ring, self.me)
    }

    /// Whether there is a frame to redeliver.
    pub(crate) fn can_take_redelivery(self) -> bool {
        self.state.redelivery.can_take(self.ring)
    }

    /// Counts frames that were delivered, redeliveries included.
    #[inline(always)]
    pub(crate) fn count_received(self, count: u64) {
        OrderRing::add(&self.ring.entries[self.me].own.received, count);
    }

    /// Counts frames that were delivered before.
    pub(crate) fn count_redelivered(self, count: u64) {
        OrderRing::add(&self.ring.entries[self.me].own.redelivered, count);
    }
}

impl OrderRing {
    /// Whether the next frame could be taken now. Skips positions that will never be taken.
    pub(crate) fn can_take(&self, exact: bool) -> Result<(), NotTaken> {
        for _ in retry::CURSOR.rounds() {
            let head = self.head();
            let state = self.state_at(head.position());
            if state == SlotState::full(self.lap(head.position())) {
                return Ok(());
            }
            if let Some(nothing) = self.empty_or_uncommitted(head, state, exact) {
                return Err(nothing);
            }
        }
        Err(NotTaken::Empty)
    }

    /// Counts the positions from `first` on, `most` at most, up to the first that is neither FULL
    /// nor of a later lap. 0 if `first` itself is not FULL.
    #[inline(always)]
    fn full_run(&self, first: u64, most: u64) -> u64 {
        if self.state_at(first) != SlotState::full(self.lap(first)) {
            return 0;
        }
        count_while(self.run(first, most), |step| {
            let state = step.state();
            state == SlotState::full(step.lap) || state.lap() > step.lap
        })
    }

    /// Handles a slot at `head` that is not FULL. `None`: attempt again.
    #[inline(always)]
    fn empty_or_uncommitted(&self, head: Head, state: SlotState, exact: bool) -> Option<NotTaken> {
        let position = head.position();
        if state.lap() > self.lap(position) {
            self.skip(head);
            return None;
        }
        if self.head() != head {
            return None;
        }
        let pending = exact && self.tail().position() > position;
        Some(if pending { NotTaken::Uncommitted(position) } else { NotTaken::Empty })
    }

    /// Skips a position that will never be taken: it was not committed, or was taken out of order.
    #[cold]
    fn skip(&self, head: Head) {
        // Another consumer may have done it.
        let _ =
            self.cursors.head.compare_exchange(head.0, head.taken(1).0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Whether a position that was claimed is committed by now, or will never be.
    #[inline(always)]
    pub(crate) fn is_committed(&self, position: u64) -> bool {
        self.state_at(position) != SlotState::free(self.lap(position))
    }

    /// The frame that a position in flight refers to.
    #[inline(always)]
    pub(crate) fn frame_at(&self, position: u64) -> FrameRef {
        Self::frame_ref(self.slot(position))
    }
}

impl SlotAt<'_> {
    #[inline(always)]
    fn mark(self, me: usize) {
        if !IS_RECOVERABLE {
            return;
        }
        let held = SlotState::held(self.lap, me, 0);
        // Release: recovery must not see a later intent of this participant before it sees this
        // state.
        self.slot.state.store(held.0, Ordering::Release);
    }
}
