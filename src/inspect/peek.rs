//! Copies messages without consuming them.

use super::source::Source;
use super::{peek_broadcast, peek_mpmc, peek_spsc};
use crate::error::{Corrupted, InspectError};
use crate::queue::DeadLetter;
use crate::queue::trailer;

/// Which messages to copy.
///
/// ```
/// use ringway::inspect::{Peek, Start};
/// let what = Peek::new().start(Start::Oldest).most(10).bytes(100).held(true);
/// ```
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
    /// With the oldest message.
    Oldest,
    /// With the newest messages, as many as [`Peek::most`] allows. (SPSC queues with messages of
    /// any size: the search for them covers no more than a million of the oldest messages.)
    Newest,
    /// With the first message at or after this position, such as [`Peeked::next`] of an earlier peek.
    From(u64),
}

impl Default for Peek {
    fn default() -> Self {
        Self::new()
    }
}

impl Peek {
    /// Creates the default: the ten oldest messages that wait, at most 64 KiB of each.
    pub fn new() -> Self {
        Self { start: Start::Oldest, most: 10, bytes: 1 << 16, held: false }
    }

    /// Where to begin.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets the maximum number of messages.
    #[must_use]
    pub fn most(mut self, messages: usize) -> Self {
        self.most = messages;
        self
    }

    /// Sets the maximum number of bytes of each message that are copied.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets whether messages in flight are copied too.
    #[must_use]
    pub fn held(mut self, held: bool) -> Self {
        self.held = held;
        self
    }
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameState {
    /// It waits for a consumer; broadcast: it is retained.
    Waiting,
    /// It waits for a consumer, and had been delivered before.
    Again,
    /// It is in flight; MPMC: the owner of this registry entry holds it.
    Held(Option<usize>),
}

/// A message, copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeekedFrame {
    /// Its position in the order; SPSC with messages of any size: the byte position in the ring at
    /// which it begins.
    pub position: u64,
    /// Its state.
    pub state: FrameState,
    /// The number of earlier deliveries; SPSC: at least 1 if there were any.
    pub redeliveries: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Its first bytes.
    pub payload: Vec<u8>,
    /// Whether its checksum matches all of its bytes; `None` in a queue without checksums. Consumers skip a message whose
    /// checksum does not match.
    pub checksum_matches: Option<bool>,
    /// Where it comes from, in a dead-letter queue.
    pub dead_letter: Option<DeadLetter>,
}

/// Messages that were copied.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Peeked {
    /// The messages, oldest first.
    pub frames: Vec<PeekedFrame>,
    /// Messages that were seen, and changed before they were copied: a consumer has taken them, or
    /// (broadcast) newer ones have overwritten them.
    pub gone: u64,
    /// The position at which the next peek continues.
    pub next: u64,
    /// The invalid value that ended the peek, if one did.
    pub corruption: Option<Corrupted>,
}

pub(super) fn peek(source: &Source, what: &Peek) -> Result<Peeked, InspectError> {
    match source.geometry.order {
        Some(order) if order.broadcast.is_some() => peek_broadcast::peek(source, order, what),
        Some(order) => peek_mpmc::peek(source, order, what),
        None => peek_spsc::peek(source, what),
    }
}

/// Bytes per read. A corrupt length in the file must not cause a large allocation, so memory is
/// allocated only as far as the file has bytes.
const PIECE: usize = 1 << 16;

/// What is copied of a message.
pub(super) struct Copied {
    pub(super) len: u64,
    pub(super) payload: Vec<u8>,
    pub(super) checksum_matches: Option<bool>,
}

/// Copies the beginning of the message in a payload of `len` bytes at `at` in the file, whose serial number would be
/// `serial`.
pub(super) fn copy_message(
    source: &Source,
    (at, len): (u64, u64),
    serial: u64,
    what: &Peek,
) -> Result<Copied, InspectError> {
    let message_len = source.message_len(len);
    let payload = copy(source, at, message_len, what.bytes)?;
    let checksum_matches = match source.geometry.trailer {
        0 => None,
        _ => Some(checksum_matches(source, (at, len), serial)?),
    };
    Ok(Copied { len: message_len, payload, checksum_matches })
}

fn checksum_matches(source: &Source, (at, len): (u64, u64), serial: u64) -> Result<bool, InspectError> {
    let Some(message_len) = len.checked_sub(trailer::LEN as u64) else { return Ok(false) };
    let mut found = [0; trailer::LEN];
    source.read(&mut found, at + message_len)?;
    trailer::fits_pieces(source.uuid, message_len as usize, serial, found, |piece, offset| {
        source.read(piece, at + offset as u64)
    })
}

/// Copies the first bytes of a message of `len` bytes that begins at `at` in the file.
fn copy(source: &Source, at: u64, len: u64, most: usize) -> Result<Vec<u8>, InspectError> {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(most);
    let mut payload = Vec::new();
    while payload.len() < len {
        let from = payload.len();
        payload.resize(len.min(from + PIECE), 0);
        source.read(&mut payload[from..], at + from as u64)?;
    }
    Ok(payload)
}
