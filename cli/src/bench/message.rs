//! What is sent, and how it is checked: the first word is the sequence number, word `i` is that plus `i`.

use anyhow::{Result, bail};

/// The sequence number of the message that ends a run.
pub(super) const LAST: u64 = u64::MAX;

/// Writes message `sequence` of `W` words into its frame.
#[inline(always)]
pub(super) fn fill<const W: usize>(sequence: u64, frame: &mut [u8]) {
    let words: &mut [[u8; 8]; W] = frame.as_chunks_mut().0.try_into().expect("a frame of the message's size");
    for (i, word) in words.iter_mut().enumerate() {
        *word = sequence.wrapping_add(i as u64).to_ne_bytes();
    }
}

/// Message `sequence` of `W` words, as a value.
#[inline(always)]
pub(super) fn make<const W: usize>(sequence: u64) -> [u64; W] {
    std::array::from_fn(|i| sequence.wrapping_add(i as u64))
}

/// The first word of a message, and 0 if all its words are right.
#[inline(always)]
pub(super) fn look_at(words: impl Iterator<Item = u64>) -> (u64, u64) {
    let mut first = 0;
    let mut wrong = 0;
    for (i, word) in words.enumerate() {
        if i == 0 {
            first = word;
        }
        wrong |= word ^ first.wrapping_add(i as u64);
    }
    (first, wrong)
}

/// The words of a frame of bytes.
///
/// # Errors
/// If the frame has another size.
#[inline(always)]
pub(super) fn words_of<const W: usize>(frame: &[u8]) -> Result<impl Iterator<Item = u64>> {
    let Ok(words) = <&[[u8; 8]; W]>::try_from(frame.as_chunks().0) else {
        bail!("expected a message of {} bytes, got one of {}", W * 8, frame.len());
    };
    Ok(words.iter().map(|word| u64::from_ne_bytes(*word)))
}

/// Checks what arrives.
pub(super) struct Checker {
    expected: u64,
}

impl Checker {
    pub(super) fn new() -> Self {
        Self { expected: 0 }
    }

    /// Messages that came, not counting the one that ends a run.
    pub(super) fn count(&self) -> u64 {
        self.expected
    }

    /// Checks one message; true if it is the one that ends the run.
    ///
    /// # Errors
    /// If it is out of sequence, or any of its words is wrong.
    #[inline(always)]
    pub(super) fn check<const W: usize>(&mut self, words: impl Iterator<Item = u64>) -> Result<bool> {
        let (first, wrong) = look_at(words);
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

    /// As [`check`](Self::check), for a frame of bytes.
    ///
    /// # Errors
    /// As [`check`](Self::check), and if the frame has another size.
    #[inline(always)]
    pub(super) fn check_bytes<const W: usize>(&mut self, frame: &[u8]) -> Result<bool> {
        self.check::<W>(words_of::<W>(frame)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_messages_pass_and_bad_ones_do_not() {
        let mut checker = Checker::new();
        let mut frame = [0; 64];
        for sequence in 0..3 {
            fill::<8>(sequence, &mut frame);
            assert!(!checker.check_bytes::<8>(&frame).unwrap());
        }
        fill::<8>(4, &mut frame);
        assert!(checker.check_bytes::<8>(&frame).unwrap_err().to_string().contains("lost or reordered"));
        fill::<8>(3, &mut frame);
        frame[60] ^= 1;
        assert!(checker.check_bytes::<8>(&frame).unwrap_err().to_string().contains("wrong content"));
        assert!(checker.check_bytes::<8>(&frame[..56]).unwrap_err().to_string().contains("64 bytes"));
        assert!(checker.check::<8>(make::<8>(LAST).into_iter()).unwrap());
        assert_eq!(checker.count(), 3);
    }
}
