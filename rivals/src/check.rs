//! What consumers check: every word of every message, and that those of each producer come in its order. Together with what
//! all consumers counted and summed, nothing can be lost or come twice unnoticed.

use crate::message::{look_at, words_of};

/// The most producers, and the most consumers.
pub(crate) const MOST: usize = 8;
const PRODUCER_SHIFT: u32 = 48;
/// The first word of a message that says that no more will come.
pub(crate) const END: u64 = u64::MAX >> 1;

/// The first word of a producer's first message; each next one has the next number.
pub(crate) fn first_of(producer: usize) -> u64 {
    (producer as u64) << PRODUCER_SHIFT
}

/// Which producer's message it is, and which of its messages.
#[inline(always)]
pub(crate) fn origin(first_word: u64) -> (usize, u64) {
    ((first_word >> PRODUCER_SHIFT) as usize % MOST, first_word & ((1 << PRODUCER_SHIFT) - 1))
}

/// Who is given the messages that arrive.
pub(crate) trait Sink {
    /// A message of these words.
    fn words(&mut self, words: impl ExactSizeIterator<Item = u64>);

    /// Bytes came that are no message of the size that was sent.
    fn misshapen(&mut self, len: usize);

    /// A message of `W` words, in place.
    #[inline(always)]
    fn bytes<const W: usize>(&mut self, bytes: &[u8]) {
        match words_of::<W>(bytes) {
            Some(words) => self.words(words.iter().map(|word| u64::from_ne_bytes(*word))),
            None => self.misshapen(bytes.len()),
        }
    }
}

/// Of all messages of a set, in whatever order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

impl Tally {
    #[inline(always)]
    fn add(&mut self, first_word: u64) {
        self.count += 1;
        let mixed = first_word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.sum = self.sum.wrapping_add(mixed ^ mixed >> 29);
    }

    /// Of the first `count` messages of a producer.
    pub(crate) fn sent_by(producer: usize, count: u64) -> Self {
        let mut tally = Self::default();
        (first_of(producer)..first_of(producer) + count).for_each(|word| tally.add(word));
        tally
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum.wrapping_add(other.sum) }
    }
}

/// One consumer's.
pub(crate) struct Check {
    /// The least that may come next from each producer.
    next: [u64; MOST],
    pub(crate) tally: Tally,
    /// How often it was said that no more will come.
    pub(crate) ends: usize,
}

impl Check {
    pub(crate) fn new() -> Self {
        Self { next: std::array::from_fn(first_of), tally: Tally::default(), ends: 0 }
    }
}

impl Sink for Check {
    #[inline(always)]
    fn words(&mut self, words: impl ExactSizeIterator<Item = u64>) {
        let (word, wrong) = look_at(words);
        assert_eq!(wrong, 0, "a message arrived with wrong content");
        if word == END {
            self.ends += 1;
            return;
        }
        let next = &mut self.next[(word >> PRODUCER_SHIFT) as usize % MOST];
        assert!(word >= *next, "a message came twice, or behind a later one of its producer");
        *next = word + 1;
        self.tally.add(word);
    }

    #[cold]
    fn misshapen(&mut self, len: usize) {
        panic!("a message of {len} bytes arrived, which nobody sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{fill_bytes, make};

    #[test]
    fn good_messages_pass() {
        let mut check = Check::new();
        let mut bytes = [0; 64];
        for word in [first_of(1), first_of(0), first_of(1) + 1] {
            fill_bytes::<8>(word, &mut bytes);
            check.bytes::<8>(&bytes);
        }
        assert_eq!(check.tally, Tally::sent_by(0, 1).and(Tally::sent_by(1, 2)));
        assert_eq!(check.ends, 0);
        check.words(make::<8>(END).into_iter());
        assert_eq!(check.ends, 1);
        assert_eq!(origin(first_of(3) + 7), (3, 7));
    }

    #[test]
    #[should_panic(expected = "wrong content")]
    fn one_wrong_word_does_not() {
        let mut message = make::<8>(0);
        message[5] ^= 1 << 40;
        Check::new().words(message.into_iter());
    }

    #[test]
    #[should_panic(expected = "twice")]
    fn nor_one_that_comes_again() {
        let mut check = Check::new();
        check.words(make::<1>(0).into_iter());
        check.words(make::<1>(0).into_iter());
    }

    #[test]
    #[should_panic(expected = "63 bytes")]
    fn nor_a_part() {
        Check::new().bytes::<8>(&[0; 63]);
    }
}
