//! Checks the messages of many producers: the producer of each message, the order of each
//! producer's messages, and the sum of all of them.

use std::fmt;

const PRODUCER_SHIFT: u32 = 48;

/// The first word of a message that ends a producer's stream.
pub const END: u64 = u64::MAX >> 1;

/// The first word of a producer's first message; each next one has the next number.
pub fn first_of(producer: usize) -> u64 {
    (producer as u64) << PRODUCER_SHIFT
}

/// The producer of a message, and the message's number.
#[inline(always)]
pub fn origin(first_word: u64) -> (usize, u64) {
    ((first_word >> PRODUCER_SHIFT) as usize, first_word & ((1 << PRODUCER_SHIFT) - 1))
}

/// A set of messages in any order: their number, and a sum that differs if a message is missing,
/// duplicate or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tally {
    /// The number of messages.
    pub count: u64,
    /// The sum of their mixed first words.
    pub sum: u64,
}

impl Tally {
    #[inline(always)]
    fn add(&mut self, first_word: u64) {
        self.count += 1;
        let mixed = first_word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.sum = self.sum.wrapping_add(mixed ^ mixed >> 29);
    }

    /// The tally of the first `count` messages of a producer.
    pub fn sent_by(producer: usize, count: u64) -> Self {
        let mut tally = Self::default();
        (first_of(producer)..first_of(producer) + count).for_each(|word| tally.add(word));
        tally
    }

    /// The tally of both sets together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum.wrapping_add(other.sum) }
    }
}

/// A message was received that is out of its producer's order, a duplicate, or from no producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder(
    /// Its first word.
    pub u64,
);

impl fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {:#x} is out of its producer's order, or came twice", self.0)
    }
}

impl std::error::Error for OutOfOrder {}

/// The checks of one consumer, for messages of at most `PRODUCERS` producers.
#[derive(Clone, Debug)]
pub struct Check<const PRODUCERS: usize> {
    /// The lowest first word that the next message of each producer may have.
    next: [u64; PRODUCERS],
    /// The messages received so far.
    pub tally: Tally,
    /// The number of [`END`] messages received.
    pub ends: usize,
}

impl<const PRODUCERS: usize> Default for Check<PRODUCERS> {
    fn default() -> Self {
        Self { next: std::array::from_fn(first_of), tally: Tally::default(), ends: 0 }
    }
}

impl<const PRODUCERS: usize> Check<PRODUCERS> {
    /// Creates the state in which no message was received.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the message with this first word, whose other words are right.
    ///
    /// # Errors
    /// If it is out of its producer's order, or of no producer.
    #[inline(always)]
    pub fn accept(&mut self, first_word: u64) -> Result<(), OutOfOrder> {
        match self.next.get_mut((first_word >> PRODUCER_SHIFT) as usize) {
            Some(next) if first_word >= *next => {
                *next = first_word + 1;
                self.tally.add(first_word);
                Ok(())
            }
            _ => self.end_or_refuse(first_word),
        }
    }

    /// No producer has the number that [`END`] has in its upper bits.
    #[cold]
    fn end_or_refuse(&mut self, first_word: u64) -> Result<(), OutOfOrder> {
        if first_word != END {
            return Err(OutOfOrder(first_word));
        }
        self.ends += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_producers_order_counts_and_gaps_are_for_other_consumers() {
        let mut check = Check::<4>::new();
        for word in [0, first_of(3), 1, 5, first_of(3) + 1] {
            check.accept(word).unwrap();
        }
        for word in [4, 5, first_of(3), first_of(4), u64::MAX, END - 1] {
            assert_eq!(check.accept(word), Err(OutOfOrder(word)));
        }
        assert_eq!((check.tally.count, check.ends), (5, 0));
        check.accept(END).unwrap();
        assert_eq!((check.tally.count, check.ends), (5, 1));
        assert_eq!(origin(first_of(3) + 7), (3, 7));
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let mut check = Check::<2>::new();
        for word in [first_of(1), 0, 1, first_of(1) + 1] {
            check.accept(word).unwrap();
        }
        assert_eq!(check.tally, Tally::sent_by(1, 2).and(Tally::sent_by(0, 2)));
        assert_ne!(check.tally, Tally::sent_by(0, 4));
    }
}
