//! Sets of registry entries that allocate no heap memory: recovery must work where none is left.

use crate::layout::order::MAX_PARTICIPANTS;

const WORDS: usize = MAX_PARTICIPANTS as usize / 64;

/// A set of a queue's entries, by their indices.
#[derive(Clone)]
pub(crate) struct EntrySet([u64; WORDS]);

impl EntrySet {
    pub(crate) const EMPTY: Self = Self([0; WORDS]);

    /// Inserts `index`. False if it was there. Indices that no entry can have are ignored.
    pub(crate) fn insert(&mut self, index: usize) -> bool {
        let Some(word) = self.0.get_mut(index / 64) else { return false };
        let before = *word;
        *word |= 1 << (index % 64);
        *word != before
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The indices, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            std::iter::successors(Some(*word), |left| Some(left & left.wrapping_sub(1)))
                .take_while(|left| *left != 0)
                .map(move |left| at * 64 + left.trailing_zeros() as usize)
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_in() {
        let mut set = EntrySet::EMPTY;
        assert!(set.is_empty());
        let last = MAX_PARTICIPANTS as usize - 1;
        for index in [0, 1, 63, 64, 700, last] {
            assert!(set.insert(index) && !set.insert(index));
        }
        assert!(!set.insert(last + 1) && !set.contains(last + 1) && !set.contains(2));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 63, 64, 700, last]);
        assert_eq!(set.len(), 6);
    }
}
