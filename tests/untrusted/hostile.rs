//! A process that writes arbitrary values into a queue file.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::common::at;

/// xorshift: the same seed gives the same sequence.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// The whole file, mapped, and its bytes when it was good.
pub(crate) struct Hostile {
    map: MmapRaw,
    good: Vec<u8>,
    /// After the preamble.
    words: Vec<usize>,
    random: Random,
}

impl Hostile {
    pub(crate) fn new(path: &Path, seed: u64) -> Self {
        let good = std::fs::read(path).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let map = MmapOptions::new().len(good.len()).map_raw(&file).unwrap();
        // Where control words are, of either kind of queue.
        let words = (at::PREAMBLE_END..at::REGISTRY).chain(at::REGISTRY..at::LANE.min(good.len())).step_by(8);
        Self { map, good, words: words.collect(), random: Random::new(seed) }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        let offset = offset.min(self.good.len() - 8) & !7;
        // SAFETY: inside the mapping, and aligned.
        let word = unsafe { self.map.as_mut_ptr().add(offset) };
        // SAFETY: mapped as long as `self` lives, and written by atomics only here; others are
        // other processes.
        unsafe { &*word.cast::<AtomicU64>() }
    }

    fn byte(&self, offset: usize) -> &AtomicU8 {
        // SAFETY: as above.
        let byte = unsafe { self.map.as_mut_ptr().add(offset.min(self.good.len() - 1)) };
        // SAFETY: as above.
        unsafe { &*byte.cast::<AtomicU8>() }
    }

    /// A value that may be meaningful where it is stored.
    fn value(&mut self) -> u64 {
        let bits = self.random.next();
        match self.random.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.random.below(64),
            3 => (1 << 62) + bits % (1 << 16),
            4 => bits % (1 << 14),
            // A commit word, a cursor, a slot's state of an early lap.
            5 => (bits % 4000) << 2 | 1,
            6 => (bits % 64) << 18 | bits >> 20 & 0x3ffff,
            _ => bits,
        }
    }

    /// One act of malice.
    pub(crate) fn act(&mut self) {
        let (len, value) = (self.good.len(), self.value());
        match self.random.below(12) {
            0..4 => {
                let at = self.words[self.random.below(self.words.len())];
                self.word(at).store(value, Ordering::Relaxed);
            }
            4..6 => {
                let at = self.random.below(len);
                self.byte(at).store(value as u8, Ordering::Relaxed);
            }
            6..8 => {
                // After the registry: slots, commit words, payloads.
                let at = at::REGISTRY + self.random.below(len - at::REGISTRY);
                self.word(at).store(value, Ordering::Relaxed);
            }
            8 => {
                // Words that grow by little, as those of an honest participant.
                let at = self.words[self.random.below(self.words.len())];
                self.word(at).fetch_add(value % 512, Ordering::Relaxed);
            }
            9 => {
                let at = self.words[self.random.below(self.words.len())];
                self.word(at).fetch_xor(1 << (value % 64), Ordering::Relaxed);
            }
            10 => {
                let from = self.random.below(len);
                for at in from..(from + value as usize % 256).min(len) {
                    let byte = self.random.next() as u8;
                    self.byte(at).store(byte, Ordering::Relaxed);
                }
            }
            _ => self.repair(),
        }
    }

    /// Restores a part of the file, or all of it, so that its reader gets further.
    fn repair(&mut self) {
        let whole = self.random.below(8) == 0;
        let from = if whole { at::PREAMBLE_END } else { self.random.below(self.good.len()) & !7 };
        let to = if whole { self.good.len() } else { (from + 1024).min(self.good.len()) };
        for at in (from..to.saturating_sub(7)).step_by(8) {
            let good = u64::from_ne_bytes(self.good[at..at + 8].try_into().unwrap());
            self.word(at).store(good, Ordering::Relaxed);
        }
    }
}
