//! The checks of consumers. SPSC: the sequence. MPMC: that each producer's messages arrive in its
//! order, and, together with the counts and sums of all consumers, that no message is lost or
//! arrives twice. Both: every word of every message.

use anyhow::{Context, Result, bail};
use workload::{examine, words_of};

use super::plan::MAX_PRODUCERS;

/// The sequence number of the message that ends an SPSC run.
pub(super) const LAST: u64 = u64::MAX;

/// The checks of the consumer of an SPSC case.
pub(super) struct Checker {
    expected: u64,
}

impl Checker {
    pub(super) fn new() -> Self {
        Self { expected: 0 }
    }

    /// The number of messages received, without the one that ends a run.
    pub(super) fn count(&self) -> u64 {
        self.expected
    }

    /// Checks one message; returns true if it ends the run.
    ///
    /// # Errors
    /// If it is out of sequence, or any of its words is wrong.
    #[inline(always)]
    pub(super) fn check<const W: usize>(&mut self, words: impl Iterator<Item = u64>) -> Result<bool> {
        let (first, wrong) = examine(words);
        if first != self.expected || wrong != 0 {
            return self.explain(first, wrong, W);
        }
        self.expected += 1;
        Ok(false)
    }

    #[cold]
    fn explain(&self, first: u64, wrong: u64, words: usize) -> Result<bool> {
        if wrong != 0 {
            bail!("message {} of {words} words arrived with wrong content", self.expected);
        }
        if first == LAST {
            return Ok(true);
        }
        bail!("expected message {}, got message {first}: messages were lost or reordered", self.expected);
    }

    /// Like [`check`](Self::check), for a frame of bytes.
    ///
    /// # Errors
    /// As [`check`](Self::check), and if the frame has another size.
    #[inline(always)]
    pub(super) fn check_bytes<const W: usize>(&mut self, frame: &[u8]) -> Result<bool> {
        self.check::<W>(values::<W>(frame)?)
    }
}

/// The checks of one consumer of an MPMC case.
pub(super) type ManyCheck = workload::Check<MAX_PRODUCERS>;

/// Checks one message of an MPMC case.
///
/// # Errors
/// If it has another size, any of its words is wrong, or it is out of its producer's order.
#[inline(always)]
pub(super) fn check_bytes<const W: usize>(check: &mut ManyCheck, frame: &[u8]) -> Result<()> {
    let (word, wrong) = examine(values::<W>(frame)?);
    if wrong != 0 {
        bail!("message {word:#x} arrived with wrong content");
    }
    Ok(check.accept(word)?)
}

/// Returns the words of a frame.
///
/// # Errors
/// If the frame has another size.
#[inline(always)]
fn values<const W: usize>(frame: &[u8]) -> Result<impl Iterator<Item = u64>> {
    let words = words_of::<W>(frame);
    let words = words
        .with_context(|| format!("expected a message of {} bytes, got one of {}", W * 8, frame.len()))?;
    Ok(words.iter().map(|word| u64::from_ne_bytes(*word)))
}

#[cfg(test)]
mod tests {
    use workload::{END, fill_bytes, first_of, make};

    use super::*;

    #[test]
    fn good_messages_pass_and_bad_ones_do_not() {
        let mut checker = Checker::new();
        let mut frame = [0; 64];
        for sequence in 0..3 {
            fill_bytes::<8>(sequence, &mut frame);
            assert!(!checker.check_bytes::<8>(&frame).unwrap());
        }
        fill_bytes::<8>(4, &mut frame);
        assert!(checker.check_bytes::<8>(&frame).unwrap_err().to_string().contains("lost or reordered"));
        fill_bytes::<8>(3, &mut frame);
        frame[60] ^= 1;
        assert!(checker.check_bytes::<8>(&frame).unwrap_err().to_string().contains("wrong content"));
        assert!(checker.check_bytes::<8>(&frame[..56]).unwrap_err().to_string().contains("64 bytes"));
        assert!(checker.check::<8>(make::<8>(LAST).into_iter()).unwrap());
        assert_eq!(checker.count(), 3);
    }

    #[test]
    fn a_producers_messages_have_an_order() {
        let mut check = ManyCheck::new();
        let mut frame = [0; 64];
        let mut send = |check: &mut ManyCheck, sequence, corruption: u8| {
            fill_bytes::<8>(sequence, &mut frame);
            frame[60] ^= corruption;
            check_bytes::<8>(check, &frame).map_err(|error| error.to_string())
        };
        for sequence in [0, first_of(3), 1, 5, first_of(3) + 1] {
            send(&mut check, sequence, 0).unwrap();
        }
        assert!(send(&mut check, 4, 0).unwrap_err().contains("order"));
        assert!(send(&mut check, first_of(MAX_PRODUCERS), 0).unwrap_err().contains("order"));
        assert!(send(&mut check, 6, 1).unwrap_err().contains("wrong content"));
        assert_eq!((check.tally.count, check.ends), (5, 0));
        send(&mut check, END, 0).unwrap();
        assert_eq!((check.tally.count, check.ends), (5, 1));
    }
}
