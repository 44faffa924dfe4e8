//! Reproducible random numbers: the seed is printed, and RINGWAY_SEED sets it.

use std::sync::OnceLock;

use super::number_from;

/// Splitmix64 (Steele, Lea, Flood 2014): every seed is a good one.
#[derive(Clone)]
pub(crate) struct Random(u64);

/// The scrambling step of splitmix64: a bijection on 64 bits.
pub(crate) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Random {
    /// A seed that differs for every `salt`, and is the same in every run with one seed.
    pub(crate) fn new(salt: u64) -> Self {
        static SEED: OnceLock<u64> = OnceLock::new();
        let seed = *SEED.get_or_init(|| {
            let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let seed = number_from("RINGWAY_SEED", clock.map_or(1, |time| time.as_micros() as u64));
            println!("RINGWAY_SEED={seed}");
            seed
        });
        Self(mix(seed) ^ mix(!salt))
    }

    /// A generator with the same numbers in every run.
    pub(crate) fn fixed(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
