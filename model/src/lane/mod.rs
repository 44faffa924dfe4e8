//! The live frames of a lane: which bytes of a lane its writer may write.
//!
//! # What is modelled
//!
//! Each producer owns a lane, a ring of a few bytes; every frame is contiguous, and one that does
//! not fit before the end is preceded by padding. The writer checks for room, writes the frame byte
//! by byte, claims a position, stores the frame's place into the slot and commits. It keeps a
//! private FIFO of its frames. The oldest frame is free once its slot's lap has moved past its
//! position; it is free without a read of the slot if it is a lap of slots before the newest one.
//! Consumers read the frame byte by byte under their guard and release. Writers are killed
//! anywhere, and a new owner rebuilds FIFO, write offset and room from the state and place of each
//! slot, while consumers go on releasing and other producers go on claiming. The FIFO has room for
//! as many frames as there are slots.
//!
//! # What is left out
//!
//! Claim, take and recovery are single steps here: `claims` shows that they may be taken so. No
//! consumer takes more than one guard. A writer that finds no room tries again; no participant
//! sleeps.
//!
//! # Invariants, and where they are asserted
//!
//! I4 and I6: every byte that a consumer reads under its guard is a byte of the message committed at that
//! position (`Lanes::consumer`, `Read`). Rebuilt live frames fit into the lane (`Lanes::finish_rebuild`).
//! I8: `Lanes::goal` must stay reachable without further kills.

mod reader;
mod writer;

use crate::checker::{Model, Steps};
use crate::mistake::Mistake;
use std::fmt;

const SLOTS: usize = 4;
const BYTES: usize = 6;
const PRODUCERS: usize = 2;
const CONSUMERS: usize = 2;
const NONE: u8 = 0xff;

/// How large a world to explore.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub slots: u8,
    pub producers: usize,
    pub consumers: usize,
    pub lane: u8,
    /// Lengths of a producer's messages, in turn: each at most half the lane.
    pub lengths: &'static [u8],
    pub kills: u8,
    pub attaches: u8,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bounds = [
            ("slots", self.slots.into()),
            ("P", self.producers),
            ("C", self.consumers),
            ("lane", self.lane.into()),
            ("kills", self.kills.into()),
            ("attaches", self.attaches.into()),
        ];
        crate::bounds::write(f, &bounds)?;
        write!(f, ", lengths {:?}", self.lengths)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Free,
    Full,
    Held,
    Redeliver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Slot {
    kind: Kind,
    lap: u8,
    /// The consumer while HELD; while FREE a ghost, the producer that has claimed the position.
    owner: u8,
    lane: u8,
    offset: u8,
    len: u8,
    /// Ghost: the message committed here.
    message: u8,
}

/// A frame in a lane. Ends count on over the laps of the lane, so that nothing wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LiveFrame {
    position: u8,
    start: u8,
    end: u8,
}

const NO_LIVE_FRAME: LiveFrame = LiveFrame { position: NONE, start: 0, end: 0 };

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum WriterPc {
    Gone,
    RebuildState,
    RebuildPlace,
    FindRoom,
    Reclaim,
    Write,
    Claim,
    StorePlace,
    Commit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Writer {
    pc: WriterPc,
    /// The next message, kept over a kill; and the next byte of it, or the next slot.
    next: u8,
    done: u8,
    /// Bytes from `free` to `write` are in use, counted on over the laps of the lane.
    free: u8,
    write: u8,
    /// The frame being sent, or the one being read by a rebuild.
    frame: LiveFrame,
    fifo: [LiveFrame; SLOTS],
}

impl Writer {
    fn new(pc: WriterPc, next: u8) -> Self {
        let fifo = [NO_LIVE_FRAME; SLOTS];
        Writer { pc, next, done: 0, free: 0, write: 0, frame: NO_LIVE_FRAME, fifo }
    }

    fn frames(&self) -> usize {
        self.fifo.iter().filter(|live| **live != NO_LIVE_FRAME).count()
    }

    fn pop(&mut self) {
        self.free = self.fifo[0].end;
        self.fifo.rotate_left(1);
        self.fifo[SLOTS - 1] = NO_LIVE_FRAME;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ReaderPc {
    Gone,
    Take,
    ReadFields,
    Read,
    Release,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Reader {
    pc: ReaderPc,
    slot: u8,
    lane: u8,
    offset: u8,
    len: u8,
    message: u8,
    done: u8,
}

const READY: Reader = Reader { pc: ReaderPc::Take, slot: 0, lane: 0, offset: 0, len: 0, message: 0, done: 0 };

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    tail: u8,
    head: u8,
    slots: [Slot; SLOTS],
    bytes: [[u8; BYTES]; PRODUCERS],
    writers: [Writer; PRODUCERS],
    readers: [Reader; CONSUMERS],
    committed: u8,
    delivered: u8,
    kills: u8,
    attaches: u8,
}

pub struct Lanes {
    pub bounds: Bounds,
    pub mistake: Option<Mistake>,
}

impl Lanes {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn slot(&self, position: u8) -> usize {
        usize::from(position % self.bounds.slots)
    }

    /// Whether the slot's lap has moved past this position. Then no consumer reads its frame any
    /// more.
    fn moved_on(&self, s: &State, position: u8) -> bool {
        match self.mistake {
            Some(Mistake::FreeWhenHeadPassed) => s.head > position,
            _ => s.slots[self.slot(position)].lap > position / self.bounds.slots,
        }
    }

    /// Whether the writer takes the oldest of its frames as free because of its newest one.
    fn is_a_lap_too_low(&self, oldest: u8, newest: u8) -> bool {
        let lap = self.bounds.slots - u8::from(self.makes(Mistake::LapTooShort));
        oldest + lap <= newest
    }

    fn release(&self, slot: &mut Slot) {
        (slot.kind, slot.lap, slot.owner, slot.message) = (Kind::Free, slot.lap + 1, NONE, NONE);
    }

    fn message(&self, producer: usize, next: u8) -> u8 {
        (producer * self.bounds.lengths.len()) as u8 + next
    }
}

impl Model for Lanes {
    type State = State;

    fn initial(&self) -> State {
        let slot =
            Slot { kind: Kind::Free, lap: 0, owner: NONE, lane: NONE, offset: 0, len: 0, message: NONE };
        let mut s = State {
            tail: 0,
            head: 0,
            slots: [slot; SLOTS],
            bytes: [[0; BYTES]; PRODUCERS],
            writers: [Writer::new(WriterPc::FindRoom, 0); PRODUCERS],
            readers: [READY; CONSUMERS],
            committed: 0,
            delivered: 0,
            kills: 0,
            attaches: 0,
        };
        s.writers[self.bounds.producers..].iter_mut().for_each(|w| w.pc = WriterPc::Gone);
        s.readers[self.bounds.consumers..].iter_mut().for_each(|r| r.pc = ReaderPc::Gone);
        s
    }

    fn steps(&self, s: &State, steps: &mut Steps<State>) {
        for i in 0..self.bounds.producers {
            self.producer(s, i, steps);
        }
        for j in 0..self.bounds.consumers {
            self.consumer(s, j, steps);
        }
        self.recovery(s, steps);
        self.kills_and_attaches(s, steps);
    }

    fn invariant(&self, _: &State) -> Result<(), String> {
        Ok(())
    }

    /// While a consumer lives: live producers are done, all that was committed is read, all is
    /// free.
    fn goal(&self, s: &State) -> bool {
        let all = self.bounds.lengths.len();
        let done = |w: &Writer| w.pc == WriterPc::Gone || usize::from(w.next) == all;
        let free = |slot: &Slot| slot.kind == Kind::Free && slot.owner == NONE;
        s.readers.iter().all(|r| r.pc == ReaderPc::Gone)
            || (s.writers.iter().all(done) && s.slots.iter().all(free) && s.committed == s.delivered)
    }

    fn show(&self, s: &State) -> String {
        let mut line = format!("tail {} head {}", s.tail, s.head);
        for (x, slot) in s.slots[..usize::from(self.bounds.slots)].iter().enumerate() {
            let Slot { kind, lap, lane, offset, len, .. } = slot;
            line += &format!(", slot {x} {kind:?} lap {lap} (lane {lane} offset {offset} len {len})");
        }
        for i in 0..self.bounds.producers {
            let Writer { pc, free, write, .. } = s.writers[i];
            let bytes = &s.bytes[i][..usize::from(self.bounds.lane)];
            line += &format!(", producer {i} at {pc:?}, uses {free}..{write}, bytes {bytes:?}");
        }
        for j in 0..self.bounds.consumers {
            line += &format!(", consumer {j} at {:?}", s.readers[j].pc);
        }
        line
    }
}
