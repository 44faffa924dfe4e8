//! Consumers asleep: the W bit of `tail`, the bell, the shared futex, re-arming.
//!
//! # What is modelled
//!
//! Producers claim `k` links with one CAS, which clears W, commit them, and wake if their CAS cleared
//! W. Consumers that find nothing read the bell, set W with `fetch_or`, look at the epoch and at `head`
//! once more, and call `futex_wait` on the bell, which sleeps only if it still is what they read. The bell is
//! a counter of its own; whoever wakes adds 1 to it before `futex_wake`, so it never has an old value again.
//! A consumer takes one message and is then busy with it for ever: so nobody is saved by a consumer
//! that comes back by chance. It may reject its message instead. `futex_wake(n)` wakes any `n` of
//! the sleepers, in one step. Producers may be killed anywhere; then parks are slices that end by themselves.
//! The bell is kept as a flag: is a consumer's copy current?
//!
//! The wake after a commit is `wake(k)`, and if it woke all `k`, `W` is set again and whoever was
//! claimed for meanwhile is woken too. A reject wakes everyone,
//! W or no W: it may have cleared W, which stood for all of them, or a claimer may have, that owes others a wake.
//!
//! # What is left out
//!
//! The ring (there are slots enough), intents, guards: see `claims`. Producers waiting for room: see
//! `room`. Spinning is a step back to the start. CLOSED.
//!
//! # Invariants
//!
//! I8, in `Waiting::goal`: no message lies there while a consumer sleeps and nobody is left to wake it.

mod consumer;
mod producer;

use crate::checker::{Model, Steps};
use crate::mistake::Mistake;
use std::fmt;

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 4;
const POSITIONS: usize = 6;

/// How large a world to explore.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub producers: usize,
    pub consumers: usize,
    /// Links claimed by each CAS.
    pub k: u8,
    pub rejects: u8,
    pub kills: u8,
    /// Start with all consumers asleep and W set, which is where the interesting part begins.
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
        ];
        crate::bounds::write(f, &bounds)?;
        f.write_str(if self.asleep { ", all asleep" } else { "" })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Slot {
    Free,
    Full,
    /// Held, released, or a tombstone.
    Taken,
    Redo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ProducerPc {
    ReadTail,
    Cas,
    Commit,
    Ring,
    Wake,
    Rearm,
    RingMore,
    WakeMore,
    Done,
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Producer {
    pc: ProducerPc,
    /// The word read from `tail`.
    position: u8,
    w: bool,
    /// Commits done; later, wakes owed.
    count: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ConsumerPc {
    Look,
    SetW,
    CheckEpoch,
    CheckHead,
    FutexWait,
    Asleep,
    /// It has a message, and may reject it.
    Holding,
    BumpEpoch,
    ClearW,
    Ring,
    WakeAll,
    Busy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Consumer {
    pc: ConsumerPc,
    /// Its copy of `redo_epoch` is current.
    seen: bool,
    /// Its copy of the bell is current.
    bell: bool,
    /// `tail.position` that `fetch_or(W)` returned; or the position that it holds.
    position: u8,
    /// W as a reject read it too early (a mistake).
    w: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    tail: u8,
    w: bool,
    head: u8,
    slots: [Slot; POSITIONS],
    producers: [Producer; PRODUCERS],
    consumers: [Consumer; CONSUMERS],
    rejects: u8,
    kills: u8,
}

impl State {
    /// Adds 1 to the bell: no copy of it is current any more.
    fn ring(&mut self) {
        for consumer in &mut self.consumers {
            consumer.bell = false;
        }
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

    /// `futex_wake(wanted)`: any of the sleepers; `after` finishes the step and labels it.
    fn wake(
        &self,
        s: &State,
        wanted: u8,
        steps: &mut Steps<State>,
        after: impl Fn(&mut State, u8) -> String,
    ) {
        let asleep = |j: &usize| s.consumers[*j].pc == ConsumerPc::Asleep;
        let sleepers: Vec<usize> = (0..self.bounds.consumers).filter(asleep).collect();
        let woken = sleepers.len().min(wanted.into());
        for chosen in (0..1_u8 << sleepers.len()).filter(|set| set.count_ones() as usize == woken) {
            let mut n = s.clone();
            for (bit, &j) in sleepers.iter().enumerate() {
                if chosen >> bit & 1 == 1 {
                    n.consumers[j].pc = ConsumerPc::Look;
                }
            }
            let label = after(&mut n, woken as u8);
            steps.step(n, || label);
        }
    }
}

impl Model for Waiting {
    type State = State;

    fn initial(&self) -> State {
        let producer = Producer { pc: ProducerPc::ReadTail, position: 0, w: false, count: 0 };
        let asleep = self.bounds.asleep;
        let pc = if asleep { ConsumerPc::Asleep } else { ConsumerPc::Look };
        let consumer = Consumer { pc, seen: true, bell: false, position: 0, w: false };
        let Bounds { producers, consumers, .. } = self.bounds;
        let mut s = State {
            tail: 0,
            w: asleep,
            head: 0,
            slots: [Slot::Free; POSITIONS],
            producers: [producer; PRODUCERS],
            consumers: [consumer; CONSUMERS],
            rejects: 0,
            kills: 0,
        };
        s.producers[producers..].iter_mut().for_each(|p| p.pc = ProducerPc::Done);
        s.consumers[consumers..].iter_mut().for_each(|c| c.pc = ConsumerPc::Busy);
        s
    }

    fn steps(&self, s: &State, steps: &mut Steps<State>) {
        for i in 0..self.bounds.producers {
            self.producer(s, i, steps);
        }
        for j in 0..self.bounds.consumers {
            self.consumer(s, j, steps);
        }
    }

    fn invariant(&self, _: &State) -> Result<(), String> {
        Ok(())
    }

    /// Every message has been taken, or every consumer is busy with one.
    fn goal(&self, s: &State) -> bool {
        let sent = s.producers.iter().all(|p| matches!(p.pc, ProducerPc::Done | ProducerPc::Killed));
        let taken = |x: usize| s.slots[x] == Slot::Taken;
        s.consumers.iter().all(|c| c.pc == ConsumerPc::Busy) || (sent && (0..usize::from(s.tail)).all(taken))
    }

    fn show(&self, s: &State) -> String {
        let slots = &s.slots[..usize::from(s.tail)];
        let mut line = format!("tail {} W {} head {}, slots {slots:?}", s.tail, s.w, s.head);
        for i in 0..self.bounds.producers {
            line += &format!(", producer {i} at {:?}", s.producers[i].pc);
        }
        for j in 0..self.bounds.consumers {
            line += &format!(", consumer {j} at {:?}", s.consumers[j].pc);
        }
        line
    }
}
