//! How many consumers a queue has, as one idle consumer knows it.
//!
//! Each scan reads a few entries' words, without asking the kernel. The number rises as soon as more
//! are found, and falls at the end of a round over all entries: a consumer that counts too few
//! sleeps too long, and one that counts too many only scans for nothing.

use std::cell::Cell;

use crate::layout::order::EntryRole;
use crate::order_ring::OrderRing;

/// Entries that are read at once.
const AT_ONCE: usize = 64;

pub(super) struct Census {
    consumers: Cell<usize>,
    /// Consumers that were found in this round.
    found: Cell<usize>,
    /// Entries that were read in this round.
    read: Cell<usize>,
}

impl Census {
    /// Reads all entries.
    pub(super) fn new(ring: &OrderRing) -> Self {
        let all = Self::count(ring, 0, ring.entry_count());
        Self { consumers: Cell::new(all), found: Cell::new(0), read: Cell::new(0) }
    }

    /// The number of consumers: of those that are attached, or have died and were not recovered from.
    pub(super) fn consumers(&self) -> usize {
        self.consumers.get()
    }

    /// At least this many were seen.
    pub(super) fn saw(&self, consumers: usize) {
        self.consumers.set(self.consumers.get().max(consumers));
    }

    /// Reads the next entries.
    pub(super) fn go_on(&self, ring: &OrderRing) {
        if self.consumers.get() <= 1 {
            // Another one takes the last free entry, which is likely to be among these.
            self.saw(Self::count(ring, 0, AT_ONCE));
        }
        let read = self.read.get();
        self.found.set(self.found.get() + Self::count(ring, read, AT_ONCE));
        self.read.set(read + AT_ONCE);
        if self.read.get() < ring.entry_count() {
            self.saw(self.found.get());
        } else {
            self.consumers.set(self.found.take());
            self.read.set(0);
        }
    }

    /// Consumers among `most` entries, from the last but `skip` down: consumers take the last ones
    /// first.
    fn count(ring: &OrderRing, skip: usize, most: usize) -> usize {
        let is_consumer = |index: &usize| {
            let word = ring.entry_word(*index);
            word.is_dirty() && word.role() == EntryRole::Consumer
        };
        (0..ring.entry_count()).rev().skip(skip).take(most).filter(is_consumer).count()
    }
}
