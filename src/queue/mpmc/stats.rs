//! Counters, for humans and tools.

use std::time::{Duration, SystemTime};

use crate::error::{DeadLetterFailure, Role};
use crate::layout::order::EntryRole;
use crate::order_ring::{EntryCounters, LivenessProbe, OrderRing};
use crate::queue::BytesQueue;
use crate::queue::KernelProbe;
use crate::queue::kind::MpmcKind;

/// What has happened in a queue since it was created. The counters are read while participants
/// work: numbers that belong together may be a moment apart.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that were claimed, or committed, and not taken yet. Those that are to be
    /// redelivered are not among them.
    pub backlog: u64,
    /// Messages that were taken and not released yet, or are to be redelivered. What a dead
    /// participant holds is among them until recovery.
    pub held: u64,
    /// Messages committed.
    pub sent: u64,
    /// Messages delivered, redeliveries included.
    pub received: u64,
    /// Messages redelivered.
    pub redelivered: u64,
    /// Messages rejected.
    pub rejected: u64,
    /// How many times a producer found no room.
    pub full: u64,
    /// Recoveries that found a dead participant.
    pub recoveries: u64,
    /// Participants that died without detaching.
    pub deaths: u64,
    /// Positions claimed by participants that died before they committed.
    pub tombstones: u64,
    /// Messages that recovery requeued from dead participants.
    pub requeued: u64,
    /// Messages that consumers have declared done.
    pub done: u64,
    /// How many times a participant could not find out whether others are alive, or could not
    /// remove the residue of a dead one.
    pub recovery_failures: u64,
    /// Messages moved to the dead-letter queue.
    pub dead_letters: u64,
    /// Messages that should have been dead letters, and were redelivered once more instead.
    pub dead_letters_failed: u64,
    /// The cause of the last such failure.
    pub dead_letter_failure: Option<DeadLetterFailure>,
    /// The participants that are attached, or that died and were not recovered yet.
    pub participants: Vec<ParticipantStats>,
}

/// One participant, and what it has done since it attached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParticipantStats {
    /// Number of its registry entry.
    pub entry: usize,
    /// How many owners the entry has had.
    pub generation: u64,
    /// Its role.
    pub role: Role,
    /// Whether it is alive.
    pub alive: bool,
    /// The pid of its process, in that process's own pid namespace. Diagnostic only.
    pub pid: u32,
    /// When it attached, by its clock. Diagnostic only.
    pub since: SystemTime,
    /// Messages committed.
    pub sent: u64,
    /// Messages delivered to it, redeliveries included.
    pub received: u64,
    /// Messages delivered to it that were delivered before.
    pub redelivered: u64,
    /// How many times it found no room.
    pub full: u64,
}

impl Stats {
    /// Returns whether no work is left: no message waits, and no participant holds one that could
    /// be redelivered. A closed queue (`is_closed()`) of which this is true stays so.
    ///
    /// A consumer gets [`RecvError::Closed`](crate::RecvError::Closed) as soon as nothing is left
    /// to take, while other consumers may still hold messages, which are redelivered if these
    /// consumers die or reject them. To shut down when all work is done, wait for this.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(b"job")?;
    /// queue.close();
    /// let (worker, other) = (queue.consumer()?, queue.consumer()?);
    /// let job = worker.recv()?;
    /// assert!(matches!(other.recv(), Err(ringway::RecvError::Closed)));
    /// assert!(!queue.stats().is_drained()); // the job may still be redelivered
    /// drop(job);
    /// assert!(queue.stats().is_drained());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_drained(&self) -> bool {
        self.backlog == 0 && self.held == 0
    }
}

impl<K: MpmcKind> BytesQueue<K> {
    /// Returns what has happened since the queue was created, and the participants.
    pub fn stats(&self) -> Stats {
        let shared = self.shared();
        collect(&shared.ring(), &KernelProbe::new(shared.file()))
    }
}

fn collect(ring: &OrderRing, probe: &impl LivenessProbe) -> Stats {
    let counters = ring.counters();
    let mut stats = Stats {
        backlog: ring.backlog(),
        held: ring.held(),
        recoveries: counters.recoveries,
        deaths: counters.deaths,
        tombstones: counters.tombstones,
        requeued: counters.requeued,
        done: counters.done,
        recovery_failures: counters.recovery_failures,
        dead_letters: counters.dead_letters,
        dead_letters_failed: counters.dead_letters_failed,
        dead_letter_failure: DeadLetterFailure::from_word(counters.letter_failure),
        ..Stats::default()
    };
    for index in 0..ring.entry_count() {
        // First, since a dirty word means that what its owner recorded before is there.
        let word = ring.entry_word(index);
        let record = ring.entry_record(index);
        let (all, before) = (record.all, record.before);
        // Saturating, as below: an invalid value must neither cause a panic nor appear as a small
        // number.
        for (sum, counter) in [
            (&mut stats.sent, all.sent),
            (&mut stats.received, all.received),
            (&mut stats.redelivered, all.redelivered),
            (&mut stats.rejected, all.rejected),
            (&mut stats.full, all.full),
        ] {
            *sum = sum.saturating_add(counter);
        }
        if word.is_dirty() {
            let own = |counter: fn(&EntryCounters) -> u64| counter(&all).saturating_sub(counter(&before));
            stats.participants.push(ParticipantStats {
                entry: index,
                generation: word.generation(),
                role: match word.role() {
                    EntryRole::Producer => Role::Producer,
                    EntryRole::Consumer => Role::Consumer,
                },
                alive: probe.is_alive(index),
                pid: record.pid as u32,
                since: SystemTime::UNIX_EPOCH + Duration::from_nanos(record.since_ns),
                sent: own(|counters| counters.sent),
                received: own(|counters| counters.received),
                redelivered: own(|counters| counters.redelivered),
                full: own(|counters| counters.full),
            });
        }
    }
    stats
}
