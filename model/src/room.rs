//! Producers asleep on `head`, waiting for room: the waiter's `membarrier`, and who wakes whom.
//!
//! # What is modelled
//!
//! A full ring. Each consumer takes one message with a CAS on `head` and releases it: a Release store of
//! the slot, through a store buffer, then a load of W, both without a fence. If W is set it clears it, rings
//! the bell and wakes everyone. A producer that finds no room reads the bell, sets W with `fetch_or`,
//! calls `membarrier`, looks at the slot once more and sleeps. The membarrier makes the stores of every
//! running thread visible, one thread after the other; it stands on the waiter's side so that a release
//! costs no fence. Each producer wants one slot; whoever gets one is done.
//!
//! # What is left out
//!
//! Everything else: intents, commits, kills (a park is a slice, so a kill costs one slice).
//!
//! # Invariants
//!
//! I8, in `Room::goal`: every producer gets its slot, as enough of them are released.

use crate::checker::{Model, Steps};
use crate::mistake::Mistake;
use crate::store_buffer::{Memory, Order};
use std::fmt;

const SLOTS: usize = 4;
const PRODUCERS: usize = 3;
const CONSUMERS: usize = 3;

/// How large a world to explore.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub slots: u8,
    pub producers: usize,
    pub consumers: usize,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bounds = [("slots", self.slots.into()), ("P", self.producers), ("C", self.consumers)];
        crate::bounds::write(f, &bounds)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ProducerPc {
    Send,
    Claim,
    SetW,
    /// Waits for the stores of consumer number `consumer`.
    Membarrier,
    CheckAgain,
    FutexWait,
    Asleep,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Producer {
    pc: ProducerPc,
    /// What it read from `tail`; or from `head`, when it set W.
    position: u8,
    consumer: u8,
    /// Its copy of the bell is current.
    bell: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ConsumerPc {
    ReadHead,
    Take,
    Release,
    TestW,
    ClearW,
    Ring,
    Wake,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Consumer {
    pc: ConsumerPc,
    /// The word read from `head`.
    position: u8,
    w: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    tail: u8,
    head: u8,
    /// W of `head`.
    w: bool,
    /// Slots: the lap that each is free for.
    memory: Memory<SLOTS, CONSUMERS>,
    producers: [Producer; PRODUCERS],
    consumers: [Consumer; CONSUMERS],
}

pub struct Room {
    pub bounds: Bounds,
    pub mistake: Option<Mistake>,
}

impl Room {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Is the slot of the next position free?
    fn has_room(&self, s: &State) -> bool {
        s.memory.visible(usize::from(s.tail % self.bounds.slots)) == s.tail / self.bounds.slots
    }

    fn producer(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let me = s.producers[i];
        let mut n = s.clone();
        let p = &mut n.producers[i];
        match me.pc {
            ProducerPc::Send => {
                let room = self.has_room(s);
                p.position = s.tail;
                p.pc = if room { ProducerPc::Claim } else { ProducerPc::SetW };
                p.bell = !room;
                steps.step(n, || format!("producer {i}: room at {}? {room}; else reads the bell", s.tail));
            }
            ProducerPc::Claim => {
                let won = s.tail == me.position;
                p.pc = if won { ProducerPc::Done } else { ProducerPc::Send };
                p.position = 0;
                n.tail += u8::from(won);
                steps.step(n, || format!("producer {i}: CAS tail {won}"));
            }
            ProducerPc::SetW => {
                n.w = true;
                p.position = s.head;
                p.pc = match self.mistake {
                    Some(Mistake::NoMembarrier) => ProducerPc::CheckAgain,
                    Some(Mistake::RoomCheckedBeforeW) => ProducerPc::FutexWait,
                    _ => ProducerPc::Membarrier,
                };
                steps.step(n, || format!("producer {i}: sets W"));
            }
            ProducerPc::Membarrier => {
                n.memory.drain_all(me.consumer.into());
                p.consumer += 1;
                if usize::from(p.consumer) == self.bounds.consumers {
                    (p.consumer, p.pc) = (0, ProducerPc::CheckAgain);
                }
                steps.step(n, || format!("producer {i}: membarrier reaches consumer {}", me.consumer));
            }
            ProducerPc::CheckAgain => {
                let room = self.has_room(s);
                p.pc = if room { ProducerPc::Send } else { ProducerPc::FutexWait };
                p.bell &= !room;
                steps.step(n, || format!("producer {i}: room now? {room}"));
            }
            ProducerPc::FutexWait => {
                let same = match self.mistake {
                    Some(Mistake::ParkOnHead) => (s.head, s.w) == (me.position, true),
                    _ => me.bell,
                };
                let pc = if same { ProducerPc::Asleep } else { ProducerPc::Send };
                *p = Producer { pc, position: 0, bell: false, ..me };
                steps.step(n, || {
                    format!("producer {i}: futex_wait {}", if same { "sleeps" } else { "EAGAIN" })
                });
            }
            ProducerPc::Asleep | ProducerPc::Done => {}
        }
    }

    fn consumer(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let me = s.consumers[j];
        let mut n = s.clone();
        let c = &mut n.consumers[j];
        match me.pc {
            ConsumerPc::ReadHead => {
                *c = Consumer { pc: ConsumerPc::Take, position: s.head, w: s.w };
                steps.step(n, || format!("consumer {j}: reads head {} W {}", s.head, s.w));
            }
            ConsumerPc::Take => {
                let won = (s.head, s.w) == (me.position, me.w);
                if won {
                    n.head += 1;
                    n.w &= !self.makes(Mistake::HeadCasDropsW);
                }
                c.pc = if won { ConsumerPc::Release } else { ConsumerPc::ReadHead };
                c.w = false;
                steps.step(n, || format!("consumer {j}: CAS head {won}"));
            }
            ConsumerPc::Release => {
                let slot = me.position % self.bounds.slots;
                n.memory.store(j, slot.into(), me.position / self.bounds.slots + 1, Order::Release);
                c.pc = ConsumerPc::TestW;
                steps.step(n, || format!("consumer {j}: stores FREE for {}", me.position));
            }
            ConsumerPc::TestW => {
                *c = Consumer {
                    pc: if s.w { ConsumerPc::ClearW } else { ConsumerPc::Done },
                    position: 0,
                    w: false,
                };
                steps.step(n, || format!("consumer {j}: W is {}", s.w));
            }
            ConsumerPc::ClearW if s.memory.is_drained(j) => {
                n.w = false;
                c.pc = ConsumerPc::Ring;
                steps.step(n, || format!("consumer {j}: clears W"));
            }
            ConsumerPc::Ring => {
                c.pc = ConsumerPc::Wake;
                n.producers.iter_mut().for_each(|p| p.bell = false);
                steps.step(n, || format!("consumer {j}: rings the bell"));
            }
            ConsumerPc::Wake => self.wake(s, j, steps),
            ConsumerPc::ClearW | ConsumerPc::Done => {}
        }
    }

    fn wake(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let mut woken = s.clone();
        woken.consumers[j].pc = ConsumerPc::Done;
        let asleep = (0..self.bounds.producers).filter(|&i| s.producers[i].pc == ProducerPc::Asleep);
        if self.makes(Mistake::ReleaseWakesOne) {
            for i in asleep.clone() {
                let mut n = woken.clone();
                n.producers[i].pc = ProducerPc::Send;
                steps.step(n, || format!("consumer {j}: wakes producer {i}"));
            }
            if asleep.count() > 0 {
                return;
            }
        } else {
            asleep.for_each(|i| woken.producers[i].pc = ProducerPc::Send);
        }
        steps.step(woken, || format!("consumer {j}: wakes every producer"));
    }
}

impl Model for Room {
    type State = State;

    fn initial(&self) -> State {
        let producer = Producer { pc: ProducerPc::Send, position: 0, consumer: 0, bell: false };
        let consumer = Consumer { pc: ConsumerPc::ReadHead, position: 0, w: false };
        let Bounds { slots, producers, consumers } = self.bounds;
        let memory = Memory::new([0; SLOTS]);
        let mut s = State {
            tail: slots,
            head: 0,
            w: false,
            memory,
            producers: [producer; PRODUCERS],
            consumers: [consumer; CONSUMERS],
        };
        s.producers[producers..].iter_mut().for_each(|p| p.pc = ProducerPc::Done);
        s.consumers[consumers..].iter_mut().for_each(|c| c.pc = ConsumerPc::Done);
        s
    }

    fn steps(&self, s: &State, steps: &mut Steps<State>) {
        for i in 0..self.bounds.producers {
            self.producer(s, i, steps);
        }
        for j in 0..self.bounds.consumers {
            self.consumer(s, j, steps);
            for (at, store) in s.memory.ripe(j) {
                let mut n = s.clone();
                n.memory.drain(j, at);
                steps.step(n, || format!("consumer {j}: slot {} becomes FREE", store.location));
            }
        }
    }

    fn invariant(&self, _: &State) -> Result<(), String> {
        Ok(())
    }

    fn goal(&self, s: &State) -> bool {
        s.producers.iter().all(|p| p.pc == ProducerPc::Done)
    }

    fn show(&self, s: &State) -> String {
        let slots: Vec<_> = (0..self.bounds.slots.into()).map(|x| s.memory.visible(x)).collect();
        let mut line = format!("tail {} head {} W {}, slots free for laps {slots:?}", s.tail, s.head, s.w);
        for i in 0..self.bounds.producers {
            line += &format!(", producer {i} at {:?}", s.producers[i].pc);
        }
        for j in 0..self.bounds.consumers {
            line += &format!(", consumer {j} at {:?}", s.consumers[j].pc);
            line += if s.memory.is_drained(j) { "" } else { " with a store under way" };
        }
        line
    }
}
