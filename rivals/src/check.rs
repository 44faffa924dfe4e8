//! What consumers check: every word of every message, and that those of each producer arrive in its
//! order. Together with what all consumers counted and summed, no message can be lost or delivered
//! twice unnoticed.

use workload::{examine, words_of};

/// The maximum number of producers, and of consumers.
pub(crate) const MOST: usize = 8;

/// One consumer's counts.
pub(crate) type Check = workload::Check<MOST>;

/// Receives the messages that arrive.
pub(crate) trait Sink {
    /// A message of these words.
    fn words(&mut self, words: impl ExactSizeIterator<Item = u64>);

    /// The bytes received are no message of the size that was sent.
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

impl Sink for Check {
    #[inline(always)]
    fn words(&mut self, words: impl ExactSizeIterator<Item = u64>) {
        let (word, wrong) = examine(words);
        assert_eq!(wrong, 0, "a message arrived with wrong content");
        if let Err(error) = self.accept(word) {
            panic!("{error}");
        }
    }

    #[cold]
    fn misshapen(&mut self, len: usize) {
        panic!("a message of {len} bytes arrived, which nobody sent");
    }
}

#[cfg(test)]
mod tests {
    use workload::{END, Tally, fill_bytes, first_of, make};

    use super::*;

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
