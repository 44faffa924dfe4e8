//! The dead-peer scan: an idle consumer checks whether the participants that hold something are
//! alive.
//!
//! # Which participants are checked
//!
//! Those that hold frames ([`Watched`] knows which positions may be held), or have taken and not
//! marked one; each scan continues where the last one stopped. The others, which withhold nothing
//! from other participants but their entry, are checked in turn, a few at a time. So the time until
//! a dead consumer's frames are redelivered depends on how many consumers hold frames, not on how
//! many participants there are. What a dead *producer* has left blocks all, and is found there
//! ([`super::stall`]).
//!
//! # How often
//!
//! A check costs the kernel a walk over all locks of the file, some nanoseconds each: among thousands
//! of participants more than the rest of the scan. So the others are checked again only after
//! [`REST`] times as long as it took, and a scan is limited by time, and one scan in a millisecond is enough for the whole queue, whichever
//! consumer does it. A consumer that sleeps wakes up for the next scan after [`WATCH`]. If it finds
//! then that others scan often enough, it sleeps longer the next time, up to a limit that grows
//! with their number ([`Census`]): many consumers together do not scan more often than a few do. A
//! queue's only consumer has no other to watch; it is notified when one attaches.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use super::census::Census;
use super::participant::Participant;
use crate::order_ring::{EntrySet, LivenessProbe, OrderRing, Unsettled, Watched};

/// The first sleep of an idle consumer while no other consumer scans.
const WATCH: Duration = Duration::from_millis(10);
/// A sleep in any case, where there are other consumers ...
const MIN_LIMIT: Duration = Duration::from_millis(15);
/// ... longer by this for each of them ...
const FOR_EACH: Duration = Duration::from_micros(2500);
/// ... and where there are none.
const MOST: Duration = Duration::from_millis(100);

/// Time between two scans of a queue, whichever consumers do them.
const INTERVAL: Duration = Duration::from_millis(1);
/// How long one scan checks participants that hold something; at least one is checked.
const FOR_HOLDERS: Duration = Duration::from_micros(50);
/// How long one scan checks the other participants.
const FOR_OTHERS: Duration = Duration::from_micros(5);
/// Checking the others takes no more than one part in this many of a consumer's time.
const REST: u32 = 2000;
/// A check that seems to take longer was interrupted.
const MAX_COST: Duration = Duration::from_micros(100);
/// Maximum number of other entries whose words are read in one scan.
const MAX_OTHERS: usize = 64;

/// What one consumer knows of the others.
pub(super) struct Watch {
    held: Watched,
    /// A position that was taken and not marked at the last scan: its participant is checked if
    /// that is still so.
    taken: Cell<Option<u64>>,
    census: Census,
    /// The entry whose owner is checked next ...
    next: Cell<usize>,
    /// ... and not before this.
    others_due: Cell<Option<Instant>>,
    slice: Cell<Duration>,
}

impl Watch {
    pub(super) fn new(ring: &OrderRing) -> Self {
        Self {
            held: Watched::new(ring),
            taken: Cell::new(None),
            census: Census::new(ring),
            next: Cell::new(0),
            others_due: Cell::new(None),
            slice: Cell::new(WATCH),
        }
    }

    /// How long it may sleep until the next scan.
    pub(super) fn slice(&self) -> Duration {
        self.slice.get()
    }

    fn max_sleep(&self) -> Duration {
        match self.census.consumers() {
            0 | 1 => MOST,
            consumers => (FOR_EACH * consumers as u32).clamp(MIN_LIMIT, MOST),
        }
    }

    /// Scans, unless another consumer has just done so; recovers from participants that are dead. A
    /// failure is noted as the participant's recovery failure.
    #[cold]
    pub(super) fn attempt(&self, participant: &Participant) {
        let ring = participant.ring();
        match self.is_due(ring) {
            Ok(true) => {}
            Ok(false) => return,
            Err(source) => {
                let (failures, shared) = (participant.recovery_failures(), participant.shared());
                return failures.note(shared, "asking for the time", source, &EntrySet::EMPTY);
            }
        }
        let (probe, mut dead) = (participant.probe(), EntrySet::EMPTY);
        self.ask_holders(participant, &probe, &mut dead);
        self.ask_others(participant, &probe, &mut dead);
        if participant.recovery_failures().is_there() && !probe.has_asked() {
            // Without others only this question shows that the kernel answers again. Its lock is no
            // obstacle to its owner, so that the answer itself says nothing.
            let _ = probe.is_alive(participant.entry().index());
        }
        participant.conclude(&probe, dead);
    }

    /// Whether a scan by this consumer is due; sets how long it may sleep then.
    fn is_due(&self, ring: &OrderRing) -> io::Result<bool> {
        let now = monotonic_ns()?;
        let last = ring.last_scan();
        // A timestamp from the future comes from another clock (a container's): it counts as old.
        let age = now.checked_sub(last).map_or(MOST, Duration::from_nanos);
        let is_relieved = age < WATCH;
        let longer = if is_relieved { self.slice.get() * 2 } else { WATCH };
        let is_due = age >= INTERVAL && ring.record_scan(last, now);
        if is_due {
            self.census.go_on(ring);
        }
        let most = self.max_sleep();
        self.slice.set(if self.census.consumers() <= 1 { most } else { longer.min(most) });
        Ok(is_due)
    }

    fn ask_holders(&self, participant: &Participant, probe: &impl LivenessProbe, dead: &mut EntrySet) {
        let (ring, begin) = (participant.ring(), Instant::now());
        let (mut asked, mut turn) = (EntrySet::EMPTY, Turn::of(self.taken.get()));
        // This participant is alive.
        asked.insert(participant.entry().index());
        self.held.scan(ring, |found| {
            match found {
                Unsettled::Held(owner) if owner < ring.entry_count() && asked.insert(owner) => {
                    if !probe.is_alive(owner) {
                        dead.insert(owner);
                    }
                    begin.elapsed() < FOR_HOLDERS
                }
                Unsettled::Held(_) => true,
                // It is usually marked a moment later.
                Unsettled::Taken(position) if turn.is_now(position) => {
                    ring.blocked(position, probe, dead);
                    begin.elapsed() < FOR_HOLDERS
                }
                Unsettled::Taken(_) => true,
            }
        });
        self.taken.set(turn.next());
        // Each that holds something, and this one.
        self.census.saw(asked.len() as usize);
        self.slice.set(self.slice.get().min(self.max_sleep()));
    }

    /// Checks a few entries, whatever their owners do.
    fn ask_others(&self, participant: &Participant, probe: &impl LivenessProbe, dead: &mut EntrySet) {
        let (ring, begin) = (participant.ring(), Instant::now());
        if self.others_due.get().is_some_and(|due| begin < due) {
            return;
        }
        let count = ring.entry_count();
        for _ in 0..count.min(MAX_OTHERS) {
            let index = self.next.get() % count;
            self.next.set(index + 1);
            if index != participant.entry().index() && ring.entry_word(index).is_dirty() {
                if !probe.is_alive(index) {
                    dead.insert(index);
                }
                if begin.elapsed() >= FOR_OTHERS {
                    break;
                }
            }
        }
        let now = Instant::now();
        self.others_due.set(Some(now + (now - begin).min(MAX_COST) * REST));
    }
}

/// Which of the positions that were taken and not marked is checked in a scan: one after the other.
/// A living participant that is paused keeps its position for long, and must not hide what a dead
/// one has left.
struct Turn {
    now: Option<u64>,
    has_come: bool,
    /// The first position that was seen before it, and the first after it.
    before: Option<u64>,
    after: Option<u64>,
}

impl Turn {
    fn of(position: Option<u64>) -> Self {
        Self { now: position, has_come: false, before: None, after: None }
    }

    /// Whether it is the turn of this position.
    fn is_now(&mut self, position: u64) -> bool {
        if self.now == Some(position) {
            self.has_come = true;
            return true;
        }
        let first = if self.has_come { &mut self.after } else { &mut self.before };
        first.get_or_insert(position);
        false
    }

    /// The position that is checked in the next scan.
    fn next(&self) -> Option<u64> {
        self.after.or(self.before).or(self.now.filter(|_| self.has_come))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Turn;

    #[test]
    fn each_position_has_its_turn() {
        for count in 1..4_u64 {
            let (mut asked, mut position) = (Vec::new(), None);
            for _ in 0..=count {
                let mut turn = Turn::of(position);
                asked.extend((1..=count).filter(|position| turn.is_now(*position)));
                position = turn.next();
            }
            assert_eq!(asked, (1..=count).collect::<Vec<_>>());
        }
    }
}

fn monotonic_ns() -> io::Result<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
