//! Messages whose every byte follows from their number, so that torn, stale or foreign bytes are detected.

use super::random::mix;

/// The sizes of a test's messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// All of this many bytes, at least 8, in a queue of fixed-size messages.
    Fixed(usize),
    /// All of this many bytes, at least 8, in a queue of variable-size messages.
    Same(usize),
    /// Mostly small, some large, a few as large as possible. A message whose number is a multiple
    /// of 8 has at least 8 bytes and so contains its number.
    Mixed { min: usize, max: usize },
}

impl Shape {
    /// Bytes of message `seq`.
    pub(crate) fn len(self, seq: u64) -> usize {
        let (min, max) = match self {
            Self::Fixed(len) | Self::Same(len) => return len,
            Self::Mixed { min, max } => (min, max),
        };
        let hash = mix(seq ^ 0x5eed);
        let min = if seq.is_multiple_of(8) { min.max(8) } else { min };
        let end = match hash % 64 {
            0 => return max,
            1..=4 => max,
            5..=16 => 512,
            _ => 64,
        };
        min + (hash >> 8) as usize % (end.min(max) - min + 1)
    }

    /// Writes message `seq` into `bytes`, which must be as long as it.
    pub(crate) fn fill(self, seq: u64, bytes: &mut [u8]) {
        assert_eq!(bytes.len(), self.len(seq), "message {seq}");
        let mut chunks = bytes.chunks_exact_mut(8);
        for (index, chunk) in chunks.by_ref().enumerate() {
            chunk.copy_from_slice(&word(seq, index as u64).to_ne_bytes());
        }
        for byte in chunks.into_remainder() {
            *byte = mix(seq) as u8;
        }
    }

    /// Whether `bytes` are message `seq`.
    pub(crate) fn is(self, seq: u64, bytes: &[u8]) -> bool {
        let chunks = bytes.chunks_exact(8);
        bytes.len() == self.len(seq)
            && chunks.remainder().iter().all(|byte| *byte == mix(seq) as u8)
            && chunks.enumerate().all(|(index, chunk)| chunk == word(seq, index as u64).to_ne_bytes())
    }

    /// The number that `bytes` claim to have, if they are long enough to contain one.
    pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
        Some(u64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?))
    }

    /// Message `seq`.
    pub(crate) fn message(self, seq: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.len(seq)];
        self.fill(seq, &mut bytes);
        bytes
    }
}

fn word(seq: u64, index: u64) -> u64 {
    if index == 0 { seq } else { mix(seq.wrapping_mul(0x1_0000_01b3).wrapping_add(index)) }
}
