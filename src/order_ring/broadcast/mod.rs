//! The order ring of a broadcast queue: one order for all messages, and a cursor for each consumer
//! instead of taking. Each consumer sees each message.
//!
//! # Words
//!
//! - `tail`: the next position to claim, as in an MPMC queue.
//! - `floor`: positions below it are *announced*: no consumer begins there any more.
//! - `free`: positions below it are *over*: their slots and bytes may be written again.
//! - A **cursor** in the registry entry of each consumer that producers wait for: positions from it
//!   on are kept. No cursor: the consumer holds nothing up.
//! - Slots as in an MPMC queue, of which only two states occur. With `L` for the lap of a position:
//!
//! ```text
//!   FREE(L) or FULL(L-1)   to be claimed, or claimed and not committed
//!   FULL(L)                committed
//!   FREE(L+1)              a tombstone: claimed by a producer that died
//! ```
//!
//! No participant stores into a slot when it is done reading.
//!
//! # The protocol
//!
//! ```text
//! producer   room in the lane: the frames at positions below free are over            refresh
//!            write the payload
//!            t = tail; t < free + maximum messages, by its own copy of free            refresh
//!            intent, CAS tail from t                            (one writer: neither)
//!            frame reference, then state FULL(L)                (Release, SYNC commit)
//!            (one writer: a batch stores its first state last; then tail)
//! raise(T)   a producer needs position T-1 to be over
//!            1. want = T and an eighth of what is retained, at most tail
//!               want <= each position that an intent covers and that is not committed  SYNC intent
//!            2. want <= each cursor (Acquire, SYNC release). Below T: that one is in the way
//!            3. floor = max(floor, want)
//!            4. fence SeqCst
//!            5. over = min(want, each cursor, read once more)  (Acquire, SYNC release)
//!            6. free = max(free, over)                         (Release, SYNC over)
//! join(c)    the entry is DIRTY; cursor = c; fence SeqCst; f = floor; begin at max(c, f)
//!            and set the cursor to that. A seek is a join, and so is the pin of a lossy consumer
//!            that reads in place
//! release    cursor = the first position that is not released  (Release, SYNC release)
//! lossy      state FULL(L)? frame reference; copy by atomic loads; fence Acquire;
//!            free <= x? deliver : jump to floor
//!            state FREE(L+1)? fence Acquire; free <= x? a tombstone : jump to floor
//! recovery   of a consumer: no cursor, then CLEAN. Of a producer: positions of its intent that are
//!            below tail, not committed, and not covered by a living intent, become tombstones by
//!            CAS from the state that was examined; then CLEAN
//! takeover   one writer: from tail over FULL(L); then each slot after that which is FULL of its
//!            position there becomes FREE(L); then tail is stored
//! ```
//!
//! # Invariants
//!
//! - **B1** `free <= floor <= tail`, and `free` is at most each cursor that was stored before a fence
//!   after which its owner saw `floor` at or below it.
//! - **B2** The bytes and the slot of position `x` are written again only by a participant that has
//!   loaded `free > x`.
//! - **B3** `x` is read in place only under a cursor at or below `x` that joined as above.
//! - **B4** `free` never passes a position that is not committed (a tombstone counts as committed).
//! - **B5** The lap of a slot never decreases.
//! - **B6** An entry that is CLEAN has no cursor.
//! - **B7** A position means one message: what is delivered at `x` to one consumer is what is delivered
//!   at `x` to all.
//!
//! *Why B4.* A raise reads `tail` (Acquire) before the intents. A position below that `tail` which is
//! not committed is covered by the intent of the participant that won it, for as long as it is not:
//! "Why recovery knows what it may touch" in [`super`], with the commit as the only move of a slot.
//! One writer: `tail` is stored after the states, so that each position below `tail` is committed.
//!
//! *Why B5 and B7.* A slot is claimed for `x + slots` only after `free > x`, by B4 after `x` was
//! committed. A commit stores FULL of the claimed position, recovery FREE of the next lap by CAS,
//! and a takeover FREE of the lap that is there, only after a slot that is not committed: no consumer
//! passes that one, so none has been delivered what the slots after it say. A consumer without a
//! cursor that is a lap behind sees such a FREE as that of a tombstone, and so validates it.
//!
//! ## Why no byte changes under a guard
//!
//! Let R read `x` in place, and W write its bytes or its slot again. By B2 W had loaded `free > x`
//! (Acquire, `SYNC over`), which was stored in step 6 by a raiser A: it had stored `floor > x` in
//! step 3, fenced (F_A), and then read R's cursor in step 5 as above `x`, or as none. By B3 R had
//! stored a cursor at or below `x`, fenced (F_R), and then seen `floor <= x`.
//!
//! SeqCst fences have one order.
//! - F_R is before F_A. Then A's read in step 5 sees R's store or a later one. Later ones are at or
//!   below `x` until R has released `x`: a later one above `x`, or none, is a release after R's reads
//!   (Release, `SYNC release`), which A acquires, and W with `free`. So the reads come before the write.
//! - F_A is before F_R. Then R sees `floor > x` and does not read `x`. ∎
//!
//! A joiner and a raiser may both see each other: then R begins at `floor`, or reads what step 5 kept
//! out of `free`. Both are right. This is why there are two words: with one, another producer would
//! take for over what was announced and not checked yet.
//!
//! The pin of a lossy consumer uses the frame reference that it has read before the join. Had it seen
//! the reference of a later lap, its fence would come after the release fence of the writer of that
//! one, and it would see `floor > x`.
//!
//! A join that is followed by others (the next frames of a batch, of a lossy consumer that holds a
//! guard) covers all positions from its cursor on: F_R is before F_A for each `x` at or above it.
//!
//! ## Why a validated copy is whole
//!
//! The same holds for a tombstone. Bytes of `x` are written again only after their writer has loaded `free > x` and then made a
//! release fence (*refresh*). A load of the copy that sees such a byte is before the copier's
//! acquire fence, so that its load of `free` after that sees what the writer had loaded, or more:
//! above `x`. The frame reference is covered by the same check, since B2 speaks of the slot as well. A
//! second look at the slot's state would not do: the reference is stored before the state. ∎
//!
//! ## Why the dead hold nothing up, and the living always do
//!
//! A cursor is stored while the entry is DIRTY, and removed before it is CLEAN. So the owner of a
//! cursor that stands in the way is found by its entry, and its liveness lock tells whether it is
//! alive. Recovery reads the word, the lock, and the word again; only recovery makes a DIRTY entry of
//! a dead owner CLEAN, and there is one at a time. So it never removes the cursor of a successor.
//!
//! # Progress
//!
//! Send: wait-free for one writer while no cursor is in the way, else lock-free; a raise is one pass
//! over the entries. Receive, release, leave: wait-free, without a locked instruction; without a
//! fence but for joins. A producer that is paused between its intent and its commit keeps that
//! position, and consumers do not pass it.

mod claim;
mod cursor;
mod entry;
#[cfg(all(test, loom))]
mod loom_tests;
mod raise;
mod read;
mod recovery;
mod takeover;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use claim::{BroadcastProducer, ProducerState};
use cursor::Cursor;
pub(crate) use entry::EntryMode;
pub(crate) use raise::Raise;
pub(crate) use read::Seen;

use super::OrderRing;
use crate::lane::{Corruption, Ref};
use crate::layout::Retained;
use crate::sync::Ordering;

/// The shared words of a broadcast queue.
#[derive(Clone)]
pub(crate) struct BroadcastRing {
    order: OrderRing,
    retained: Ref<Retained>,
    /// Entries before this one are producers', the others consumers'.
    producers: usize,
}

impl BroadcastRing {
    /// `order` has the cursor `tail`, the slots and the registry; its `head` is not used.
    pub(crate) fn new(order: OrderRing, retained: Ref<Retained>, producers: usize) -> Self {
        assert!((1..=order.entry_count()).contains(&producers), "geometry was checked");
        Self { order, retained, producers }
    }

    /// Whether there is never more than one producer at a time.
    #[inline(always)]
    pub(crate) fn has_one_writer(&self) -> bool {
        self.producers == 1
    }

    /// The number of entries that producers may take.
    pub(crate) fn producers(&self) -> usize {
        self.producers
    }

    #[inline(always)]
    pub(crate) fn max_messages(&self) -> u64 {
        self.order.max_messages()
    }

    /// Positions below it are over. `SYNC over`: the reads of those who held them up came before.
    #[inline(always)]
    pub(super) fn free(&self) -> u64 {
        self.retained.free.load(Ordering::Acquire)
    }

    /// The oldest position at which a consumer may begin.
    #[inline(always)]
    pub(crate) fn oldest(&self) -> u64 {
        self.retained.floor.load(Ordering::Acquire)
    }

    /// The position after the newest message, a moment ago; it may not be committed yet.
    #[inline(always)]
    pub(crate) fn newest(&self) -> u64 {
        self.order.tail().position()
    }

    /// How many positions are retained.
    pub(crate) fn retained(&self) -> u64 {
        let oldest = self.oldest();
        self.newest().saturating_sub(oldest)
    }

    /// How many more messages may be sent while no cursor moves.
    pub(crate) fn room(&self) -> u64 {
        let kept = self.gate().map_or(0, |gate| self.newest().saturating_sub(gate.position));
        self.max_messages().saturating_sub(kept)
    }

    /// Checks the cursors of the queue.
    fn check_cursors(&self) -> Result<(), Corruption> {
        let (free, floor) = (self.free(), self.oldest());
        // After them: they never pass it.
        let tail = self.newest();
        // After `tail`, which is never a lap further on.
        let free_later = self.free();
        let corruption = |word, found| Err(Corruption { word, position: tail, found });
        if tail > self.order.limit + self.order.count() + 256 {
            return corruption("tail", tail);
        }
        if floor > tail {
            return corruption("floor", floor);
        }
        if free > tail || tail.saturating_sub(free_later) > self.order.count() {
            return corruption("free", free);
        }
        Ok(())
    }

    /// Stops all producers; one writer is stopped by the mark beside the eventcount alone, since it
    /// stores `tail` itself.
    pub(crate) fn close(&self) {
        if !self.has_one_writer() {
            self.order.close();
        }
    }
}
