//! The fingerprint of a state.

use std::hash::{Hash, Hasher};

pub(super) fn fingerprint<S: Hash>(state: &S) -> u128 {
    let mut hasher =
        Fingerprint { low: 0x243f_6a88_85a3_08d3, high: 0x1319_8a2e_0370_7344, word: 0, bits: 0 };
    state.hash(&mut hasher);
    hasher.mix();
    u128::from(scramble(hasher.high)) << 64 | u128::from(scramble(hasher.low))
}

/// Two multiplicative hashes side by side. Model states are made of bytes, bools and enums without
/// content, of a shape that is the same in every state; so every write is taken as one byte, and
/// the length of an array need not be mixed in.
struct Fingerprint {
    low: u64,
    high: u64,
    word: u64,
    bits: u32,
}

impl Fingerprint {
    fn mix(&mut self) {
        self.low = (self.low ^ self.word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.low ^= self.low >> 29;
        self.high = (self.high ^ self.word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.high ^= self.high >> 32;
        self.word = 0;
        self.bits = 0;
    }
}

impl Hasher for Fingerprint {
    fn write_u8(&mut self, byte: u8) {
        self.word |= u64::from(byte) << self.bits;
        self.bits += 8;
        if self.bits == 64 {
            self.mix();
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u8(byte);
        }
    }

    /// An enum's discriminant.
    fn write_isize(&mut self, value: isize) {
        debug_assert!((0..256).contains(&value));
        self.write_u8(value as u8);
    }

    /// The length of an array.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.low
    }
}

fn scramble(mut x: u64) -> u64 {
    x ^= x >> 32;
    x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^= x >> 32;
    x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ x >> 29
}
