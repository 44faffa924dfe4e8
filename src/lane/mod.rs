//! A lane: a byte ring of frames with exactly one writer. In an SPSC queue it is the whole queue.
//!
//! # The protocol, variable-size frames
//!
//! A frame is a commit word and a payload ([`crate::layout::commit`]). The writer
//!
//! 1. reserves room for the frame **plus one granule**,
//! 2. writes the payload,
//! 3. stores 0 into the commit word of the *next* frame,
//! 4. stores this frame's commit word with Release (`SYNC commit`), and `tail` after it.
//!
//! The reader polls the commit word at its own position with Acquire (`SYNC commit`) and reads in
//! place. It releases the room by storing `released`, and now and then `head`, with Release
//! (`SYNC release`); the writer loads them with Acquire when its cached limit runs out.
//!
//! ## Why nothing torn or stale is ever read
//!
//! *Claim.* Whenever the reader polls the word at position `p`, that word is 0 or the commit word
//! of the frame at `p`.
//! *Proof.* The reader polls `p` only after it took the frame that ends at `p` (or at attach, see
//! below). That frame's commit word was stored after the word at `p` was zeroed (3 before 4,
//! Release), so with the Acquire of the poll the reader sees the zero or something later. Between
//! the zeroing and the commit of the frame at `p` the writer stores nothing at `p`: payloads begin
//! after the word, and a batch stores the word of its first frame last. In a new file every byte is
//! 0, which covers position 0. ∎
//!
//! *The zero never destroys a live word.* Step 3 writes one granule past the frame; step 1 made
//! sure that this granule is free as well. Without that, in an exactly full ring the next word *is*
//! the oldest unread frame's.
//!
//! *Room is released only after the last read.* `released` moves past a frame when its guard is
//! dropped; the Release orders the guard's reads before it, the Acquire orders the writer's stores
//! after it.
//!
//! ## What a crash leaves
//!
//! - Writer dead before step 4: the word at `tail` is 0 and the frame does not exist. In a batch
//!   the first word is stored last, so all of it exists or nothing.
//! - Writer dead between the commit and the store of `tail`: the next writer walks from `tail` over
//!   the committed frames to the first 0 ([`variable::VariableWriter::attach`]).
//! - Reader dead anywhere: the next one starts at `released`. Frames in `[released, taken)` are
//!   redelivered.
//!
//! # Fixed-size messages
//!
//! They need no word: cells are numbered by position, and `tail` itself is the commit
//! (`SYNC commit`): cells below it are complete, cells from it on do not exist.
//!
//! # Progress
//!
//! Every operation here is wait-free: no loop waits for the other side.

pub(crate) mod done;
pub(crate) mod fixed;
mod live_frames;
mod memory;
pub(crate) mod mpmc;
mod reader;
pub(crate) mod release_tracker;
pub(crate) mod ring;
pub(crate) mod variable;
mod writer;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use crate::shared_ref::Ref;
pub(crate) use memory::LaneMemory;
pub(crate) use reader::{LaneReader, Span, SpscFrame, SpscRun};
pub(crate) use writer::LaneWriter;

/// Where a writer may write a payload: the position of its frame, and the payload's offset in the
/// ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reserved {
    pub(crate) position: u64,
    pub(crate) offset: usize,
}

/// Frames that are written, but not yet committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staged {
    /// Position after them.
    end: u64,
    /// Fixed-size messages: ring offset of the cell at `end`.
    offset: usize,
    /// Variable-size frames: the commit word that will commit all of them.
    first: u64,
}

impl Staged {
    /// Nothing staged, variable-size frames.
    #[inline(always)]
    fn at(tail: u64) -> Self {
        Self { end: tail, offset: 0, first: crate::layout::commit::NONE }
    }
}

/// A reader's step over one frame: where the step ends, and where the payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advance {
    pub(crate) end: u64,
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

/// Room for a frame whose length is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// At most this many bytes of payload.
    UpTo(Reserved, usize),
    /// No room is known; `reserve` also reads the reader's cursors.
    Unknown,
    /// The length is fixed: call `reserve` with it.
    FixedLen,
}

/// Why no room was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The reader has not released enough yet.
    Full,
    /// The payload can never fit (variable), or has the wrong length (fixed).
    Length,
    /// The positions are used up.
    PositionsExhausted,
    /// The queue is closed.
    Closed,
    /// A cursor in the file is corrupt.
    Corrupted(Corruption),
}

/// A shared word that no participant that follows the protocol could have stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corruption {
    /// The name of the word.
    pub(crate) word: &'static str,
    /// Position of the reader or writer that met it.
    pub(crate) position: u64,
    /// The value that was found.
    pub(crate) found: u64,
}
