//! Messages, copied without consuming them.

use super::source::Source;
use super::{peek_mpmc, peek_spsc};
use crate::error::{Corrupted, InspectError};
use crate::queue::DeadLetter;

/// Which messages to copy.
#[derive(Clone, Debug)]
pub struct Peek {
    pub(super) start: Start,
    pub(super) most: usize,
    pub(super) bytes: usize,
    pub(super) held: bool,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest one.
    Oldest,
    /// With as many of the newest ones as are asked for. (SPSC queues with messages of any size: no more than a million of
    /// the oldest ones are looked through for that.)
    Newest,
    /// With the first one from this position on: [`Peeked::next`] of an earlier look.
    From(u64),
}

impl Default for Peek {
    fn default() -> Self {
        Self::new()
    }
}

impl Peek {
    /// The ten oldest messages that wait, 64 KiB of each at most.
    pub fn new() -> Self {
        Self { start: Start::Oldest, most: 10, bytes: 1 << 16, held: false }
    }

    /// Where to begin.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// No more messages than this.
    #[must_use]
    pub fn most(mut self, messages: usize) -> Self {
        self.most = messages;
        self
    }

    /// No more bytes of each than this.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Also messages that somebody holds.
    #[must_use]
    pub fn held(mut self, held: bool) -> Self {
        self.held = held;
        self
    }
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameState {
    /// It waits for a consumer.
    Waiting,
    /// It waits for one, and had been delivered before.
    Again,
    /// Somebody holds it: MPMC, the owner of this registry entry.
    Held(Option<usize>),
}

/// A message, copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeekedFrame {
    /// Its position: which of all messages it is; SPSC with messages of any size: where in the ring it begins.
    pub position: u64,
    /// What has become of it.
    pub state: FrameState,
    /// How often it was delivered before; SPSC: only whether it was.
    pub redeliveries: u64,
    /// Its bytes.
    pub len: u64,
    /// The first of them.
    pub payload: Vec<u8>,
    /// Where it comes from, in a dead-letter queue.
    pub dead_letter: Option<DeadLetter>,
}

/// Messages that were copied.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Peeked {
    /// The messages, oldest first.
    pub frames: Vec<PeekedFrame>,
    /// Messages that were seen, and changed before they were copied: somebody consumed them.
    pub gone: u64,
    /// Where to go on.
    pub next: u64,
    /// Where a corrupted word stopped the look.
    pub corruption: Option<Corrupted>,
}

pub(super) fn peek(source: &Source, what: &Peek) -> Result<Peeked, InspectError> {
    match source.geometry.order {
        Some(order) => peek_mpmc::peek(source, order, what),
        None => peek_spsc::peek(source, what),
    }
}

/// Bytes that are read at one go: what a length in the file promises is allocated only as far as it is there.
const PIECE: usize = 1 << 16;

/// The first bytes of a message of `len` bytes that stands at `at` in the file.
pub(super) fn copy(source: &Source, at: u64, len: u64, most: usize) -> Result<Vec<u8>, InspectError> {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(most);
    let mut payload = Vec::new();
    while payload.len() < len {
        let from = payload.len();
        payload.resize(len.min(from + PIECE), 0);
        source.read(&mut payload[from..], at + from as u64)?;
    }
    Ok(payload)
}
