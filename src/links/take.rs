//! The consumer's side: take positions, mark them, and give them back.

use crossbeam_utils::Backoff;

use super::die_point::die_point;
use super::walk::{Step, count_while};
use super::{FrameRef, Guess, IS_RECOVERABLE, Links};
use crate::layout::order::{Head, Intent, LinkState, MAX_BATCH};
use crate::sync::Ordering;

/// Retry limit, so that corrupt words cannot cause a livelock. Positions that a call has skipped stay skipped; the next call
/// continues after them.
const MOST_LOOKS: u32 = 1 << 20;

/// Positions that were won and marked; those among them that nobody committed are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// A frame that was taken for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) position: u64,
    pub(crate) frame: FrameRef,
}

/// One frame that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) position: u64,
    /// How often it was handed out before.
    pub(crate) redeliveries: u64,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// Nothing is claimed that was not taken.
    Empty,
    /// This position is claimed, and not committed yet.
    Pending(u64),
}

impl Links {
    /// Takes the next frame for participant `me`. The caller must hold the lease of `me`.
    ///
    /// Whether the queue is empty or the next position only not committed takes a look at the producers' line; it is
    /// spared if `!exact`, and then `Empty` may mean either.
    #[inline(always)]
    pub(crate) fn take(&self, me: usize, guess: &Guess, exact: bool) -> Result<Found, Nothing> {
        // One loop for the first attempt and the others: were the others a function of their own, what is found would go
        // through memory in either case, and be loaded there sooner than it can be forwarded.
        let backoff = Backoff::new();
        for _ in 0..MOST_LOOKS {
            let head = guess.head(self);
            let position = head.position();
            let step = self.step(position);
            let state = step.state();
            if state != LinkState::full(step.lap) {
                if guess.give_up() {
                    continue;
                }
                match self.not_full(head, state, exact) {
                    Some(nothing) => return Err(nothing),
                    None => continue,
                }
            }
            if self.win(me, guess, head, 1) {
                step.mark(me);
                return Ok(Found { position, frame: Self::frame_ref(step.link) });
            }
            backoff.spin();
        }
        Err(Nothing::Empty)
    }

    /// Whether the next frame could be taken now; passes over what nobody will ever take.
    pub(crate) fn may_take(&self, exact: bool) -> Result<(), Nothing> {
        for _ in 0..MOST_LOOKS {
            let head = self.head();
            let state = self.state_at(head.position());
            if state == LinkState::full(self.lap(head.position())) {
                return Ok(());
            }
            if let Some(nothing) = self.not_full(head, state, exact) {
                return Err(nothing);
            }
        }
        Err(Nothing::Empty)
    }

    /// Takes up to `most` positions. Which of them have frames, [`mark_run`](Self::mark_run) says, which must be called next.
    #[inline(always)]
    pub(crate) fn take_many(
        &self,
        me: usize,
        guess: &Guess,
        most: u64,
        exact: bool,
    ) -> Result<Taken, Nothing> {
        debug_assert!(0 < most && most <= MAX_BATCH);
        let backoff = Backoff::new();
        for _ in 0..MOST_LOOKS {
            let head = guess.head(self);
            let first = head.position();
            let count = self.full_run(first, most);
            if count == 0 {
                if guess.give_up() {
                    continue;
                }
                match self.not_full(head, self.state_at(first), exact) {
                    Some(nothing) => return Err(nothing),
                    None => continue,
                }
            }
            if self.win(me, guess, head, count) {
                return Ok(Taken { first, count });
            }
            backoff.spin();
        }
        Err(Nothing::Empty)
    }

    /// How many of the `most` positions from `first`, which must be FULL, are FULL or over.
    #[inline(always)]
    fn full_run(&self, first: u64, most: u64) -> u64 {
        if self.state_at(first) != LinkState::full(self.lap(first)) {
            return 0;
        }
        count_while(self.run(first, most), |step| {
            let state = step.state();
            state == LinkState::full(step.lap) || state.lap() > step.lap
        })
    }

    /// The link at `head` is not FULL. None: look again.
    #[inline(always)]
    fn not_full(&self, head: Head, state: LinkState, exact: bool) -> Option<Nothing> {
        let position = head.position();
        if state.lap() > self.lap(position) {
            self.pass(head);
            return None;
        }
        if self.head() != head {
            return None;
        }
        let pending = exact && self.tail().position() > position;
        Some(if pending { Nothing::Pending(position) } else { Nothing::Empty })
    }

    /// Nobody will ever take this position: it was not committed, or came out of order.
    #[cold]
    fn pass(&self, head: Head) {
        // Somebody else may have done it.
        let _ =
            self.cursors.head.compare_exchange(head.0, head.taken(1).0, Ordering::AcqRel, Ordering::Relaxed);
    }

    #[inline(always)]
    fn win(&self, me: usize, guess: &Guess, head: Head, count: u64) -> bool {
        let own = &self.entries[me].own;
        // SYNC intent: Release, for it must not become visible before the marks of the take before.
        Self::intend(&own.deq, Intent::new(head.position(), count));
        die_point();
        let taken = head.taken(count);
        let exchanged =
            self.cursors.head.compare_exchange(head.0, taken.0, Ordering::AcqRel, Ordering::Relaxed);
        die_point();
        if exchanged.is_err() {
            Self::intend(&own.deq, Intent::NONE);
            guess.give_up();
            return false;
        }
        guess.moved(head.0, taken.0);
        true
    }

    /// Marks what was taken, one after the other; hands `each` what has a frame as soon as that is marked.
    #[inline(always)]
    pub(crate) fn mark_run(&self, me: usize, taken: Taken, mut each: impl FnMut(Found)) {
        let mut position = taken.first;
        for stretch in self.run(taken.first, taken.count) {
            for step in stretch.steps() {
                // What was FULL then is FULL now: only its winner moves it, and that is me, alive.
                if step.state().lap() == step.lap {
                    die_point();
                    step.mark(me);
                    each(Found { position, frame: Self::frame_ref(step.link) });
                }
                position += 1;
            }
        }
    }

    /// Whether there was something at `head` a moment ago: a frame, or what is to be passed and may have one behind it.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "only tasks pass rings on"))]
    pub(crate) fn has_more(&self) -> bool {
        let position = self.head().position();
        let (state, lap) = (self.state_at(position), self.lap(position));
        state == LinkState::full(lap) || state.lap() > lap
    }

    /// Whether a position that was claimed is committed by now, or will never be.
    #[inline(always)]
    pub(crate) fn is_committed(&self, position: u64) -> bool {
        self.state_at(position) != LinkState::free(self.lap(position))
    }

    /// What a position that is out refers to.
    #[inline(always)]
    pub(crate) fn frame_at(&self, position: u64) -> FrameRef {
        Self::frame_ref(self.link(position))
    }

    /// The frame at a position that is out.
    pub(crate) fn held_at(&self, position: u64) -> Held {
        Held { position, redeliveries: self.state_at(position).redeliveries() }
    }

    /// The frame is not needed any more.
    #[inline(always)]
    pub(crate) fn release(&self, held: Held) {
        let free = LinkState::free(self.lap(held.position) + 1);
        // SYNC release: the guard's reads come before it.
        self.link(held.position).state.store(free.0, Ordering::Release);
    }

    /// Releases the frames at these positions.
    #[inline(always)]
    pub(crate) fn release_all(&self, positions: impl Iterator<Item = u64>) {
        // What does not change, where the stores cannot make the compiler think that it does.
        let (links, mask, shift) = (&*self.links, self.mask, self.shift);
        for position in positions {
            let free = LinkState::free((position >> shift) + 1);
            // SYNC release: the guard's reads come before it.
            links[(position & mask) as usize].state.store(free.0, Ordering::Release);
            die_point();
        }
    }

    /// Puts the frame back, to be handed out again, or drops it if frames never come again.
    pub(crate) fn reject(&self, held: Held) {
        if self.policy.at_most_once {
            return self.release(held);
        }
        let slot = self.slot(held.position);
        if !self.beside.holders.is_empty() {
            self.note_holder(slot, self.state(slot).owner());
        }
        let redo = LinkState::redo(self.lap(held.position), held.redeliveries + 1);
        self.link(held.position).state.store(redo.0, Ordering::Release);
        die_point();
        self.raise_redo_epoch();
    }

    /// Puts a frame back that was not looked at, to be handed out with as many redeliveries as before; also where frames never
    /// come again, since this one was not delivered.
    ///
    /// The link is HELD by the caller, so that nobody else moves it, and one store makes it REDO. REDO with any count, 0
    /// included, is a state that others meet already: recovery makes REDO 0 of a take that was not marked. A caller that dies
    /// before the store leaves the link HELD, and recovery counts a redelivery.
    pub(crate) fn put_back(&self, held: Held) {
        let redo = LinkState::redo(self.lap(held.position), held.redeliveries);
        self.link(held.position).state.store(redo.0, Ordering::Release);
        die_point();
        self.raise_redo_epoch();
    }

    /// Whatever became REDO before is found by every consumer. (`SYNC redo`)
    pub(super) fn raise_redo_epoch(&self) {
        self.rare.redo_epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The position that comes next, a moment ago.
    pub(crate) fn next_take(&self) -> u64 {
        Head(self.cursors.head.load(Ordering::Relaxed)).position()
    }
}

impl Step<'_> {
    #[inline(always)]
    fn mark(self, me: usize) {
        if !IS_RECOVERABLE {
            return;
        }
        let held = LinkState::held(self.lap, me, 0);
        // Release: recovery must not see a later intent of mine before it sees this.
        self.link.state.store(held.0, Ordering::Release);
    }
}
