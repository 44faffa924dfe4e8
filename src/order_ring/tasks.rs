//! How many messages are not done yet: what `task_done` counts down and `join` waits for.
//!
//! Every committed message is a *task* until a consumer declares it done. No lock is involved: a
//! dead participant can neither keep the count from changing nor make it wrong.
//!
//! # The words
//!
//! - `done`: how many tasks were declared done. Raised by CAS.
//! - `skipped`: how many positions never carry a message: those before the start of the queue, and
//!   tombstones. Stored under the recovery lock only.
//! - `skip_target`, `skip_position`: the record of the tombstone that is being made.
//!
//! ```text
//!   unfinished = tail - skipped - done
//! ```
//!
//! A position that is claimed and not committed counts as unfinished: it will be committed, or its
//! producer is dead, and then recovery makes it a tombstone. So sending costs nothing for this.
//!
//! # Why `skipped` is exact
//!
//! Under the recovery lock, [`make_tombstone`](OrderRing::make_tombstone) does this:
//!
//! 1. reads the slot again, and goes on only if it is unchanged;
//! 2. stores `skip_target := skipped + 1`, then `skip_position := 1 + position` (Release);
//! 3. stores `skipped := skip_target` (Release);
//! 4. moves the slot from FREE(lap) to FREE(lap + 1), by CAS;
//! 5. stores `skip_position := 0` (Release).
//!
//! *Claim.* After 1 no participant but recovery moves the slot. *Proof.* No living participant's
//! intent covered the position when the intents were read. Had a living participant claimed it
//! before the cursors were read, its intent would have been replaced by a later one, and a reader
//! that acquires the later intent sees the slot moved (`SYNC intent`): 1 would have seen that. So
//! its claimer is dead. ∎
//!
//! From the store of `skip_position` on, the tombstone is decided. Steps 3 to 5 are the same
//! whichever pass does them, and however often: a store of a fixed number, a CAS from a state that occurs once,
//! and a store of 0. A pass that is killed between 2 and 5 leaves the record, and the next pass does
//! 3 to 5 before all else ([`finish_tombstone`](OrderRing::finish_tombstone)). A pass that is
//! killed earlier leaves a record without a position, which means nothing. So each tombstone is
//! counted once, and it is counted before consumers can pass it.
//!
//! # Why `join` never returns early
//!
//! `done` and `skipped` are read (Acquire) before `tail`.
//!
//! *Claim.* If they add up to the `tail` that is read, all positions before it are tombstones or
//! done. *Proof.* Let `D` and `S` be the values read. `D` was reached by as many calls, each of
//! which had seen more committed messages than it found counted ([`task_done`](OrderRing::task_done)).
//! So at least `D` messages were committed, at positions before a `tail` that these calls had
//! acquired; and `S` other positions, before a `tail` that recovery had acquired, are skipped. The
//! increments of `done` (AcqRel) and the stores of `skipped` (Release) pass this on: the `tail` read
//! afterwards is after all of them. It has room for exactly `D + S` positions, so there are no
//! others. ∎
//!
//! And it returns: once everything is done, the words add up. The last one to raise `done` or
//! `skipped` notifies the eventcount for tasks; if it is killed before that, the sleep timeout of
//! the caller of `join` ends. That caller also recovers from dead participants.
//!
//! # Why `task_done` refuses exactly what is too much
//!
//! A call is accepted only if more messages were committed than are counted as done. Positions
//! before `head` are committed or tombstones, and the tombstones among them are counted in
//! `skipped`, since that comes before 4: so `head - skipped` is a lower bound, and a consumer that
//! has received a message almost always finds it sufficient. Otherwise all slots are examined: the
//! positions before `tail` whose slot is still FREE are not committed, but for one that is counted
//! in `skipped` already. `skipped` and the record are read before and after this; if they are
//! unchanged, the numbers belong together.

use crossbeam_utils::Backoff;

use super::OrderRing;
use super::crash_point::crash_point;
use crate::lane::Corruption;
use crate::layout::order::{SlotKind, SlotState};
use crate::retry;
use crate::sync::Ordering;

/// `skipped`, and the record of the tombstone that is being made.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Skips {
    skipped: u64,
    target: u64,
    position: Option<u64>,
}

impl Skips {
    /// Whether the position is counted although its slot may be FREE still.
    fn counts(self, position: u64) -> bool {
        self.position == Some(position) && self.skipped == self.target
    }
}

impl OrderRing {
    /// Makes the position of a slot, whose state was `state` when the intents were read and found
    /// not to cover it, a tombstone. False if the slot has moved since. Under the recovery lock.
    pub(super) fn make_tombstone(&self, slot: usize, state: SlotState) -> bool {
        if self.state(slot) != state {
            return false;
        }
        let rare = &*self.rare;
        // Wrapping: a corrupt word must not cause a panic.
        let target = rare.skipped.load(Ordering::Relaxed).wrapping_add(1);
        rare.skip_target.store(target, Ordering::Relaxed);
        crash_point();
        // SYNC tombstone
        rare.skip_position.store(self.position(state, slot).wrapping_add(1), Ordering::Release);
        crash_point();
        self.finish_tombstone()
    }

    /// Finishes the tombstone that is recorded, if there is one. True if its slot had not been moved
    /// yet. Under the recovery lock.
    pub(super) fn finish_tombstone(&self) -> bool {
        let Skips { target, position, .. } = self.skips();
        let Some(position) = position else { return false };
        let (rare, mut moved) = (&*self.rare, false);
        // A record of a position that was never claimed is corrupt; no slot is moved for it.
        if position < self.tail().position() {
            rare.skipped.store(target, Ordering::Release);
            crash_point();
            let (free, next) = (SlotState::free(self.lap(position)), SlotState::free(self.lap(position) + 1));
            let state = &self.slot(position).state;
            // It fails if the pass that made the record has done this before it was killed.
            moved = state.compare_exchange(free.0, next.0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            crash_point();
        }
        rare.skip_position.store(0, Ordering::Release);
        crash_point();
        moved
    }

    fn skips(&self) -> Skips {
        let rare = &*self.rare;
        let skipped = rare.skipped.load(Ordering::Acquire);
        // SYNC tombstone: the target belongs to the position.
        let position = rare.skip_position.load(Ordering::Acquire).checked_sub(1);
        Skips { skipped, target: rare.skip_target.load(Ordering::Relaxed), position }
    }

    /// How many messages are not done.
    ///
    /// # Errors
    /// If the words contradict each other.
    pub(crate) fn unfinished(&self) -> Result<u64, Corruption> {
        let done = self.cursors.done.load(Ordering::Acquire);
        let skipped = self.rare.skipped.load(Ordering::Acquire);
        let tail = self.tail().position();
        let unfinished = tail.wrapping_sub(skipped).wrapping_sub(done);
        if unfinished <= tail {
            Ok(unfinished)
        } else {
            Err(Corruption { word: "done", position: tail, found: done })
        }
    }

    /// Counts a message as done. False if all that were committed are.
    pub(crate) fn task_done(&self) -> bool {
        let (done, backoff) = (&*self.cursors.done, Backoff::new());
        let mut seen = done.load(Ordering::Acquire);
        for _ in retry::CURSOR.rounds() {
            if !self.has_committed_more_than(seen) {
                return false;
            }
            let next = seen.wrapping_add(1);
            match done.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    crash_point();
                    return true;
                }
                Err(now) => seen = now,
            }
            backoff.spin();
        }
        false
    }

    fn has_committed_more_than(&self, count: u64) -> bool {
        let head = self.head().position();
        let skipped = self.rare.skipped.load(Ordering::Acquire);
        // As signed numbers: fewer may have been taken than are done, and words may be corrupt.
        let is_more = |committed: u64| committed.wrapping_sub(count).cast_signed() > 0;
        is_more(head.wrapping_sub(skipped)) || is_more(self.committed())
    }

    /// How many messages were committed: at least those that the caller knows of, and no more than
    /// there are now.
    #[cold]
    fn committed(&self) -> u64 {
        let mut committed = 0;
        for _ in retry::CALL.rounds() {
            let before = self.skips();
            let tail = self.tail().position();
            let is_uncommitted = |slot: &usize| {
                let state = self.state(*slot);
                let position = self.position(state, *slot);
                state.kind() == SlotKind::Free && position < tail && !before.counts(position)
            };
            let uncommitted = (0..self.slots.len()).filter(is_uncommitted).count() as u64;
            committed = tail.wrapping_sub(before.skipped).wrapping_sub(uncommitted);
            if self.skips() == before {
                break;
            }
        }
        committed
    }
}
