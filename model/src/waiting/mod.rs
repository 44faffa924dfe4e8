//! Consumers asleep until there are messages: commits and rejects without a fence, the eventcount,
//! passing on, closing.
//!
//! # What is modelled
//!
//! Producers claim `k` positions with one CAS, commit them one by one through a store buffer, and
//! call `notify(k)`. Consumers make attempts, and sleep as [`crate::eventcount`] says. A consumer
//! that finds something passes the notification on: to all if the queue is closed, to one if the
//! next position is committed. A consumer takes one message and is then busy with it for ever, so
//! that no lost wake is hidden by a consumer that comes back by chance. It may reject its message
//! instead, and then notifies all. Visitors take a message in passing, without ever sleeping or
//! passing on. A claim whose producer was killed is made a tombstone by the next consumer that
//! makes an attempt; it notifies all. A closer may close the queue: the flag, the bit in `tail`, a
//! notification for all. Consumers that find nothing learn that the queue is closed once all that
//! was claimed is taken.
//!
//! Producers and the closer may be killed anywhere; then every sleep has a timeout and ends by
//! itself.
//!
//! # What is left out
//!
//! The order ring (there are slots enough), intents, guards: see `claims`. An attempt and its take
//! are one step, and so are REDELIVER and the raised epoch; both are stored through the buffer,
//! which lets them be seen later than they could be. Producers waiting for room: see `room`.
//!
//! # Invariants
//!
//! I8, in `Waiting::goal`: no message waits while a consumer sleeps and no participant is left to
//! wake it; once the queue is closed, every consumer learns of it. No consumer learns of it while a
//! message may still come.

mod consumer;
mod producer;

use crate::checker::{Model, Steps};
use crate::eventcount::{Eventcount, Rules, Sleeping, Waking};
use crate::mistake::Mistake;
use std::fmt;

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 4;
const THREADS: usize = PRODUCERS + CONSUMERS + 1;
const CLOSER: usize = PRODUCERS + CONSUMERS;
const POSITIONS: usize = 6;
/// No position is claimed.
const NONE: u8 = POSITIONS as u8;

// The kinds of a slot's state.
const FREE: u8 = 0;
const FULL: u8 = 1;
/// Held, or released.
const TAKEN: u8 = 2;
const REDELIVER: u8 = 3;
const TOMBSTONE: u8 = 4;

/// How large a world to explore.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub producers: usize,
    pub consumers: usize,
    /// Positions claimed by each CAS.
    pub k: u8,
    pub rejects: u8,
    pub kills: u8,
    pub visits: u8,
    /// A closer closes the queue.
    pub closes: bool,
    /// Membarriers do not reach producer 0.
    pub unregistered: bool,
    /// Start with all consumers asleep, which is where the interesting part begins.
    pub asleep: bool,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bounds = [
            ("P", self.producers),
            ("C", self.consumers),
            ("k", self.k.into()),
            ("rejects", self.rejects.into()),
            ("kills", self.kills.into()),
            ("visits", self.visits.into()),
        ];
        crate::bounds::write(f, &bounds)?;
        f.write_str(if self.closes { ", closes" } else { "" })?;
        f.write_str(if self.unregistered { ", one unregistered" } else { "" })?;
        f.write_str(if self.asleep { ", all asleep" } else { "" })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ProducerPc {
    Claim,
    Commit,
    /// In `notify`, or done with it.
    Done,
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Producer {
    pc: ProducerPc,
    position: u8,
    commits: u8,
    /// ARMED as it was read too early (a mistake).
    armed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ConsumerPc {
    /// Checking or asleep, as its thread of the eventcount says.
    Wait,
    PassOn,
    /// It has a message, and may reject it.
    Holding,
    Busy,
    /// It has learned that the queue is closed: about to pass that on, or done.
    PassOnClosed,
    FoundClosed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Consumer {
    pc: ConsumerPc,
    /// The position that it holds.
    position: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CloserPc {
    Flag,
    Tail,
    Notify,
    Done,
    Killed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    eventcount: Eventcount<POSITIONS, THREADS>,
    tail: u8,
    head: u8,
    /// CLOSED, in the flag and in `tail`.
    closed: bool,
    tail_closed: bool,
    producers: [Producer; PRODUCERS],
    consumers: [Consumer; CONSUMERS],
    closer: CloserPc,
    rejects: u8,
    kills: u8,
    visits: u8,
}

impl State {
    fn slot(&self, position: u8) -> u8 {
        self.eventcount.memory.visible(position.into())
    }

    fn is_full(&self, position: u8) -> bool {
        position < self.tail && self.slot(position) == FULL
    }
}

pub struct Waiting {
    pub bounds: Bounds,
    pub mistake: Option<Mistake>,
}

impl Waiting {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn rules(&self) -> Rules {
        let Bounds { producers, consumers, rejects, kills, unregistered, .. } = self.bounds;
        let storing = if rejects > 0 { 0..PRODUCERS + consumers } else { 0..producers };
        let slices = kills > 0 && !self.makes(Mistake::UnboundedPark);
        Rules { mistake: self.mistake, storing, unregistered, slices }
    }

    fn closer(&self, s: &State, steps: &mut Steps<State>) {
        let mut n = s.clone();
        let first = s.closer == CloserPc::Flag;
        match s.closer {
            CloserPc::Flag if self.makes(Mistake::CloseNotifiesFirst) && !s.tail_closed => {
                // The notification comes before both flags.
                n.tail_closed = true;
                n.eventcount.notify_all(CLOSER);
                steps.step(n, || "closer: is about to notify, and closes the tail".into());
            }
            CloserPc::Flag if s.eventcount.threads[CLOSER].waking == Waking::No => {
                n.closed = true;
                n.eventcount.flag_changed();
                n.closer = if s.tail_closed { CloserPc::Done } else { CloserPc::Tail };
                steps.step(n, || "closer: sets CLOSED".into());
            }
            CloserPc::Tail => {
                n.tail_closed = true;
                n.closer = CloserPc::Notify;
                steps.step(n, || "closer: closes the tail".into());
            }
            CloserPc::Notify => {
                n.closer = CloserPc::Done;
                if !self.makes(Mistake::CloseWithoutNotify) {
                    n.eventcount.notify_all(CLOSER);
                }
                steps.step(n, || "closer: is about to notify all".into());
            }
            CloserPc::Flag | CloserPc::Done | CloserPc::Killed => {}
        }
        let notifies = s.eventcount.threads[CLOSER].waking != Waking::No;
        let at_it = !first && !matches!(s.closer, CloserPc::Done | CloserPc::Killed) || notifies;
        if s.kills < self.bounds.kills && at_it {
            let mut n = State { kills: s.kills + 1, closer: CloserPc::Killed, ..s.clone() };
            n.eventcount.rest(CLOSER);
            steps.environment(n, || "closer KILLED".into());
        }
    }

    /// A visitor, which never sleeps, takes a message in passing.
    fn visitor(&self, s: &State, steps: &mut Steps<State>) {
        if s.visits < self.bounds.visits && s.is_full(s.head) {
            let mut n = State { visits: s.visits + 1, ..s.clone() };
            n.eventcount.memory.modify(s.head.into(), TAKEN);
            n.head += 1;
            steps.environment(n, || format!("visitor: takes {}", s.head));
        }
    }
}

impl Model for Waiting {
    type State = State;

    fn initial(&self) -> State {
        let producer = Producer { pc: ProducerPc::Claim, position: NONE, commits: 0, armed: false };
        let consumer = Consumer { pc: ConsumerPc::Wait, position: 0 };
        let mut s = State {
            eventcount: Eventcount::new([FREE; POSITIONS]),
            tail: 0,
            head: 0,
            closed: false,
            tail_closed: false,
            producers: [producer; PRODUCERS],
            consumers: [consumer; CONSUMERS],
            closer: if self.bounds.closes { CloserPc::Flag } else { CloserPc::Done },
            rejects: 0,
            kills: 0,
            visits: 0,
        };
        s.producers[self.bounds.producers..].iter_mut().for_each(|p| p.pc = ProducerPc::Done);
        s.consumers[self.bounds.consumers..].iter_mut().for_each(|c| c.pc = ConsumerPc::Busy);
        if self.bounds.asleep {
            (0..self.bounds.consumers).for_each(|j| s.eventcount.fall_asleep(PRODUCERS + j));
        }
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
        for j in 0..self.bounds.consumers {
            self.consumer(s, j, &rules, steps);
        }
        self.closer(s, steps);
        self.visitor(s, steps);
    }

    fn invariant(&self, _: &State) -> Result<(), String> {
        Ok(())
    }

    /// Every consumer is busy or has learned that nothing will come; or every message has been
    /// taken.
    fn goal(&self, s: &State) -> bool {
        if s.consumers.iter().all(|c| matches!(c.pc, ConsumerPc::Busy | ConsumerPc::FoundClosed)) {
            return true;
        }
        let sent = s.producers.iter().all(|p| matches!(p.pc, ProducerPc::Done | ProducerPc::Killed));
        let stored = (0..THREADS).all(|t| s.eventcount.memory.is_drained(t));
        let over = |x: u8| matches!(s.slot(x), TAKEN | TOMBSTONE);
        !self.bounds.closes && sent && stored && (0..s.tail).all(over)
    }

    fn show(&self, s: &State) -> String {
        let slots: Vec<u8> = (0..s.tail).map(|x| s.slot(x)).collect();
        let State { tail, head, closed, .. } = s;
        let mut line =
            format!("tail {tail} head {head} closed {closed} armed {}, slots {slots:?}", s.eventcount.armed);
        for i in 0..self.bounds.producers {
            line += &format!(", producer {i} at {:?}", s.producers[i].pc);
        }
        for j in 0..self.bounds.consumers {
            let asleep = s.eventcount.threads[PRODUCERS + j].sleeping == Sleeping::Asleep;
            line += &format!(
                ", consumer {j} (thread {}) at {:?}{}",
                PRODUCERS + j,
                s.consumers[j].pc,
                if asleep { ", asleep" } else { "" }
            );
        }
        line
    }
}
