//! Broadcast: every consumer that slept before a commit polls after it.
//!
//! # What is modelled
//!
//! Producers commit positions, each a store through a store buffer, and `notify` all after it.
//! Consumers each have a cursor of their own and receive every message; one that finds nothing sleeps
//! as [`crate::eventcount`] says. A producer may be killed between its claim and its commit: recovery
//! makes a tombstone in its place, and notifies all. A closer may close the queue. Producers that
//! wait for the cursors to move are the same as in `room`, whose releases are stores of other words.
//!
//! # What is left out
//!
//! Everything else: the order ring has slots enough, copies and cursors are those of `broadcast`.
//!
//! # Invariants
//!
//! I8, in `Everyone::goal`: each consumer receives everything, and learns that the queue is closed.

use crate::checker::{Model, Steps};
use crate::eventcount::{ALL, Eventcount, Rules, Sleeping, Waking};
use crate::mistake::Mistake;
use crate::store_buffer::Order;
use std::fmt;

const POSITIONS: usize = 3;
const PRODUCERS: usize = 2;
const CONSUMERS: usize = 3;
/// Recovery, which stores tombstones, and the closer.
const RECOVERY: usize = PRODUCERS;
const CLOSER: usize = RECOVERY + 1;
const FIRST_CONSUMER: usize = CLOSER + 1;
const THREADS: usize = FIRST_CONSUMER + CONSUMERS;

/// How large a world to explore.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Positions that are claimed; producers have them in turn.
    pub positions: u8,
    pub producers: usize,
    pub consumers: usize,
    /// Of producers, before they commit what they have claimed.
    pub kills: u8,
    pub closes: bool,
    /// Membarriers do not reach producer 0.
    pub unregistered: bool,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bounds = [
            ("positions", self.positions.into()),
            ("P", self.producers),
            ("C", self.consumers),
            ("kills", self.kills.into()),
        ];
        crate::bounds::write(f, &bounds)?;
        f.write_str(if self.closes { ", closes" } else { "" })?;
        f.write_str(if self.unregistered { ", one unregistered" } else { "" })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CloserPc {
    Flag,
    Notify,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// Positions: 1 once committed, or a tombstone.
    eventcount: Eventcount<POSITIONS, THREADS>,
    /// The position that each producer commits next; and whether it is dead.
    producers: [(u8, bool); PRODUCERS],
    consumers: [u8; CONSUMERS],
    found_closed: [bool; CONSUMERS],
    closed: bool,
    closer: CloserPc,
    kills: u8,
}

pub struct Everyone {
    pub bounds: Bounds,
    pub mistake: Option<Mistake>,
}

impl Everyone {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn rules(&self) -> Rules {
        let unregistered = self.bounds.unregistered;
        Rules { mistake: self.mistake, storing: 0..RECOVERY + 1, unregistered, slices: false }
    }

    fn wanted(&self) -> u8 {
        if self.makes(Mistake::CommitWakesOne) { 1 } else { ALL }
    }

    fn producer(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let (position, is_dead) = s.producers[i];
        let is_waking = s.eventcount.threads[i].waking != Waking::No;
        if is_dead || position >= self.bounds.positions || !s.eventcount.memory.has_room(i) {
            return;
        }
        if s.kills < self.bounds.kills && !is_waking {
            let mut n = s.clone();
            n.kills += 1;
            n.producers[i].1 = true;
            steps.environment(n, || format!("producer {i} KILLED before it commits {position}"));
        }
        if is_waking {
            return;
        }
        let mut n = s.clone();
        n.producers[i].0 += self.bounds.producers as u8;
        n.eventcount.memory.store(i, position.into(), 1, Order::Release);
        n.eventcount.notify(i, self.wanted());
        steps.step(n, || format!("producer {i}: commits {position}"));
    }

    /// One tombstone after the other.
    fn recovery(&self, s: &State, steps: &mut Steps<State>) {
        let is_waking = s.eventcount.threads[RECOVERY].waking != Waking::No;
        if is_waking || !s.eventcount.memory.has_room(RECOVERY) {
            return;
        }
        for (i, &(position, is_dead)) in s.producers.iter().enumerate() {
            if is_dead && position < self.bounds.positions {
                let mut n = s.clone();
                n.producers[i].0 += self.bounds.producers as u8;
                n.eventcount.memory.store(RECOVERY, position.into(), 1, Order::Release);
                if !self.makes(Mistake::TombstoneWithoutNotify) {
                    n.eventcount.notify(RECOVERY, self.wanted());
                }
                steps.step(n, || format!("recovery: {position} is a tombstone"));
            }
        }
    }

    fn consumer(&self, s: &State, j: usize, rules: &Rules, steps: &mut Steps<State>) {
        let t = FIRST_CONSUMER + j;
        let next = s.consumers[j];
        if s.found_closed[j] || next == self.bounds.positions && !self.bounds.closes {
            return;
        }
        let sleeping = s.eventcount.threads[t].sleeping;
        if !matches!(sleeping, Sleeping::No | Sleeping::Check) {
            if let Some((eventcount, label)) = s.eventcount.sleeping(t, rules) {
                steps.step(State { eventcount, ..s.clone() }, || format!("consumer {j}: {label}"));
            }
            return;
        }
        let mut n = s.clone();
        if next < self.bounds.positions && s.eventcount.memory.visible(next.into()) == 1 {
            n.eventcount.stay_awake(t);
            n.consumers[j] += 1;
            steps.step(n, || format!("consumer {j}: passes {next}"));
        } else if s.closed && next == self.bounds.positions {
            n.eventcount.stay_awake(t);
            n.found_closed[j] = true;
            steps.step(n, || format!("consumer {j}: finds the queue closed"));
        } else if sleeping == Sleeping::Check {
            n.eventcount.found_nothing(t, rules);
            steps.step(n, || format!("consumer {j}: still finds nothing"));
        } else {
            n.eventcount.begin(t, rules);
            steps.step(n, || format!("consumer {j}: finds nothing, reads the eventcount"));
        }
    }

    fn closer(&self, s: &State, steps: &mut Steps<State>) {
        let mut n = s.clone();
        match s.closer {
            CloserPc::Flag => {
                (n.closed, n.closer) = (true, CloserPc::Notify);
                steps.step(n, || "closer: sets CLOSED".into());
            }
            CloserPc::Notify => {
                n.closer = CloserPc::Done;
                n.eventcount.notify_all(CLOSER);
                steps.step(n, || "closer: is about to notify all".into());
            }
            CloserPc::Done => {}
        }
    }
}

impl Model for Everyone {
    type State = State;

    fn initial(&self) -> State {
        let closer = if self.bounds.closes { CloserPc::Flag } else { CloserPc::Done };
        let mut s = State {
            eventcount: Eventcount::new([0; POSITIONS]),
            producers: std::array::from_fn(|i| (i as u8, false)),
            consumers: [0; CONSUMERS],
            found_closed: [false; CONSUMERS],
            closed: false,
            closer,
            kills: 0,
        };
        s.found_closed[self.bounds.consumers..].fill(true);
        s.producers[self.bounds.producers..].fill((self.bounds.positions, false));
        s
    }

    fn steps(&self, s: &State, steps: &mut Steps<State>) {
        let rules = self.rules();
        for t in 0..THREADS {
            s.eventcount.waking(t, &rules, |eventcount, label| {
                steps.step(State { eventcount, ..s.clone() }, || format!("thread {t}: {label}"));
            });
            for (eventcount, label) in s.eventcount.draining(t) {
                steps.step(State { eventcount, ..s.clone() }, || format!("thread {t}: {label}"));
            }
        }
        for i in 0..self.bounds.producers {
            self.producer(s, i, steps);
        }
        self.recovery(s, steps);
        for j in 0..self.bounds.consumers {
            self.consumer(s, j, &rules, steps);
        }
        self.closer(s, steps);
    }

    fn invariant(&self, _: &State) -> Result<(), String> {
        Ok(())
    }

    fn goal(&self, s: &State) -> bool {
        (0..self.bounds.consumers)
            .all(|j| s.consumers[j] == self.bounds.positions && (s.found_closed[j] || !self.bounds.closes))
    }

    fn show(&self, s: &State) -> String {
        let words: Vec<_> =
            (0..self.bounds.positions.into()).map(|x| s.eventcount.memory.visible(x)).collect();
        let mut line = format!("committed {words:?} armed {}", s.eventcount.armed);
        for j in 0..self.bounds.consumers {
            let sleeping = s.eventcount.threads[FIRST_CONSUMER + j].sleeping;
            line += &format!(", consumer {j} at {} {sleeping:?}", s.consumers[j]);
        }
        line
    }
}
