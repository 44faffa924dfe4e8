//! What the consumer checks.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::common::message::{checked, words_of};

/// Checks sequence and content, and times from the first message to the last.
pub(super) struct Check {
    pub(super) expected: u64,
    sum: u64,
    start: Instant,
}

impl Check {
    pub(super) fn new() -> Self {
        Self { expected: 0, sum: 0, start: Instant::now() }
    }

    #[inline(always)]
    pub(super) fn words(&mut self, words: impl ExactSizeIterator<Item = u64>) {
        let seq = checked(words);
        assert_eq!(seq, self.expected, "out of sequence");
        self.sum = self.sum.wrapping_add(seq);
        if self.expected == 0 {
            self.start = Instant::now();
        }
        self.expected += 1;
    }

    #[inline(always)]
    pub(super) fn bytes<const W: usize>(&mut self, bytes: &[u8]) {
        self.words(words_of::<W>(bytes));
    }

    /// The time from the first message to the last.
    pub(super) fn elapsed(&self) -> Duration {
        black_box(self.sum);
        self.start.elapsed()
    }
}
