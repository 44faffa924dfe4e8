//! Counters, for humans and tools.

use std::time::{Duration, SystemTime};

use super::subscribe::ConsumerMode;
use crate::layout::order::EntryRole;
use crate::order_ring::broadcast::{BroadcastRing, EntryMode};
use crate::order_ring::{LivenessProbe as _, Registry as _};
use crate::queue::kind::Broadcast;
use crate::queue::mpmc::mapping::MappedRing as _;
use crate::queue::{BytesQueue, KernelProbe};

/// What has happened in a broadcast queue since it was created. The counters are read while
/// participants work: numbers that belong together may be a moment apart.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BroadcastStats {
    /// The position of the oldest message that is retained.
    pub oldest: u64,
    /// The position of the next message.
    pub newest: u64,
    /// Messages committed.
    pub sent: u64,
    /// Messages delivered, to all consumers together.
    pub received: u64,
    /// Positions that were overwritten before consumers came to them, of all consumers together.
    pub lagged: u64,
    /// How many times a producer found no room.
    pub full: u64,
    /// Recoveries that found a dead participant.
    pub recoveries: u64,
    /// Participants that died without detaching.
    pub deaths: u64,
    /// Positions claimed by producers that died before they committed.
    pub tombstones: u64,
    /// How many times a participant could not find out whether others are alive, or could not
    /// remove the residue of a dead one.
    pub recovery_failures: u64,
    /// The consumers that are attached, or that died and were not recovered yet.
    pub consumers: Vec<ConsumerStats>,
}

/// One consumer of a broadcast queue, and what it has done since it attached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Number of its registry entry.
    pub entry: usize,
    /// How it reads; `None` if it has not said so yet.
    pub mode: Option<ConsumerMode>,
    /// Whether it is alive.
    pub alive: bool,
    /// The pid of its process, in that process's own pid namespace. Diagnostic only.
    pub pid: u32,
    /// When it attached, by its clock. Diagnostic only.
    pub since: SystemTime,
    /// The position that it takes next.
    pub next: u64,
    /// The oldest position that producers keep for it, if they do.
    pub holds_from: Option<u64>,
    /// Messages delivered to it.
    pub received: u64,
    /// Positions that were overwritten before it came to them.
    pub lagged: u64,
}

impl From<EntryMode> for ConsumerMode {
    fn from(mode: EntryMode) -> Self {
        match mode {
            EntryMode::Reliable => Self::Reliable,
            EntryMode::Lossy => Self::Lossy,
            EntryMode::LossyInPlace => Self::LossyInPlace,
        }
    }
}

impl From<ConsumerMode> for EntryMode {
    fn from(mode: ConsumerMode) -> Self {
        match mode {
            ConsumerMode::Reliable => Self::Reliable,
            ConsumerMode::Lossy => Self::Lossy,
            ConsumerMode::LossyInPlace => Self::LossyInPlace,
        }
    }
}

impl BytesQueue<Broadcast> {
    /// Returns what has happened since the queue was created, and the consumers.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&["one", "two"])?;
    /// consumer.recv()?;
    /// let stats = queue.stats();
    /// assert_eq!((stats.sent, stats.received, stats.lagged), (2, 1, 0));
    /// assert_eq!((stats.consumers[0].next, stats.consumers[0].holds_from), (1, Some(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> BroadcastStats {
        let shared = self.shared();
        let (ring, probe) = (BroadcastRing::of(shared), KernelProbe::new(shared.file()));
        let (order, counters) = (ring.order(), ring.order().counters());
        let mut stats = BroadcastStats {
            oldest: ring.oldest(),
            newest: ring.newest(),
            recoveries: counters.recoveries,
            deaths: counters.deaths,
            tombstones: counters.tombstones,
            recovery_failures: counters.recovery_failures,
            ..BroadcastStats::default()
        };
        for entry in 0..order.entry_count() {
            // First, since a dirty word means that what its owner recorded before is there.
            let (word, record) = (order.entry_word(entry), order.entry_record(entry));
            let (all, before) = (record.all, record.before);
            // Saturating, as below: an invalid value must not cause a panic.
            stats.sent = stats.sent.saturating_add(all.sent);
            stats.received = stats.received.saturating_add(all.received);
            stats.lagged = stats.lagged.saturating_add(all.redelivered);
            stats.full = stats.full.saturating_add(all.full);
            if word.is_dirty() && word.role() == EntryRole::Consumer {
                let reader = ring.reader_record(entry);
                stats.consumers.push(ConsumerStats {
                    entry,
                    mode: reader.mode.map(ConsumerMode::from),
                    alive: probe.is_alive(entry),
                    pid: record.pid as u32,
                    since: SystemTime::UNIX_EPOCH + Duration::from_nanos(record.since_ns),
                    next: reader.next,
                    holds_from: ring.cursor_of(entry),
                    received: all.received.saturating_sub(before.received),
                    lagged: all.redelivered.saturating_sub(before.redelivered),
                });
            }
        }
        stats
    }
}
