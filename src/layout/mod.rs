//! The layout of a queue file. No I/O, no atomic operation and no `unsafe` here.
//!
//! ```text
//! 0x000  Preamble   identity and geometry, written once before the file gets its name
//! 0x3f8  ready      READY once the preamble is complete
//! 0x400  Rare       cold words: dead, ...
//! 0x500  tail       next position to write; the producer's line (MPMC: next position to claim)
//! 0x580  head       released room, published lazily; read by the producer (MPMC: next position to take;
//!                   broadcast: floor and free)
//! 0x600  consumer   released, taken, redelivered: the consumer's exact words, a line that only it writes
//!                   (MPMC: done, how many messages consumers have declared to be done)
//! 0x680  events     eventcounts on which consumers (0x680), producers (0x700) and `join` (0x780) sleep
//! 0x800  released out of order   SPSC: ranges that a consumer noted when it detached
//! 0x1000 registry   256 bytes a participant
//!        (schema)   description of the message type, if there is one
//!        (slots)    MPMC only: 16 bytes a position
//!        (letters)  dead-letter queues only: 64 bytes a position; with dead letters: 8 bytes, holders
//!        lanes      page-aligned; SPSC: one, LEAD bytes, then the ring; MPMC: one for each registry entry
//! ```
//!
//! Offsets and sizes are part of the format and asserted at compile time.

pub(crate) mod commit;
mod geometry;
pub(crate) mod order;
mod preamble;
mod waiters;
mod words;

pub(crate) use geometry::{
    Broadcast, Framing, Geometry, GeometryRequest, MAX_DESCRIPTION, Order, OrderRequest, Policy,
};
pub(crate) use preamble::{
    KIND_BROADCAST, KIND_MPMC, KIND_SPSC, NAME_LEN, PREAMBLE_LEN, Preamble, PreambleError,
};
pub(crate) use waiters::Waiters;
pub(crate) use words::{
    Before, ConsumerWords, Cursors, DoneRange, EventWords, OrderCursors, OriginWords, OwnerWords,
    QueueEventWords, Rare, RegistryEntry, Retained, Slot, SpscRegistryEntry,
};

/// First bytes of every queue file.
pub(crate) const MAGIC: [u8; 8] = *b"RINGWAY\x1a";
/// Version of the format that this library writes and reads.
pub(crate) const FORMAT_VERSION: u32 = 3;
/// Written in native byte order; a reader of the other endianness sees it reversed.
pub(crate) const ENDIAN_TAG: u32 = 0x0102_0304;
/// Value of the `ready` word of a complete file.
pub(crate) const READY: u64 = u64::from_ne_bytes(*b"RW-READY");

/// Offset of [`Rare`].
pub(crate) const RARE_OFFSET: usize = 0x400;
/// Offset of [`Cursors`].
pub(crate) const CURSORS_OFFSET: usize = 0x500;
/// Broadcast: offset of [`Retained`].
pub(crate) const RETAINED_OFFSET: usize = 0x580;
/// Offset of [`QueueEventWords`].
pub(crate) const EVENTS_OFFSET: usize = 0x680;
/// SPSC: offset of the ranges that were released out of order ([`DoneRange`]).
pub(crate) const DONE_OFFSET: usize = 0x800;
pub(crate) const DONE_RANGES: usize = 128;
/// Offset of the registry of [`SpscRegistryEntry`]s.
pub(crate) const REGISTRY_OFFSET: usize = 0x1000;

/// Bytes before a lane's ring. The commit word of the frame at index 0 is in the last eight of
/// them, so that payloads, not commit words, fall on aligned addresses.
pub(crate) const LEAD: usize = 128;

/// Bytes after each message of queues with checksums: its serial number, and the checksum.
pub(crate) const TRAILER: u64 = 16;

/// Positions from here on are refused: no position ever wraps (2^62 bytes are 29 years at 5 GB/s).
pub(crate) const POSITION_LIMIT: u64 = 1 << 62;

/// Lock bytes lie far above any data, so that they never meet a byte-range lock on the contents.
pub(crate) const LOCK_BASE: i64 = 1 << 62;
/// Held by the process that creates a file under a temporary name.
pub(crate) const LOCK_CREATING: i64 = LOCK_BASE - 2;
/// Held, as a shared lock, by the handles that unlink the queue with the last of them.
pub(crate) const LOCK_OWNERS: i64 = LOCK_BASE - 1;
/// Held by the process that runs recovery.
pub(crate) const LOCK_RECOVERY: i64 = LOCK_BASE;
/// Serialises attach, detach and unlink.
pub(crate) const LOCK_ATTACH: i64 = LOCK_BASE + 1;
/// The first of [`PROGRESS_LOCKS`] bytes, on one of which the holder of the attach lock has another lock during long work:
/// it moves on as the work does.
pub(crate) const LOCK_PROGRESS: i64 = LOCK_BASE + (1 << 20);
pub(crate) const PROGRESS_LOCKS: i64 = 1 << 20;
/// Liveness lock of registry entry 0; that of entry `i` is `LOCK_ENTRY + i`.
pub(crate) const LOCK_ENTRY: i64 = LOCK_BASE + 2;

/// Registry entries of an SPSC queue.
pub(crate) const SPSC_ENTRIES: u64 = 2;
/// Registry entry of the SPSC producer.
pub(crate) const ENTRY_PRODUCER: usize = 0;
/// Registry entry of the SPSC consumer.
pub(crate) const ENTRY_CONSUMER: usize = 1;
