//! What consumers of an MPMC case check: every message's words, and that those of each producer come in its order. Together
//! with what all consumers counted and summed, nothing can be lost or come twice unnoticed.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::message::{look_at, words_of};
use super::plan::MOST_PRODUCERS;

const PRODUCER_SHIFT: u32 = 48;
/// The first word of a message that says that no more will come.
pub(super) const END: u64 = u64::MAX >> 1;

/// The first word of a producer's first message; each next one has the next number.
pub(super) fn first_of(producer: usize) -> u64 {
    (producer as u64) << PRODUCER_SHIFT
}

/// Of all messages of a set, in whatever order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
pub(super) struct Check {
    /// The least that may come next from each producer.
    next: [u64; MOST_PRODUCERS],
    pub(super) tally: Tally,
    pub(super) ended: bool,
}

impl Check {
    pub(super) fn new() -> Self {
        Self { next: std::array::from_fn(first_of), tally: Tally::default(), ended: false }
    }

    /// Checks one message.
    ///
    /// # Errors
    /// If it is out of its producer's order, nobody's, or any of its words is wrong.
    #[inline(always)]
    pub(super) fn bytes<const W: usize>(&mut self, frame: &[u8]) -> Result<()> {
        let (word, wrong) = look_at(words_of::<W>(frame)?);
        match self.next.get_mut((word >> PRODUCER_SHIFT) as usize) {
            Some(next) if word >= *next && wrong == 0 => {
                *next = word + 1;
                self.tally.add(word);
                Ok(())
            }
            _ => self.end_or_explain(word, wrong),
        }
    }

    #[cold]
    fn end_or_explain(&mut self, word: u64, wrong: u64) -> Result<()> {
        if wrong != 0 {
            bail!("message {word:#x} arrived with wrong content");
        }
        if word != END {
            bail!("message {word:#x} is out of its producer's order");
        }
        self.ended = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::fill;
    use super::*;

    #[test]
    fn good_messages_pass_and_bad_ones_do_not() {
        let mut check = Check::new();
        let mut frame = [0; 64];
        let mut send = |check: &mut Check, sequence, damage: u8| {
            fill::<8>(sequence, &mut frame);
            frame[60] ^= damage;
            check.bytes::<8>(&frame).map_err(|error| error.to_string())
        };
        for sequence in [0, first_of(3), 1, 5, first_of(3) + 1] {
            send(&mut check, sequence, 0).unwrap();
        }
        assert!(send(&mut check, 4, 0).unwrap_err().contains("order"));
        assert!(send(&mut check, first_of(MOST_PRODUCERS), 0).unwrap_err().contains("order"));
        assert!(send(&mut check, 6, 1).unwrap_err().contains("wrong content"));
        assert_eq!((check.tally.count, check.ended), (5, false));
        send(&mut check, END, 0).unwrap();
        assert_eq!((check.tally.count, check.ended), (5, true));
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let mut check = Check::new();
        let mut frame = [0; 64];
        for word in [first_of(1), 0, 1, first_of(1) + 1] {
            fill::<8>(word, &mut frame);
            check.bytes::<8>(&frame).unwrap();
        }
        assert_eq!(check.tally, Tally::sent_by(1, 2).and(Tally::sent_by(0, 2)));
    }
}
