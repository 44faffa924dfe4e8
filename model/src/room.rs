//! Producers asleep until there is room: releases without a fence, the eventcount, closing.
//!
//! # What is modelled
//!
//! A full ring. Consumers hold its frames and release some of them: a store of the exact word
//! through a store buffer, then `notify` for all. Now and then a release also stores the inexact word,
//! which says how much has been released. A producer that finds no room sleeps as
//! [`crate::eventcount`] says; it wants one slot, and is done once it gets one. A closer may close
//! the queue: the flag, then a notification for all. Producers that make an attempt learn of it.
//!
//! # What is left out
//!
//! Everything else: intents, commits, kills (a sleep has a timeout, so a kill costs one sleep
//! timeout). That an SPSC consumer notifies only for a sixteenth of the ring is no part of the
//! promise, and not modelled.
//!
//! # Invariants
//!
//! I8, in `Room::goal`: as many producers get their slots as are released; once the queue is
//! closed, the others learn of it.

use crate::checker::{Model, Steps};
use crate::eventcount::{ALL, Eventcount, Rules, Sleeping, Waking};
use crate::mistake::Mistake;
use crate::store_buffer::Order;
use std::fmt;

const SLOTS: usize = 4;
const CONSUMERS: usize = 3;
const PRODUCERS: usize = 3;
const CLOSER: usize = CONSUMERS + PRODUCERS;
const THREADS: usize = CLOSER + 1;
/// After the slots: how many were released, stored with each second one.
const INEXACT: usize = SLOTS;

/// How large a world to explore.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub slots: u8,
    /// How many of the slots are released, from the first on; consumers hold them in turn.
    pub releases: u8,
    pub producers: usize,
    pub consumers: usize,
    /// A closer closes the queue.
    pub closes: bool,
    /// Membarriers do not reach consumer 0.
    pub unregistered: bool,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bounds = [
            ("slots", self.slots.into()),
            ("releases", self.releases.into()),
            ("P", self.producers),
            ("C", self.consumers),
        ];
        crate::bounds::write(f, &bounds)?;
        f.write_str(if self.closes { ", closes" } else { "" })?;
        f.write_str(if self.unregistered { ", one unregistered" } else { "" })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ProducerPc {
    /// Checking or asleep, as its thread of the eventcount says.
    Wait,
    Done,
    FoundClosed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CloserPc {
    Flag,
    Notify,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// Slots: 1 once released.
    eventcount: Eventcount<{ SLOTS + 1 }, THREADS>,
    tail: u8,
    closed: bool,
    producers: [ProducerPc; PRODUCERS],
    /// The slot that each releases next.
    consumers: [u8; CONSUMERS],
    closer: CloserPc,
}

pub struct Room {
    pub bounds: Bounds,
    pub mistake: Option<Mistake>,
}

impl Room {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn rules(&self) -> Rules {
        let Bounds { consumers, unregistered, .. } = self.bounds;
        Rules { mistake: self.mistake, storing: 0..consumers, unregistered, slices: false }
    }

    /// Whether there is room at `tail`.
    fn has_room(&self, s: &State, before_sleep: bool) -> bool {
        let is_inexact = before_sleep && self.makes(Mistake::InexactLastCheck);
        s.tail < self.bounds.slots
            && match is_inexact {
                true => s.tail < s.eventcount.memory.visible(INEXACT),
                false => s.eventcount.memory.visible(s.tail.into()) == 1,
            }
    }

    fn producer(&self, s: &State, i: usize, rules: &Rules, steps: &mut Steps<State>) {
        let t = CONSUMERS + i;
        let sleeping = s.eventcount.threads[t].sleeping;
        let mut n = s.clone();
        match s.producers[i] {
            ProducerPc::Wait if matches!(sleeping, Sleeping::No | Sleeping::Check) => {
                if s.closed || self.has_room(s, true) {
                    n.eventcount.stay_awake(t);
                    n.tail += u8::from(!s.closed);
                    n.producers[i] = if s.closed { ProducerPc::FoundClosed } else { ProducerPc::Done };
                    steps.step(n, || format!("producer {i}: gets {}, or is told: {}", s.tail, s.closed));
                } else if sleeping == Sleeping::Check {
                    n.eventcount.found_nothing(t, rules);
                    steps.step(n, || format!("producer {i}: still finds no room"));
                } else {
                    n.eventcount.begin(t, rules);
                    steps.step(n, || format!("producer {i}: finds no room, reads the eventcount"));
                }
            }
            ProducerPc::Wait => {
                if let Some((eventcount, label)) = s.eventcount.sleeping(t, rules) {
                    steps.step(State { eventcount, ..s.clone() }, || format!("producer {i}: {label}"));
                }
            }
            ProducerPc::Done | ProducerPc::FoundClosed => {}
        }
    }

    fn consumer(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let slot = s.consumers[j];
        let has_space = s.eventcount.memory.pending(j).len() + 2 <= crate::store_buffer::ROOM;
        if slot >= self.bounds.releases || s.eventcount.threads[j].waking != Waking::No || !has_space {
            return;
        }
        let mut n = s.clone();
        n.consumers[j] += self.bounds.consumers as u8;
        n.eventcount.memory.store(j, slot.into(), 1, Order::Release);
        if slot % 2 == 1 {
            n.eventcount.memory.store(j, INEXACT, slot + 1, Order::Release);
        }
        n.eventcount.notify(j, if self.makes(Mistake::ReleaseWakesOne) { 1 } else { ALL });
        steps.step(n, || format!("consumer {j}: releases {slot}"));
    }

    fn closer(&self, s: &State, steps: &mut Steps<State>) {
        let mut n = s.clone();
        match s.closer {
            CloserPc::Flag => {
                n.closed = true;
                n.closer = CloserPc::Notify;
                steps.step(n, || "closer: sets CLOSED".into());
            }
            CloserPc::Notify => {
                n.closer = CloserPc::Done;
                if !self.makes(Mistake::CloseNotifiesConsumersOnly) {
                    n.eventcount.notify_all(CLOSER);
                }
                steps.step(n, || "closer: is about to notify all".into());
            }
            CloserPc::Done => {}
        }
    }
}

impl Model for Room {
    type State = State;

    fn initial(&self) -> State {
        let Bounds { producers, closes, .. } = self.bounds;
        let mut s = State {
            eventcount: Eventcount::new([0; SLOTS + 1]),
            tail: 0,
            closed: false,
            producers: [ProducerPc::Wait; PRODUCERS],
            consumers: std::array::from_fn(|j| j as u8),
            closer: if closes { CloserPc::Flag } else { CloserPc::Done },
        };
        s.producers[producers..].fill(ProducerPc::Done);
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
            self.producer(s, i, &rules, steps);
        }
        for j in 0..self.bounds.consumers {
            self.consumer(s, j, steps);
        }
        self.closer(s, steps);
    }

    fn invariant(&self, _: &State) -> Result<(), String> {
        Ok(())
    }

    fn goal(&self, s: &State) -> bool {
        let mine = &s.producers[..self.bounds.producers];
        let waiting = mine.iter().filter(|pc| **pc == ProducerPc::Wait).count();
        let got = mine.iter().filter(|pc| **pc == ProducerPc::Done).count();
        waiting == 0 || !self.bounds.closes && got == usize::from(self.bounds.releases)
    }

    fn show(&self, s: &State) -> String {
        let slots: Vec<_> = (0..self.bounds.slots.into()).map(|x| s.eventcount.memory.visible(x)).collect();
        let State { tail, closed, .. } = s;
        let mut line =
            format!("tail {tail} closed {closed} armed {}, slots released {slots:?}", s.eventcount.armed);
        for i in 0..self.bounds.producers {
            let sleeping = s.eventcount.threads[CONSUMERS + i].sleeping;
            line += &format!(", producer {i} at {:?} {sleeping:?}", s.producers[i]);
        }
        for j in 0..self.bounds.consumers {
            line += &format!(", consumer {j} at {:?}", s.eventcount.threads[j].waking);
            line += if s.eventcount.memory.is_drained(j) { "" } else { " with a store under way" };
        }
        line
    }
}
