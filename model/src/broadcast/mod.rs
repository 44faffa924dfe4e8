//! Broadcast: one order, a cursor for each reader, and three contracts, on store buffers
//! ([`crate::store_buffer`]).
//!
//! # What is modelled
//!
//! Producers with a lane of fixed-size frames each, whose bytes are ids in two halves, so that a torn
//! or a changing frame shows. The order ring's slots (state and reference, in two words), `tail`,
//! `floor` (announced: positions before it may go), `free` (confirmed: they may be overwritten) and
//! one `cursor` for each reader. A producer that needs a position to be over raises `floor` and `free`
//! (`raise`). Readers of three modes: reliable (its cursor always counts), lossy (copies, then
//! validates the copy by `free`) and pinned (lossy, in place: its cursor counts while it reads). They
//! join at the newest or the oldest position, seek, leave, are killed, or stop for good if they are
//! not allowed to hold anybody up. Recovery of dead readers and producers, killed as well; entries
//! that change hands. With one writer, which claims without a locked instruction: batches, and the
//! takeover by its successor.
//!
//! # What is left out
//!
//! Intents of batches; the probe of a liveness lock and the intent of the same producer are one step
//! (`claims` has them apart). Sleeping (`everyone`). Closing. Variable-size frames (`lane`). Loads out
//! of order. With one writer `floor` and `free` are plain stores; with several they are
//! read-modify-writes, which are visible immediately, so that only one writer shows the fence in raise.
//!
//! # Invariants, and where they are asserted
//!
//! * B1 `free <= floor <= tail`; `free` is at most every reliable reader's position: `invariant`.
//! * B2 what a reader reads in place is the frame of its position: where it reads.
//! * B3 a copy that is delivered is the frame of its position: where it is validated.
//! * B4 `free` never passes an uncommitted position: `invariant`.
//! * B5 a slot's lap never falls: where a store of its state becomes visible.
//! * B6 a reader passes a position without its message only if it has none (a tombstone), or if it is
//!   lossy and counts it as lagged: where it moves on.
//! * B7 a position has one message for ever: where a producer commits.
//! * B8 one writer's batch is whole: where a reader receives the first of it.
//! * I8, in `goal`: living producers send everything, and living readers get to the end.

mod attach;
mod goal;
mod memory;
mod producer;
mod raise;
mod reader;
mod recovery;
mod state;
mod takeover;

use crate::checker::{Model, Steps};
use crate::mistake::Mistake;
use crate::store_buffer::{Memory, Order};
use memory::*;
use state::{Producer, ProducerPc, Reader, ReaderPc, State};
use std::fmt;

pub use state::Mode;

/// How large a world to explore.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub slots: u8,
    /// Frames in each producer's lane.
    pub lane: u8,
    pub producers: usize,
    pub readers: &'static [Mode],
    /// Messages of each producer.
    pub messages: u8,
    /// Zero: producers claim by CAS. Else one writer, with batches of this size.
    pub batch: u8,
    /// How many positions a raise wants beyond those that it needs.
    pub more: u8,
    /// Readers join at the oldest position; else at the newest, or the oldest.
    pub oldest: bool,
    pub kills: u8,
    /// Of a dead participant's entry, by another one.
    pub attaches: u8,
    pub leaves: u8,
    pub seeks: u8,
    /// Readers that never hold a producer up and stop for good.
    pub stops: u8,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            slots: 2,
            lane: 2,
            producers: 1,
            readers: &[],
            messages: 3,
            batch: 0,
            more: 0,
            oldest: false,
            kills: 0,
            attaches: 0,
            leaves: 0,
            seeks: 0,
            stops: 0,
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bounds = [
            ("slots", self.slots.into()),
            ("lane", self.lane.into()),
            ("P", self.producers),
            ("messages", self.messages.into()),
            ("one writer, batch", self.batch.into()),
            ("more", self.more.into()),
            ("kills", self.kills.into()),
            ("attaches", self.attaches.into()),
            ("leaves", self.leaves.into()),
            ("seeks", self.seeks.into()),
            ("stops", self.stops.into()),
        ];
        crate::bounds::write(f, &bounds)?;
        for reader in self.readers {
            write!(f, ", {}", format!("{reader:?}").to_lowercase())?;
        }
        f.write_str(if self.oldest { ", from the oldest" } else { "" })
    }
}

pub struct Broadcast {
    pub bounds: Bounds,
    pub mistake: Option<Mistake>,
}

impl Broadcast {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn one_writer(&self) -> bool {
        self.bounds.batch > 0
    }

    fn slot(&self, position: u8) -> usize {
        usize::from(position % self.bounds.slots)
    }

    fn lap(&self, position: u8) -> u8 {
        position / self.bounds.slots
    }

    fn state_of(&self, position: u8) -> usize {
        STATE + self.slot(position)
    }

    fn full(&self, position: u8) -> u8 {
        word(FULL, self.lap(position))
    }

    /// The position that a slot's word leaves to be claimed, or that is claimed and not committed.
    fn open_position(&self, slot: usize, found: u8) -> u8 {
        (lap(found) + u8::from(is_full(found))) * self.bounds.slots + slot as u8
    }

    /// The thread of a reader; producers have the numbers before.
    fn thread_of(&self, reader: usize) -> usize {
        self.bounds.producers + reader
    }

    fn threads(&self) -> usize {
        self.bounds.producers + self.bounds.readers.len()
    }

    /// The liveness lock: held until the process is dead and its last store visible.
    fn is_alive(&self, s: &State, thread: usize) -> bool {
        let is_gone = match thread.checked_sub(self.bounds.producers) {
            None => s.producers[thread].pc == ProducerPc::Killed,
            Some(reader) => matches!(s.readers[reader].pc, ReaderPc::Killed | ReaderPc::Out),
        };
        !is_gone || !s.memory.is_drained(thread)
    }

    fn has_space(s: &State, thread: usize, stores: usize) -> bool {
        s.memory.pending(thread).len() + stores <= crate::store_buffer::ROOM
    }

    fn kill(&self, s: &State, steps: &mut Steps<State>) {
        if s.kills == self.bounds.kills {
            return;
        }
        let killed = State { kills: s.kills + 1, ..s.clone() };
        for (i, producer) in s.producers.iter().enumerate().take(self.bounds.producers) {
            if producer.pc != ProducerPc::Killed && !self.is_done(producer) {
                let mut n = killed.clone();
                n.producers[i] = Producer { pc: ProducerPc::Killed, written: producer.written, ..NEW };
                steps.environment(n, || format!("producer {i} KILLED at {:?}", producer.pc));
            }
        }
        for (i, reader) in s.readers.iter().enumerate().take(self.bounds.readers.len()) {
            if !matches!(reader.pc, ReaderPc::Killed | ReaderPc::Out | ReaderPc::Stopped) {
                let mut n = killed.clone();
                n.readers[i] = Reader { pc: ReaderPc::Killed, ..Reader::default() };
                steps.environment(n, || format!("reader {i} KILLED at {:?}", reader.pc));
            }
        }
        if s.recovery != recovery::AT_START {
            let n = State { recovery: recovery::AT_START, ..killed };
            steps.environment(n, || format!("recovery KILLED at {:?}", s.recovery.pc));
        }
    }
}

const NEW: Producer = Producer::new();

impl Model for Broadcast {
    type State = State;

    fn initial(&self) -> State {
        let Bounds { slots, lane, producers, readers, .. } = self.bounds;
        assert!(usize::from(slots) <= SLOTS && producers * usize::from(lane) <= CELLS);
        assert!(producers <= PRODUCERS && readers.len() <= READERS && self.threads() <= THREADS);
        let mut words = [0; LOCATIONS];
        words[CURSOR..CURSOR + READERS].fill(NO_CURSOR);
        let mut s = State {
            memory: Memory::new(words),
            producers: [NEW; PRODUCERS],
            readers: [Reader::default(); READERS],
            recovery: recovery::AT_START,
            committed: [0; POSITIONS],
            kills: 0,
            attaches: 0,
            leaves: 0,
            seeks: 0,
            stops: 0,
        };
        s.readers[..readers.len()].fill(Reader { pc: ReaderPc::Attach, ..Reader::default() });
        s
    }

    fn steps(&self, s: &State, steps: &mut Steps<State>) {
        for t in 0..self.threads() {
            for (at, store) in s.memory.ripe(t) {
                let mut n = s.clone();
                n.memory.drain(t, at);
                let location = usize::from(store.location);
                let before = s.memory.visible(location);
                let falls = (STATE..REFERENCE).contains(&location) && lap(store.value) < lap(before);
                steps.require(!falls, || format!("B5: slot {} falls from {before}", location - STATE));
                steps.step(n, || format!("thread {t}: visible: {}", describe(location, store.value)));
            }
        }
        for i in 0..self.bounds.producers {
            self.producer(s, i, steps);
        }
        for i in 0..self.bounds.readers.len() {
            self.reader(s, i, steps);
        }
        self.recovery(s, steps);
        self.kill(s, steps);
    }

    fn invariant(&self, s: &State) -> Result<(), String> {
        self.holds(s)
    }

    fn goal(&self, s: &State) -> bool {
        self.is_goal(s)
    }

    fn show(&self, s: &State) -> String {
        let words: Vec<_> = (0..LOCATIONS).map(|l| describe(l, s.memory.visible(l))).collect();
        let mut line = words.join(", ");
        for (i, producer) in s.producers.iter().enumerate().take(self.bounds.producers) {
            line += &format!("; producer {i} {producer:?}");
        }
        for (i, reader) in s.readers.iter().enumerate().take(self.bounds.readers.len()) {
            line += &format!("; reader {i} {reader:?}");
        }
        line + &format!("; {:?}, committed {:?}", s.recovery, s.committed)
    }
}
