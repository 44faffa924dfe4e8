//! Counters, for people and tools.

use std::time::{Duration, SystemTime};

use super::member::KernelLeases;
use crate::error::{DeadLetterFailure, Role};
use crate::layout::order::EntryRole;
use crate::links::{Leases, Links};
use crate::queue::BytesQueue;
use crate::queue::kind::Mpmc;
use crate::sync::{AtomicU64, Ordering};

/// What has happened in a queue since it was created. Read while others go on: numbers that belong together may be a
/// moment apart.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that were claimed, or committed, and not taken yet.
    pub backlog: u64,
    /// Messages committed.
    pub sent: u64,
    /// Messages handed out, redeliveries included.
    pub received: u64,
    /// Messages handed out again.
    pub redelivered: u64,
    /// Messages that were put back.
    pub rejected: u64,
    /// How often a producer found no room.
    pub full: u64,
    /// Recoveries that found somebody dead.
    pub recoveries: u64,
    /// Participants that died without detaching.
    pub deaths: u64,
    /// Positions claimed by participants that died before they committed.
    pub tombstones: u64,
    /// Messages that recoveries took from dead participants.
    pub returned: u64,
    /// Messages moved to the dead-letter queue.
    pub dead_letters: u64,
    /// Messages that should have been, and were delivered once more instead.
    pub dead_letters_failed: u64,
    /// Why, the last time.
    pub dead_letter_failure: Option<DeadLetterFailure>,
    /// Who takes part now, or has died and was not cleaned up after yet.
    pub participants: Vec<ParticipantStats>,
}

/// One participant. The counters are those of its registry entry: its earlier owners' are in them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParticipantStats {
    /// Number of its registry entry.
    pub entry: usize,
    /// How many owners the entry has had.
    pub generation: u64,
    /// What it does.
    pub role: Role,
    /// Whether it lives.
    pub alive: bool,
    /// Its process, in that process's own pid namespace.
    pub pid: u32,
    /// When it attached, by its clock.
    pub since: SystemTime,
    /// Messages committed.
    pub sent: u64,
    /// Messages handed out to it, redeliveries included.
    pub received: u64,
    /// Messages handed out to it that others had had before.
    pub redelivered: u64,
    /// How often it found no room.
    pub full: u64,
}

impl BytesQueue<Mpmc> {
    /// What has happened since the queue was created, and who takes part.
    pub fn stats(&self) -> Stats {
        let shared = self.shared();
        collect(&shared.links(), &KernelLeases(shared))
    }
}

fn collect(links: &Links, leases: &impl Leases) -> Stats {
    let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
    let rare = &*links.rare;
    let mut stats = Stats {
        backlog: links.backlog(),
        recoveries: get(&rare.recoveries),
        deaths: get(&rare.deaths),
        tombstones: get(&rare.tombstones),
        returned: get(&rare.returned),
        dead_letters: get(&rare.dead_letters),
        dead_letters_failed: get(&rare.dead_letters_failed),
        dead_letter_failure: DeadLetterFailure::from_word(get(&rare.letter_failure)),
        ..Stats::default()
    };
    for (index, entry) in links.entries.iter().enumerate() {
        let own = &entry.own;
        stats.sent += get(&own.sent);
        stats.received += get(&own.received);
        stats.redelivered += get(&own.redelivered);
        stats.rejected += get(&own.rejected);
        stats.full += get(&own.full);
        let word = links.entry_word(index);
        if word.is_dirty() {
            stats.participants.push(ParticipantStats {
                entry: index,
                generation: word.generation(),
                role: match word.role() {
                    EntryRole::Producer => Role::Producer,
                    EntryRole::Consumer => Role::Consumer,
                },
                alive: leases.is_held(index),
                pid: get(&entry.pid) as u32,
                since: SystemTime::UNIX_EPOCH + Duration::from_nanos(get(&entry.since_ns)),
                sent: get(&own.sent),
                received: get(&own.received),
                redelivered: get(&own.redelivered),
                full: get(&own.full),
            });
        }
    }
    stats
}
