//! A hash against accidents, of 64 bits.
//!
//! Each step is a bijection of the state for any given word, and of the word for any given state.
//! So two inputs of the same length that differ in one word have different hashes, always; others
//! have the same with a probability of about 2^-64. Stale pages are accidents: the hash does not
//! resist a forger, who could write the messages as well.

/// Odd, with many bits: the fractional part of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy)]
pub(in crate::queue) struct Hash(u64);

impl Hash {
    pub(in crate::queue) fn new() -> Self {
        Self(FACTOR)
    }

    pub(in crate::queue) fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(FACTOR);
        self.0 = mixed ^ mixed >> 32;
    }

    /// Hashes whole words, and the rest padded with zeros: the caller hashes the length where it is
    /// not known.
    pub(in crate::queue) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_ne_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_ne_bytes(last));
        }
    }

    /// Continues from a value of [`state`](Self::state).
    pub(in crate::queue) fn resume(state: u64) -> Self {
        Self(state)
    }

    pub(in crate::queue) fn state(self) -> u64 {
        self.0
    }

    /// Neither 0 nor 1, which stand for "no hash".
    pub(in crate::queue) fn finish(self) -> u64 {
        self.0.max(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> u64 {
        let mut hash = Hash::new();
        hash.bytes(bytes);
        hash.finish()
    }

    #[test]
    fn every_bit_counts() {
        let bytes = [0x5a; 100];
        for bit in 0..800 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash(&bytes), hash(&other), "bit {bit}");
        }
        assert_ne!(hash(&[0; 8]), hash(&[0; 16]));
    }
}
