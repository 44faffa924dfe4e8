//! What consumers check: every message's words, and that those of each producer come in its order. Together with what all
//! consumers counted and summed, nothing can be lost or come twice unnoticed.

use super::shape::MOST;
use crate::common::message::{checked, words_of};

const PRODUCER_SHIFT: u32 = 48;
/// The first word of a message that says that no more will come.
pub(super) const END: u64 = u64::MAX >> 1;

/// The first word of a producer's first message; each next one has the next number.
pub(super) fn first_of(producer: usize) -> u64 {
    (producer as u64) << PRODUCER_SHIFT
}

/// Of all messages of a set, in whatever order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) sum: u64,
}

impl Tally {
    #[inline(always)]
    fn add(&mut self, first_word: u64) {
        self.count += 1;
        let mixed = first_word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.sum = self.sum.wrapping_add(mixed ^ mixed >> 29);
    }

    /// Of the first `count` messages of a producer.
    pub(super) fn sent_by(producer: usize, count: u64) -> Self {
        let mut tally = Self::default();
        (first_of(producer)..first_of(producer) + count).for_each(|word| tally.add(word));
        tally
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum.wrapping_add(other.sum) }
    }
}

/// One consumer's.
pub(crate) struct Check {
    /// The least that may come next from each producer.
    next: [u64; MOST],
    pub(super) tally: Tally,
    pub(super) ended: bool,
}

impl Check {
    pub(super) fn new() -> Self {
        Self { next: std::array::from_fn(first_of), tally: Tally::default(), ended: false }
    }

    #[inline(always)]
    pub(super) fn words(&mut self, words: impl ExactSizeIterator<Item = u64>) {
        let word = checked(words);
        if word == END {
            self.ended = true;
            return;
        }
        let next = &mut self.next[(word >> PRODUCER_SHIFT) as usize % MOST];
        assert!(word >= *next, "out of sequence");
        *next = word + 1;
        self.tally.add(word);
    }

    #[inline(always)]
    pub(super) fn bytes<const W: usize>(&mut self, bytes: &[u8]) {
        self.words(words_of::<W>(bytes));
    }
}
