//! Which positions may still be held, as one idle consumer knows it: so that it asks the kernel
//! only about participants that hold something, not about all of them.
//!
//! # The invariant
//!
//! Let `seen` be the head that the consumer has read last (Acquire). *For each position below
//! `seen`, either its slot's state is of a later lap, or the slot's bit is set.*
//!
//! - Reading a later head sets the bits of all slots whose positions lie between; at first, all
//!   bits are set.
//! - A bit is cleared only if the slot is seen to be FREE of a lap `l`, in a scan that has read
//!   `seen` before. Let `q` be the position of that slot and lap. Were `q` below `seen`, then a
//!   consumer had seen it FULL before it moved the head past it. A consumer that has acquired that
//!   head sees FULL or a later state, and not FREE of the same lap, unless `q` was never committed
//!   and the participant that claimed it is dead or not done. But the head does not pass such a
//!   position before it is a tombstone, which is FREE of lap `l + 1`. So `q` is not below `seen`,
//!   and any position of that slot that is below `seen` is of an earlier lap.
//!
//! A frame that is redelivered (REDELIVER, and HELD once more) keeps its bit, because its slot was
//! not seen to be FREE in between.
//!
//! So every position that a dead consumer holds has its bit set, as soon as the head that the
//! consumer moved has been read. Where nothing is held and nothing arrives, a scan costs one word
//! for each 64 slots.

use std::cell::Cell;
use std::iter::once;

use super::OrderRing;
use crate::layout::order::SlotKind;

/// What a scan finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsettled {
    /// A frame is held by the owner of that entry.
    Held(usize),
    /// That position was taken and is not marked yet: the consumer that took it is about to mark
    /// it, or was killed.
    Taken(u64),
}

/// The bits: the slots whose positions may still be held.
pub(crate) struct Watched {
    words: Box<[Cell<u64>]>,
    seen: Cell<u64>,
    /// The slot with which the next scan begins.
    next: Cell<usize>,
}

impl Watched {
    pub(crate) fn new(ring: &OrderRing) -> Self {
        let seen = ring.head().position();
        let words = (0..ring.slots.len().div_ceil(64)).map(|_| Cell::new(0)).collect();
        let watched = Self { words, seen: Cell::new(seen), next: Cell::new(0) };
        watched.mark(0, ring.slots.len());
        watched
    }

    fn mark(&self, from: usize, to: usize) {
        let mut at = from;
        while at < to {
            let end = (at / 64 * 64 + 64).min(to);
            let count = end - at;
            let ones = if count == 64 { u64::MAX } else { ((1 << count) - 1) << (at % 64) };
            self.words[at / 64].set(self.words[at / 64].get() | ones);
            at = end;
        }
    }

    /// Sets the bits of the positions that were taken since the last scan.
    fn catch_up(&self, ring: &OrderRing) {
        let (seen, head) = (self.seen.get(), ring.head().position());
        self.seen.set(head);
        let all = ring.slots.len();
        // A head that went back is corrupt, and costs a scan of all slots.
        match head.checked_sub(seen) {
            Some(0) => {}
            Some(count) if count < all as u64 => {
                let (from, count) = (ring.index_of(seen), count as usize);
                self.mark(from, (from + count).min(all));
                self.mark(0, (from + count).saturating_sub(all));
            }
            _ => self.mark(0, all),
        }
    }

    /// Passes what is unsettled to `see`, until `see` returns false; the next scan continues there.
    pub(crate) fn scan(&self, ring: &OrderRing, mut see: impl FnMut(Unsettled) -> bool) {
        self.catch_up(ring);
        // The word of that slot is used twice: first the bits from the slot on, and at the end the
        // bits before it.
        let (count, first) = (self.words.len(), self.next.get() / 64);
        let after = u64::MAX << (self.next.get() % 64);
        let others = (first + 1..count).chain(0..first).map(|word| (word, u64::MAX));
        let words = once((first, after)).chain(others).chain(once((first, !after)));
        for (word, part) in words {
            let mut left = self.words[word].get() & part;
            while left != 0 {
                let slot = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let state = ring.state(slot);
                let goes_on = match state.kind() {
                    SlotKind::Held => see(Unsettled::Held(state.owner())),
                    SlotKind::Full if ring.position(state, slot) < self.seen.get() => {
                        see(Unsettled::Taken(ring.position(state, slot)))
                    }
                    // A position that is not taken yet: its bit is set again when it is.
                    SlotKind::Free | SlotKind::Full => {
                        let bits = &self.words[word];
                        bits.set(bits.get() & !(1 << (slot % 64)));
                        true
                    }
                    SlotKind::Redeliver => true,
                };
                if !goes_on {
                    self.next.set((slot + 1) % ring.slots.len());
                    return;
                }
            }
        }
        self.next.set(0);
    }
}
