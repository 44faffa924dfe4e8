//! A queue at one moment.

use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::header::Header;
use super::participants::{self, Participant, Registry};
use super::source::{Source, Words};
use super::tasks::Tasks;
use super::{Inspector, QueueKind, broadcast, slots, spsc};
use crate::error::{Corrupted, DeadLetterFailure, InspectError};
use crate::layout::order::{Head, Tail};
use crate::layout::{
    CURSORS_OFFSET, ConsumerWords, Cursors as SpscWords, EVENTS_OFFSET, EventWords, LOCK_ATTACH,
    LOCK_RECOVERY, Order, OrderCursors, QueueEventWords, RARE_OFFSET, RETAINED_OFFSET, Rare, Retained,
    Waiters,
};
use crate::queue::{Boot, inspect_boot};
use crate::shm::is_locked;

/// The maximum number of invalid values that are listed.
const MAX_CORRUPTION: usize = 16;
/// The maximum number of held frames that are listed, and of pending positions.
pub(super) const MAX_LISTED: usize = 1024;

/// The state of a queue at one moment, as [`Inspector::snapshot`] found it.
///
/// ```
/// use ringway::inspect::Snapshot;
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(&name)? };
/// let snapshot = Snapshot::read(&name)?;
/// assert!(snapshot.is_drained() && !snapshot.is_in_use());
/// println!("created {:?} ago", snapshot.age());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The file.
    pub path: PathBuf,
    /// When the snapshot was taken.
    pub at: SystemTime,
    /// What was fixed when the queue was created.
    pub header: Header,
    /// What the file takes up.
    pub file: FileUse,
    /// Whether the queue was unlinked: no participant can attach any more.
    pub is_unlinked: bool,
    /// In which boot of the machine the queue was last used, and what that means. The snapshot
    /// reads the whole contents of a queue that was last used in another boot.
    pub boot: Boot,
    /// Whether the queue was closed: nothing is sent any more.
    pub is_closed: bool,
    /// The positions that the producers and consumers have reached.
    pub cursors: Cursors,
    /// What is in the queue.
    pub backlog: Backlog,
    /// The attached participants, and the dead ones that were not recovered yet. SPSC: also the
    /// last participant of a role that has none now.
    pub participants: Vec<Participant>,
    /// MPMC: messages in flight, by position; no more than 1,024 of them. [`Backlog::held`] counts
    /// all.
    pub held: Vec<HeldFrame>,
    /// MPMC and broadcast: positions that were claimed and not committed, or (MPMC) taken and not marked so; no more
    /// than 1,024 of them.
    pub pending: Vec<PendingPosition>,
    /// MPMC and broadcast: events since the queue was created.
    pub counters: Option<Counters>,
    /// Locks that are held for moments only.
    pub locks: Locks,
    /// Values that no participant that follows the protocol could have stored; the first few.
    pub corruption: Vec<Corrupted>,
}

/// What the file takes up.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FileUse {
    /// Its length in bytes.
    pub len: u64,
    /// Bytes that it takes up on its filesystem.
    pub allocated: u64,
    /// Bytes that it must take up so that no participant is hit by a full disk: the parts that got
    /// their space when the queue was created, and the lanes in use.
    pub needed: u64,
    /// Permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
}

/// The cursors of a queue. Positions count messages; in SPSC queues with messages of any size they
/// count bytes of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cursors {
    /// One producer, one consumer.
    #[non_exhaustive]
    Spsc {
        /// Next position to write.
        tail: u64,
        /// Released room, as the producer was told.
        head: u64,
        /// Start of the oldest message that is in flight or waits.
        released: u64,
        /// End of the newest message that was delivered.
        taken: u64,
        /// Messages before this position had been delivered to an earlier consumer ...
        redelivered_until: u64,
        /// ... this many times.
        redelivery_count: u64,
    },
    /// Many of both; each message goes to one consumer.
    #[non_exhaustive]
    Mpmc {
        /// Next position to claim.
        tail: u64,
        /// Next position to take.
        head: u64,
    },
    /// Many of both; each message goes to every consumer.
    #[non_exhaustive]
    Broadcast {
        /// Next position to claim.
        tail: u64,
        /// The oldest position at which a consumer may begin.
        floor: u64,
        /// Positions before this one may be overwritten.
        free: u64,
    },
}

/// What is in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Messages that wait for a consumer, including those that will be redelivered. Broadcast: positions that
    /// are retained, read or not. `None` if they
    /// could not be counted (SPSC): there were too many, or they moved too fast.
    pub waiting: Option<u64>,
    /// Messages in flight; broadcast: the sum over all consumers. `None` as for `waiting`.
    pub held: Option<u64>,
    /// Waiting messages that had been delivered before.
    pub redeliveries: u64,
    /// MPMC and broadcast: positions that were claimed and are not committed yet.
    pub pending: u64,
    /// MPMC: messages for which no consumer has called `task_done`. `None` where that is not counted:
    /// in queues with `Delivery::AtMostOnce` or `max_redeliveries`, and in dead-letter queues.
    pub unfinished: Option<u64>,
    /// Bytes of the messages that wait or are in flight (broadcast: that are retained); SPSC: bytes of the ring that they take up.
    pub bytes: u64,
    /// How much of `capacity` is in use: bytes or cells of the ring (SPSC), slots of the order ring
    /// (MPMC); broadcast: positions that are kept for consumers, the others give way to new messages.
    pub used: u64,
    /// All bytes, cells or slots.
    pub capacity: u64,
}

/// A message in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldFrame {
    /// Its position in the order.
    pub position: u64,
    /// Registry entry of the participant that holds it.
    pub entry: usize,
    /// The number of earlier deliveries.
    pub redeliveries: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// A position between two states: claimed and not committed, or taken and not marked HELD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingPosition {
    /// The position.
    pub position: u64,
    /// True: taken, but not yet marked so. False: claimed, but not committed.
    pub is_take: bool,
    /// Registry entry of the participant that claimed or took it, if its intent shows that.
    pub entry: Option<usize>,
}

/// Counts of events in an MPMC or broadcast queue since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages committed.
    pub sent: u64,
    /// Messages delivered, redeliveries included.
    pub received: u64,
    /// Messages delivered again.
    pub redelivered: u64,
    /// Broadcast: positions that were overwritten before consumers came to them, of all consumers together.
    pub lagged: u64,
    /// Messages that were rejected.
    pub rejected: u64,
    /// How often a producer found no room.
    pub full: u64,
    /// Recoveries that found a dead participant.
    pub recoveries: u64,
    /// Participants that died without detaching.
    pub deaths: u64,
    /// Positions claimed by participants that died before they committed.
    pub tombstones: u64,
    /// Messages that recovery returned to the queue because their holders had died.
    pub requeued: u64,
    /// How many times a consumer has called `task_done`.
    pub done: u64,
    /// How often a participant could not find out whether its peers are alive, or could not remove
    /// the residue of a dead one ...
    pub recovery_failures: u64,
    /// ... and the system's error number of the last such failure; 0: none.
    pub recovery_errno: u64,
    /// Messages moved to the dead-letter queue.
    pub dead_letters: u64,
    /// Messages that should have been dead-lettered, and were delivered once more instead.
    pub dead_letters_failed: u64,
    /// Why the last one could not be dead-lettered.
    pub dead_letter_failure: Option<DeadLetterFailure>,
}

/// Locks that are held for moments only; one that is held for long belongs to a participant that is
/// stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Locks {
    /// Whether the attach lock is held: a participant attaches, or the queue is being unlinked.
    pub attach: bool,
    /// Whether the recovery lock is held: a recovery runs.
    pub recovery: bool,
}

impl Snapshot {
    /// Opens a queue and takes one snapshot of it.
    ///
    /// # Errors
    /// Those of [`Inspector::open`] and [`Inspector::snapshot`].
    pub fn read(name: impl AsRef<Path>) -> Result<Self, InspectError> {
        Inspector::open(name)?.snapshot()
    }

    pub(super) fn take(source: &Source, header: &Header) -> Result<Self, InspectError> {
        let metadata = source.file.metadata().map_err(source.failed("checking the file"))?;
        let page = source.head_page()?;
        let mut snapshot =
            Self {
                path: source.path.clone(),
                at: SystemTime::now(),
                header: header.clone(),
                file: FileUse {
                    len: metadata.len(),
                    allocated: metadata.blocks() * 512,
                    needed: source.geometry.allocated_len(),
                    mode: metadata.mode() & 0o7777,
                    uid: metadata.uid(),
                },
                is_unlinked: metadata.nlink() == 0 || page.at(RARE_OFFSET + offset_of!(Rare, dead)) != 0,
                boot: inspect_boot(&source.file, &source.geometry, source.is_memory)
                    .map_err(source.failed("reading which boot the queue was used in"))?,
                is_closed: Waiters(page.at(EVENTS_OFFSET
                    + offset_of!(QueueEventWords, messages)
                    + offset_of!(EventWords, waiters)))
                .is_closed(),
                cursors: cursors(&page, header.kind),
                backlog: Backlog::default(),
                participants: Vec::new(),
                held: Vec::new(),
                pending: Vec::new(),
                counters: None,
                locks: Locks {
                    attach: is_locked(&source.file, LOCK_ATTACH).unwrap_or(false),
                    recovery: is_locked(&source.file, LOCK_RECOVERY).unwrap_or(false),
                },
                corruption: Vec::new(),
            };
        match source.geometry.order {
            Some(order) => snapshot.take_mpmc(source, order, &page)?,
            None => snapshot.take_spsc(source)?,
        }
        snapshot.corruption.truncate(MAX_CORRUPTION);
        Ok(snapshot)
    }

    fn take_mpmc(&mut self, source: &Source, order: Order, page: &Words) -> Result<(), InspectError> {
        let registry = participants::mpmc(source, order)?;
        let found = match order.broadcast {
            None => slots::scan(source, order, &registry)?,
            Some(broadcast) => broadcast::scan(source, order, broadcast, &registry)?,
        };
        let tasks = order.broadcast.is_none().then(|| Tasks::read(source)).transpose()?;
        let counters = counters(page, &registry, tasks.map_or(0, |tasks| tasks.done));
        self.counters = Some(match order.broadcast {
            None => counters,
            Some(_) => Counters { lagged: counters.redelivered, redelivered: 0, ..counters },
        });
        // Saturating: the check of the geometry bounds both, and this costs nothing.
        let lanes = registry.lanes.saturating_mul(source.geometry.lane_len);
        self.file.needed = self.file.needed.saturating_add(lanes);
        self.participants = registry.participants;
        for one in &mut self.participants {
            one.holds = found.holds.get(one.entry).copied().unwrap_or(0);
        }
        self.backlog =
            Backlog { unfinished: tasks.and_then(|tasks| tasks.unfinished(order.policy)), ..found.backlog };
        self.held = found.held;
        self.pending = found.pending;
        self.corruption = found.corruption;
        if let Some(tasks) = tasks {
            self.corruption.extend(tasks.corruption(source)?);
        }
        Ok(())
    }

    fn take_spsc(&mut self, source: &Source) -> Result<(), InspectError> {
        self.participants = participants::spsc(source)?;
        let found = spsc::scan(source)?;
        self.backlog = found.backlog;
        self.corruption = found.corruption;
        let held = self.backlog.held.unwrap_or(0);
        for one in &mut self.participants {
            if one.role == crate::Role::Consumer {
                one.holds = held;
            }
        }
        Ok(())
    }

    /// Whether a live participant is attached.
    pub fn is_in_use(&self) -> bool {
        self.participants.iter().any(|one| one.liveness == super::Liveness::Alive)
    }

    /// Broadcast: the consumer for which the oldest message is kept: producers wait for it first. `None` if
    /// they wait for none.
    ///
    /// ```
    /// use ringway::inspect::Snapshot;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("ticks");
    /// let queue = unsafe { ringway::broadcast::BytesQueue::create(&name)? };
    /// let journal = queue.consumer()?;
    /// queue.producer()?.send(b"tick")?;
    /// let snapshot = Snapshot::read(&name)?;
    /// let holder = snapshot.floor_holder().expect("it has read nothing");
    /// assert_eq!((holder.pid, holder.reading.unwrap().lag), (std::process::id(), 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn floor_holder(&self) -> Option<&Participant> {
        let from = |one: &Participant| one.reading.and_then(|reading| reading.holds_from);
        self.participants.iter().filter(|one| from(one).is_some()).min_by_key(|one| from(one))
    }

    /// Whether the queue is empty: no message waits, is in flight, or is being sent. A closed queue
    /// ([`is_closed`](Self::is_closed)) of which this is true stays so. False if it is not known.
    pub fn is_drained(&self) -> bool {
        let Backlog { waiting, held, pending, .. } = self.backlog;
        (waiting, held, pending) == (Some(0), Some(0), 0) && self.corruption.is_empty()
    }

    /// How long ago the queue was created, if that is known and not in the future.
    pub fn age(&self) -> Option<Duration> {
        self.at.duration_since(self.header.created?).ok()
    }
}

pub(super) fn cursors(page: &Words, kind: QueueKind) -> Cursors {
    let at = |offset| page.at(CURSORS_OFFSET + offset);
    let tail = || Tail(at(offset_of!(OrderCursors, tail))).position();
    match kind {
        QueueKind::Spsc => {}
        QueueKind::Mpmc => {
            let head = Head(at(offset_of!(OrderCursors, head))).position();
            return Cursors::Mpmc { tail: tail(), head };
        }
        QueueKind::Broadcast => {
            let retained = |offset| page.at(RETAINED_OFFSET + offset);
            let floor = retained(offset_of!(Retained, floor));
            return Cursors::Broadcast { tail: tail(), floor, free: retained(offset_of!(Retained, free)) };
        }
    }
    let consumer = |offset| at(offset_of!(SpscWords, consumer) + offset);
    Cursors::Spsc {
        tail: at(offset_of!(SpscWords, tail)),
        head: at(offset_of!(SpscWords, head)),
        released: consumer(offset_of!(ConsumerWords, released)),
        taken: consumer(offset_of!(ConsumerWords, taken)),
        redelivered_until: consumer(offset_of!(ConsumerWords, redelivered_until)),
        redelivery_count: consumer(offset_of!(ConsumerWords, redelivery_count)),
    }
}

fn counters(page: &Words, registry: &Registry, done: u64) -> Counters {
    let rare = |offset| page.at(RARE_OFFSET + offset);
    let sums = &registry.sums;
    Counters {
        sent: sums.sent,
        received: sums.received,
        redelivered: sums.redelivered,
        lagged: 0,
        rejected: sums.rejected,
        full: sums.full,
        recoveries: rare(offset_of!(Rare, recoveries)),
        deaths: rare(offset_of!(Rare, deaths)),
        tombstones: rare(offset_of!(Rare, tombstones)),
        requeued: rare(offset_of!(Rare, requeued)),
        done,
        recovery_failures: rare(offset_of!(Rare, recovery_failures)),
        recovery_errno: rare(offset_of!(Rare, recovery_errno)),
        dead_letters: rare(offset_of!(Rare, dead_letters)),
        dead_letters_failed: rare(offset_of!(Rare, dead_letters_failed)),
        dead_letter_failure: DeadLetterFailure::from_word(rare(offset_of!(Rare, letter_failure))),
    }
}
