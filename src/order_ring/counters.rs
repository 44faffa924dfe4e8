//! Counters of a queue and its participants. They decide nothing.

use super::OrderRing;
use crate::sync::{AtomicU64, Ordering};

/// What has happened in a queue, each counter read by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingCounters {
    pub(crate) recoveries: u64,
    pub(crate) deaths: u64,
    pub(crate) tombstones: u64,
    pub(crate) requeued: u64,
    pub(crate) done: u64,
    pub(crate) recovery_failures: u64,
    pub(crate) dead_letters: u64,
    pub(crate) dead_letters_failed: u64,
    /// Why the last dead letter could not be sent, as a word.
    pub(crate) letter_failure: u64,
}

/// What owners of an entry have done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryCounters {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) redelivered: u64,
    pub(crate) rejected: u64,
    pub(crate) full: u64,
}

/// Who owns an entry, and what its owners have done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryRecord {
    pub(crate) pid: u64,
    /// Nanoseconds since 1970 at which the owner attached.
    pub(crate) since_ns: u64,
    /// Of all owners.
    pub(crate) all: EntryCounters,
    /// Of the owners before the present one.
    pub(crate) before: EntryCounters,
}

impl OrderRing {
    /// Adds to a word that only its owner writes.
    #[inline(always)]
    pub(super) fn add(counter: &AtomicU64, amount: u64) {
        // Wrapping: a corrupt word must not cause a panic.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// The counters of the queue.
    pub(crate) fn counters(&self) -> RingCounters {
        let (rare, get) = (&*self.rare, |word: &AtomicU64| word.load(Ordering::Relaxed));
        RingCounters {
            recoveries: get(&rare.recoveries),
            deaths: get(&rare.deaths),
            tombstones: get(&rare.tombstones),
            requeued: get(&rare.requeued),
            done: get(&self.cursors.done),
            recovery_failures: get(&rare.recovery_failures),
            dead_letters: get(&rare.dead_letters),
            dead_letters_failed: get(&rare.dead_letters_failed),
            letter_failure: get(&rare.letter_failure),
        }
    }

    /// The counters of one entry.
    pub(crate) fn entry_record(&self, index: usize) -> EntryRecord {
        let (entry, get) = (&self.entries[index], |word: &AtomicU64| word.load(Ordering::Relaxed));
        let (own, before) = (&entry.own, &entry.before);
        EntryRecord {
            pid: get(&entry.pid),
            since_ns: get(&entry.since_ns),
            all: EntryCounters {
                sent: get(&own.sent),
                received: get(&own.received),
                redelivered: get(&own.redelivered),
                rejected: get(&own.rejected),
                full: get(&own.full),
            },
            before: EntryCounters {
                sent: get(&before.sent),
                received: get(&before.received),
                redelivered: get(&before.redelivered),
                rejected: get(&before.rejected),
                full: get(&before.full),
            },
        }
    }

    /// Records for tools why a dead letter could not be sent.
    pub(crate) fn note_letter_failure(&self, word: u64) {
        self.rare.letter_failure.store(word, Ordering::Relaxed);
    }

    /// When a consumer scanned for dead peers last: nanoseconds of the monotonic clock.
    pub(crate) fn last_scan(&self) -> u64 {
        self.rare.scan_for_dead_peers.load(Ordering::Relaxed)
    }

    /// Records a scan at `now`. False if another consumer has recorded one since `last`.
    pub(crate) fn record_scan(&self, last: u64, now: u64) -> bool {
        let stamp = &self.rare.scan_for_dead_peers;
        stamp.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
