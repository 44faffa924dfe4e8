//! Which positions may still be held, as one idle consumer knows it: so that it asks the kernel about those who hold something,
//! not about everybody.
//!
//! # The invariant
//!
//! Let `seen` be the head that the consumer has read last (Acquire). *For each position below `seen`, either its slot's state is of
//! a later lap, or the slot's bit is set.*
//!
//! - Reading a later head sets the bits of all slots whose positions lie between; at first, all bits are set.
//! - A bit is cleared only if the slot is seen to be FREE of a lap `l`, in a look that has read `seen` before. Let `q` be the position
//!   of that slot and lap. Were `q` below `seen`, then a consumer had seen it FULL before it moved the head past it; who has acquired
//!   that head sees FULL or a later state, and not FREE of the same lap, unless `q` was never committed and its claimer is dead or not
//!   done; but the head does not pass such a position before it is a tombstone, which is FREE of lap `l + 1`. So `q` is not below
//!   `seen`, and whatever position of that slot is below it is of an earlier lap.
//!
//! A frame that comes again (REDELIVER, and HELD once more) keeps its bit, because it was not seen to be FREE in between.
//!
//! So whatever a dead consumer holds has its bit set, as soon as the head that it moved has been read; and where nothing is held and
//! nothing comes, a look costs a word for each 64 slots.

use std::cell::Cell;
use std::iter::once;

use super::OrderRing;
use crate::layout::order::SlotKind;

/// What a look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsettled {
    /// A frame is held by that entry.
    Held(usize),
    /// That position was taken, and is not marked yet: its taker is about to do so, or was killed.
    Taken(u64),
}

/// The bits.
pub(crate) struct Watched {
    words: Box<[Cell<u64>]>,
    seen: Cell<u64>,
    /// The slot with which the next look begins.
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

    /// Marks what was taken since the last look.
    fn catch_up(&self, ring: &OrderRing) {
        let (seen, head) = (self.seen.get(), ring.head().position());
        self.seen.set(head);
        let all = ring.slots.len();
        // A head that went back makes no sense, and costs a look at all slots.
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

    /// Hands over what is unsettled, until `see` says that this is enough; the next look goes on there.
    pub(crate) fn scan(&self, ring: &OrderRing, mut see: impl FnMut(Unsettled) -> bool) {
        self.catch_up(ring);
        // The word of that slot comes twice: first what lies from there on, and at the end what lies before.
        let (count, first) = (self.words.len(), self.next.get() / 64);
        let behind = u64::MAX << (self.next.get() % 64);
        let others = (first + 1..count).chain(0..first).map(|word| (word, u64::MAX));
        let words = once((first, behind)).chain(others).chain(once((first, !behind)));
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
                    // Of a position that is not taken yet: its bit is set again when it is.
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
