//! Intent, CAS, commit and recovery on weak memory: see [`crate::store_buffer`].
//!
//! # What is modelled
//!
//! Producers that send and consumers that receive one message after the other (`k` = 1), with every
//! store of a shared word going through the thread's buffer. Recovery runs all the time, whether or
//! not a participant has been killed, because any participant that is stopped by Pending may call
//! it. A consumer may reject, and scans for REDELIVER slots when `redelivery_epoch` has changed
//! (compared as in `claims`, by a flag). `FIELDS` stands for the slot's fields and for the frame's
//! bytes: what must be visible before the commit is.
//!
//! # What is left out
//!
//! Batches, CLEAN, attach, detach: see `claims`. What
//! store buffers cannot show: see `store_buffer`.
//!
//! # Invariants, and where they are asserted
//!
//! I2 and I3, at the moment at which a commit, a HELD or a release becomes visible: it must meet the word
//! that it follows, not one that recovery has put there (`WeakMemory::drain`). I4 and I6, where a consumer
//! reads the fields. I8 in `WeakMemory::goal`.

mod recovery;
mod thread;

use crate::checker::{Model, Steps};
use crate::mistake::Mistake;
use crate::store_buffer::{Memory, Order};
use recovery::{AT_START, Recovery};
use std::fmt;

const SLOTS: u8 = 2;
const THREADS: usize = 4;
const POSITIONS: usize = 4;

/// Locations.
const TAIL: usize = 0;
const HEAD: usize = 1;
const INTENT: usize = 2;
const SLOT: usize = INTENT + THREADS;
const FIELDS: usize = SLOT + SLOTS as usize;
const LOCATIONS: usize = FIELDS + SLOTS as usize;

/// Slot words: kind, owner and lap in one byte.
const FREE: u8 = 0;
const FULL: u8 = 1;
const HELD: u8 = 2;
const REDELIVER: u8 = 3;

fn word(kind: u8, owner: usize, lap: u8) -> u8 {
    lap << 4 | (owner as u8) << 2 | kind
}

fn kind(word: u8) -> u8 {
    word & 3
}

fn owner(word: u8) -> usize {
    usize::from(word >> 2 & 3)
}

fn lap(word: u8) -> u8 {
    word >> 4
}

fn slot(position: u8) -> usize {
    SLOT + usize::from(position % SLOTS)
}

fn fields(position: u8) -> usize {
    FIELDS + usize::from(position % SLOTS)
}

/// Intents have a word each: 0 is NONE, else position + 1.
fn intent(position: u8) -> u8 {
    position + 1
}

/// For traces: a location and its value, in words.
fn describe(location: usize, value: u8) -> String {
    match location {
        TAIL => format!("tail {value}"),
        HEAD => format!("head {value}"),
        l if l < SLOT => match value {
            0 => format!("intent of thread {} NONE", l - INTENT),
            _ => format!("intent of thread {} {}", l - INTENT, value - 1),
        },
        l if l < FIELDS => {
            let kind = ["FREE", "FULL", "HELD", "REDELIVER"][usize::from(kind(value))];
            format!("slot {} {kind}({})", l - SLOT, lap(value))
        }
        l => format!("fields {} {value}", l - FIELDS),
    }
}

/// How large a world to explore.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub producers: usize,
    pub consumers: usize,
    pub messages: u8,
    pub rejects: u8,
    pub kills: u8,
    /// Recovery runs all the time, or never.
    pub recovers: bool,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bounds = [
            ("P", self.producers),
            ("C", self.consumers),
            ("messages", self.messages.into()),
            ("rejects", self.rejects.into()),
            ("kills", self.kills.into()),
        ];
        crate::bounds::write(f, &bounds)?;
        f.write_str(if self.recovers { ", recovers" } else { "" })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pc {
    Killed,
    /// A consumer that has rejected and never calls again.
    Idle,
    Ready,
    Scan,
    CheckSlot,
    StoreIntent,
    Cas,
    ClearIntent,
    StoreFields,
    /// Commit, or mark HELD.
    Mark,
    ReadFields,
    Release,
    Bump,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Thread {
    pc: Pc,
    position: u8,
    /// Producer: messages sent.
    sent: u8,
    /// Consumer: whether its copies of `redelivery_epoch` equal it: the one it has seen, and the
    /// one it scans for.
    seen: bool,
    scan_is_current: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    memory: Memory<LOCATIONS, THREADS>,
    threads: [Thread; THREADS],
    recovery: Recovery,
    /// Ghosts, by position: the message committed there plus one; and whether it was delivered.
    committed: [u8; POSITIONS],
    delivered: [bool; POSITIONS],
    rejects: u8,
    kills: u8,
}

pub struct WeakMemory {
    pub bounds: Bounds,
    pub mistake: Option<Mistake>,
}

impl WeakMemory {
    fn order(&self, relaxed_by: Mistake) -> Order {
        if self.mistake == Some(relaxed_by) { Order::Relaxed } else { Order::Release }
    }

    fn is_producer(&self, t: usize) -> bool {
        t < self.bounds.producers
    }

    fn threads(&self) -> usize {
        self.bounds.producers + self.bounds.consumers
    }

    fn name(&self, t: usize) -> String {
        if self.is_producer(t) {
            format!("producer {t}")
        } else {
            format!("consumer {}", t - self.bounds.producers)
        }
    }

    /// Held from attach until the process is dead and its last store visible.
    fn liveness_lock(s: &State, t: usize) -> bool {
        s.threads[t].pc != Pc::Killed || !s.memory.is_drained(t)
    }

    /// `redelivery_epoch.fetch_add(1)`: no consumer's copy is current any more.
    fn bump_epoch(&self, n: &mut State) {
        for consumer in &mut n.threads[self.bounds.producers..self.threads()] {
            (consumer.seen, consumer.scan_is_current) = (false, false);
        }
    }

    fn message(&self, producer: usize, sent: u8) -> u8 {
        producer as u8 * self.bounds.messages + sent
    }
}

impl Model for WeakMemory {
    type State = State;

    fn initial(&self) -> State {
        State {
            memory: Memory::new([0; LOCATIONS]),
            threads: [Thread { pc: Pc::Ready, position: 0, sent: 0, seen: true, scan_is_current: false };
                THREADS],
            recovery: AT_START,
            committed: [0; POSITIONS],
            delivered: [false; POSITIONS],
            rejects: 0,
            kills: 0,
        }
    }

    fn steps(&self, s: &State, steps: &mut Steps<State>) {
        for t in 0..self.threads() {
            self.thread(s, t, steps);
            self.kill(s, t, steps);
            self.drain(s, t, steps);
        }
        if self.bounds.recovers {
            self.recovery(s, steps);
        }
    }

    fn invariant(&self, _: &State) -> Result<(), String> {
        Ok(())
    }

    /// While a consumer goes on calling: live producers are done, every slot is free, what is
    /// committed delivered.
    fn goal(&self, s: &State) -> bool {
        let dead = |t: usize| s.threads[t].pc == Pc::Killed;
        let mut consumers = self.bounds.producers..self.threads();
        let mut producers = 0..self.bounds.producers;
        let free = |x: u8| {
            let found = s.memory.visible(slot(x));
            kind(found) == FREE && lap(found) * SLOTS + x >= s.memory.visible(TAIL)
        };
        consumers.all(|t| dead(t) || s.threads[t].pc == Pc::Idle)
            || (producers.all(|t| dead(t) || s.threads[t].sent == self.bounds.messages)
                && (0..SLOTS).all(free)
                && (0..self.threads()).all(|t| s.memory.is_drained(t))
                && (0..POSITIONS).all(|p| s.committed[p] == 0 || s.delivered[p]))
    }

    fn show(&self, s: &State) -> String {
        let words: Vec<_> = (0..LOCATIONS).map(|l| describe(l, s.memory.visible(l))).collect();
        let mut line = words.join(", ");
        for t in 0..self.threads() {
            let pending: Vec<_> =
                s.memory.pending(t).iter().map(|s| describe(s.location.into(), s.value)).collect();
            line +=
                &format!("; {} at {:?}, its stores under way: {pending:?}", self.name(t), s.threads[t].pc);
        }
        line
    }
}
