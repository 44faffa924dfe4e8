//! What workers note about each message, in memory that survives them.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use workload::examine;
use workload::origin;

use crate::check::Sink;
use crate::shared::Words;

/// The maximum number of messages that a producer sends.
pub(super) const MAX_MESSAGES: usize = 1 << 16;
const LETTERS: usize = 512;

/// Of one producer's messages.
pub(super) struct Sent {
    /// Messages whose sending is done.
    pub(super) done: CachePadded<AtomicU64>,
    /// About how many different ones were received: one during which a consumer was killed may not
    /// be among them ...
    pub(super) received: CachePadded<AtomicU64>,
    /// ... and the number after the latest.
    pub(super) latest: CachePadded<AtomicU64>,
    /// How many times each was received.
    times: [AtomicU8; MAX_MESSAGES],
}

impl Sent {
    /// How many of those whose sending is done no consumer has received.
    pub(super) fn missing(&self) -> u64 {
        let done = self.done.load(Ordering::Acquire) as usize;
        self.times[..done].iter().filter(|times| times.load(Ordering::Acquire) == 0).count() as u64
    }
}

pub(super) struct Marks {
    pub(super) sent: [Sent; 2],
    pub(super) torn: AtomicU64,
    pub(super) again: AtomicU64,
    /// Workers that are about to begin.
    pub(super) ready: CachePadded<AtomicU64>,
    /// Producers must stop.
    pub(super) stop: CachePadded<AtomicU64>,
    /// The error of the first worker that failed.
    has_words: AtomicU64,
    letters: [AtomicU8; LETTERS],
}

#[allow(unsafe_code, reason = "says what it is made of")]
mod words {
    use super::{Marks, Sent, Words};

    // SAFETY: atomics, in arrays and padding.
    unsafe impl Words for Sent {}
    // SAFETY: as above.
    unsafe impl Words for Marks {}
}

impl Marks {
    pub(super) fn say(&self, words: &str) {
        if self.has_words.swap(1, Ordering::AcqRel) == 0 {
            for (letter, byte) in self.letters.iter().zip(words.bytes()) {
                letter.store(byte, Ordering::Release);
            }
        }
    }

    pub(super) fn last_words(&self) -> Option<String> {
        let letters = self.letters.iter().map(|letter| letter.load(Ordering::Acquire));
        let letters: Vec<u8> = letters.take_while(|letter| *letter != 0).collect();
        Some(String::from_utf8_lossy(&letters).into_owned()).filter(|words| !words.is_empty())
    }
}

/// One consumer's marks.
pub(super) struct Marker<'m>(pub(super) &'m Marks);

impl Sink for Marker<'_> {
    fn words(&mut self, words: impl ExactSizeIterator<Item = u64>) {
        let (first, wrong) = examine(words);
        let (producer, number) = origin(first);
        let known = producer < 2 && number < MAX_MESSAGES as u64;
        if wrong != 0 || !known {
            self.0.torn.fetch_add(1, Ordering::AcqRel);
            return;
        }
        let sent = &self.0.sent[producer];
        if sent.times[number as usize].fetch_add(1, Ordering::AcqRel) == 0 {
            sent.received.fetch_add(1, Ordering::AcqRel);
        } else {
            self.0.again.fetch_add(1, Ordering::AcqRel);
        }
        sent.latest.fetch_max(number + 1, Ordering::AcqRel);
    }

    fn misshapen(&mut self, _: usize) {
        self.0.torn.fetch_add(1, Ordering::AcqRel);
    }
}
