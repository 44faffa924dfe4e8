//! What consumers check: every message's words, and that those of each producer arrive in its
//! order. Together with what all consumers counted and summed, no message can be lost or delivered
//! twice unnoticed.

use super::shape::MOST;
use crate::common::message::{checked, words_of};

/// One consumer's.
#[derive(Default)]
pub(crate) struct Check(workload::Check<MOST>);

impl Check {
    pub(super) fn tally(&self) -> workload::Tally {
        self.0.tally
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.ends > 0
    }

    #[inline(always)]
    pub(super) fn words(&mut self, words: impl ExactSizeIterator<Item = u64>) {
        if let Err(error) = self.0.accept(checked(words)) {
            panic!("{error}");
        }
    }

    #[inline(always)]
    pub(super) fn bytes<const W: usize>(&mut self, bytes: &[u8]) {
        self.words(words_of::<W>(bytes));
    }
}
