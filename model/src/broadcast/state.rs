//! What a state of the model is.

use super::memory::*;
use super::recovery::Recovery;
use crate::store_buffer::Memory;

/// What a reader is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every message; holds producers up.
    Reliable,
    /// Copies, and validates the copy; holds no producer up.
    Lossy,
    /// Lossy, in place: holds producers up while it reads.
    Pinned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ProducerPc {
    Killed,
    /// Is there room in the lane?
    Begin,
    Write,
    ReadTail,
    CasTail,
    StoreReference,
    StoreState,
    // One writer.
    OneReference,
    OneState,
    OneTail,
    // Raise.
    RaiseTail,
    RaiseIntent,
    RaiseSlot,
    RaiseFirstScan,
    RaiseFloor,
    RaiseFence,
    RaiseSecondScan,
    RaiseFree,
    // A new owner of the lane.
    TakeFree,
    TakeWalk,
    TakeClear,
    TakeTail,
    Rebuild,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Producer {
    pub pc: ProducerPc,
    /// Where to go on after a raise.
    pub back: ProducerPc,
    /// Messages that were written, by all owners of the lane.
    pub written: u8,
    /// Its copy of `free`.
    pub free: u8,
    /// By cell: the position of its frame plus one, or 0.
    pub at: [u8; CELLS],
    pub cell: u8,
    pub position: u8,
    /// Of a batch: how many messages, and which one is next. In a scan: the next entry or slot.
    pub count: u8,
    pub index: u8,
    /// Raise: what must be over, what is aimed at, and the minimum of the cursors.
    pub target: u8,
    pub want: u8,
    pub gate: u8,
    /// Of the intent that is being examined.
    pub claimed: u8,
    /// Only for `IntentsBeforeTail`.
    pub early: u8,
}

impl Producer {
    pub(super) const fn new() -> Self {
        Producer {
            pc: ProducerPc::Begin,
            back: ProducerPc::Begin,
            written: 0,
            free: 0,
            at: [0; CELLS],
            cell: 0,
            position: 0,
            count: 0,
            index: 0,
            target: 0,
            want: 0,
            gate: 0,
            claimed: 0,
            early: 0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum ReaderPc {
    Killed,
    /// Not attached.
    #[default]
    Out,
    /// Alive, and never runs again.
    Stopped,
    Attach,
    Choose,
    JoinCursor,
    JoinFence,
    JoinFloor,
    Ready,
    Reference,
    FirstHalf,
    SecondHalf,
    Release,
    // Lossy.
    Gone,
    Validate,
    Lag,
    // Pinned.
    PinFence,
    PinFloor,
    LateDirty,
    LeaveClean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Reader {
    pub pc: ReaderPc,
    /// The position that it reads next, or joins at.
    pub next: u8,
    /// The cell of the frame that it reads, plus one.
    pub cell: u8,
    /// What it has copied.
    pub copy: [u8; 2],
    /// The state that it saw last: of the slot at `next`.
    pub seen: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) memory: Memory<LOCATIONS, THREADS>,
    pub(super) producers: [Producer; PRODUCERS],
    pub(super) readers: [Reader; READERS],
    pub(super) recovery: Recovery,
    /// By position: the message that was committed there, plus `CONTINUES` if the next position's
    /// message is of the same batch.
    pub(super) committed: [u8; POSITIONS],
    pub(super) kills: u8,
    pub(super) attaches: u8,
    pub(super) leaves: u8,
    pub(super) seeks: u8,
    pub(super) stops: u8,
}

pub(super) const CONTINUES: u8 = 0x80;

impl State {
    /// 0: none.
    pub(super) fn message(&self, position: u8) -> u8 {
        self.committed[usize::from(position)] & !CONTINUES
    }
}
