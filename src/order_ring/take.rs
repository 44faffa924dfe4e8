//! The consumer's side: takes positions, marks them, and releases or rejects them.

use crossbeam_utils::Backoff;

use super::crash_point::crash_point;
use super::walk::{SlotAt, count_while};
use super::{CursorGuess, FrameRef, IS_RECOVERABLE, OrderRing};
use crate::layout::order::{Head, Intent, MAX_BATCH, SlotState};
use crate::sync::Ordering;

/// Retry limit, so that corrupt words cannot cause a livelock. Positions that a call has skipped
/// stay skipped; the next call continues after them.
const RETRY_LIMIT: u32 = 1 << 20;

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

/// One frame in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldSlot {
    pub(crate) position: u64,
    /// How many times it was delivered before.
    pub(crate) redeliveries: u64,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// No position is claimed and not taken.
    Empty,
    /// This position is claimed, and not committed yet.
    Uncommitted(u64),
}

impl OrderRing {
    /// Takes the next frame for participant `me`. The caller must hold the liveness lock of `me`.
    ///
    /// Telling an empty queue from a next position that is claimed but not committed takes a read
    /// of the producers' line. If `!exact`, that read is omitted, and `Empty` may mean either.
    #[inline(always)]
    pub(crate) fn take(&self, me: usize, guess: &CursorGuess, exact: bool) -> Result<TakenSlot, NotTaken> {
        // One loop for the first attempt and the others. If the others were a function of their
        // own, the result would go through memory in either case, and be loaded there sooner than
        // it can be forwarded.
        let backoff = Backoff::new();
        for _ in 0..RETRY_LIMIT {
            let head = guess.head(self);
            let position = head.position();
            let step = self.slot_at(position);
            let state = step.state();
            if state != SlotState::full(step.lap) {
                if guess.invalidate() {
                    continue;
                }
                match self.empty_or_uncommitted(head, state, exact) {
                    Some(nothing) => return Err(nothing),
                    None => continue,
                }
            }
            if self.cas_head(me, guess, head, 1) {
                step.mark(me);
                return Ok(TakenSlot { position, frame: Self::frame_ref(step.slot) });
            }
            backoff.spin();
        }
        Err(NotTaken::Empty)
    }

    /// Whether the next frame could be taken now. Skips positions that will never be taken.
    pub(crate) fn can_take(&self, exact: bool) -> Result<(), NotTaken> {
        for _ in 0..RETRY_LIMIT {
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

    /// Takes up to `most` positions. [`mark_run`](Self::mark_run), which must be called next, says
    /// which of them have frames.
    #[inline(always)]
    pub(crate) fn take_many(
        &self,
        me: usize,
        guess: &CursorGuess,
        most: u64,
        exact: bool,
    ) -> Result<TakenPositions, NotTaken> {
        debug_assert!(0 < most && most <= MAX_BATCH);
        let backoff = Backoff::new();
        for _ in 0..RETRY_LIMIT {
            let head = guess.head(self);
            let first = head.position();
            let count = self.full_run(first, most);
            if count == 0 {
                if guess.invalidate() {
                    continue;
                }
                match self.empty_or_uncommitted(head, self.state_at(first), exact) {
                    Some(nothing) => return Err(nothing),
                    None => continue,
                }
            }
            if self.cas_head(me, guess, head, count) {
                return Ok(TakenPositions { first, count });
            }
            backoff.spin();
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

    #[inline(always)]
    fn cas_head(&self, me: usize, guess: &CursorGuess, head: Head, count: u64) -> bool {
        let own = &self.entries[me].own;
        // SYNC intent: Release, for it must not become visible before the marks of the take before.
        Self::store_intent(&own.take_intent, Intent::new(head.position(), count));
        crash_point();
        let taken = head.taken(count);
        let exchanged =
            self.cursors.head.compare_exchange(head.0, taken.0, Ordering::AcqRel, Ordering::Relaxed);
        crash_point();
        if exchanged.is_err() {
            Self::store_intent(&own.take_intent, Intent::NONE);
            guess.invalidate();
            return false;
        }
        guess.moved(head.0, taken.0);
        true
    }

    /// Marks the taken positions one after the other; passes each that has a frame to `each` as
    /// soon as it is marked.
    #[inline(always)]
    pub(crate) fn mark_run(&self, me: usize, taken: TakenPositions, mut each: impl FnMut(TakenSlot)) {
        let mut position = taken.first;
        for stretch in self.run(taken.first, taken.count) {
            for step in stretch.steps() {
                // What was FULL then is FULL now: only its winner moves it, and that is this
                // participant, alive.
                if step.state().lap() == step.lap {
                    crash_point();
                    step.mark(me);
                    each(TakenSlot { position, frame: Self::frame_ref(step.slot) });
                }
                position += 1;
            }
        }
    }

    /// Whether there was something at `head` a moment ago: a frame, or a position to skip that may
    /// have a frame after it.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "only tasks pass wakes on"))]
    pub(crate) fn has_more(&self) -> bool {
        let position = self.head().position();
        let (state, lap) = (self.state_at(position), self.lap(position));
        state == SlotState::full(lap) || state.lap() > lap
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

    /// The frame at a position in flight, as [`release`](Self::release) and
    /// [`reject`](Self::reject) need it.
    pub(crate) fn held_at(&self, position: u64) -> HeldSlot {
        HeldSlot { position, redeliveries: self.state_at(position).redeliveries() }
    }

    /// Releases the frame: it is no longer needed.
    #[inline(always)]
    pub(crate) fn release(&self, held: HeldSlot) {
        let free = SlotState::free(self.lap(held.position) + 1);
        // SYNC release: the guard's reads come before it.
        self.slot(held.position).state.store(free.0, Ordering::Release);
    }

    /// Releases the frames at `positions`.
    #[inline(always)]
    pub(crate) fn release_all(&self, positions: impl Iterator<Item = u64>) {
        // Values that do not change, in locals so that the compiler does not assume that the stores
        // change them.
        let (slots, mask, shift) = (&*self.slots, self.mask, self.shift);
        for position in positions {
            let free = SlotState::free((position >> shift) + 1);
            // SYNC release: the guard's reads come before it.
            slots[(position & mask) as usize].state.store(free.0, Ordering::Release);
            crash_point();
        }
    }

    /// Returns the frame to the queue, to be redelivered, or drops it if frames are delivered at
    /// most once.
    pub(crate) fn reject(&self, held: HeldSlot) {
        if self.policy.at_most_once {
            return self.release(held);
        }
        let slot = self.index_of(held.position);
        if !self.extras.holders.is_empty() {
            self.note_holder(slot, self.state(slot).owner());
        }
        let redo = SlotState::redeliver(self.lap(held.position), held.redeliveries + 1);
        self.slot(held.position).state.store(redo.0, Ordering::Release);
        crash_point();
        self.bump_redelivery_epoch();
    }

    /// Returns a frame that was not read to the queue, to be delivered with the same number of
    /// redeliveries as before; also where frames are delivered at most once, since this one was not
    /// delivered.
    ///
    /// The slot is HELD by the caller, so that no other participant moves it, and one store makes
    /// it REDELIVER. REDELIVER with any count, 0 included, is a state that others meet already:
    /// recovery makes REDELIVER 0 of a take that was not marked. A caller that dies before the
    /// store leaves the slot HELD, and recovery counts a redelivery.
    pub(crate) fn put_back(&self, held: HeldSlot) {
        let redo = SlotState::redeliver(self.lap(held.position), held.redeliveries);
        self.slot(held.position).state.store(redo.0, Ordering::Release);
        crash_point();
        self.bump_redelivery_epoch();
    }

    /// Makes every consumer find all slots that became REDELIVER before. (`SYNC redelivery`)
    pub(super) fn bump_redelivery_epoch(&self) {
        self.rare.redelivery_epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The position that is taken next, a moment ago.
    pub(crate) fn next_take(&self) -> u64 {
        Head(self.cursors.head.load(Ordering::Relaxed)).position()
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
