//! The words that processes share: fixed-size atomics, each touched in no other way.

use crate::sync::AtomicU64;

/// A cache line pair of its own: adjacent-line prefetchers fetch 128 bytes.
#[repr(C, align(128))]
#[derive(Default)]
pub(crate) struct Line<T>(pub(crate) T);

impl<T> std::ops::Deref for Line<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Words that are seldom touched.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Rare {
    /// 1 once the queue was unlinked: no handle attaches any more.
    pub(crate) dead: AtomicU64,
    pub(crate) reserved: [AtomicU64; 31],
}

/// The cursors of an SPSC queue. Positions count bytes of the ring (variable-size frames) or messages
/// (fixed-size ones).
#[repr(C)]
#[derive(Default)]
pub(crate) struct Cursors {
    /// Next position to write. Stored by the producer at every commit.
    pub(crate) tail: Line<AtomicU64>,
    /// Room given back: trails `released`, stored every sixteenth of the ring and when the consumer finds
    /// nothing. It exists so that the producer's reads do not steal the consumer's hot line.
    pub(crate) head: Line<AtomicU64>,
    /// The consumer's exact words.
    pub(crate) consumer: Line<ConsumerWords>,
}

/// What the consumer knows exactly, for the next consumer and for a producer that is out of room.
#[repr(C)]
#[derive(Default)]
pub(crate) struct ConsumerWords {
    /// Start of the oldest frame whose guard has not been dropped.
    pub(crate) released: AtomicU64,
    /// End of the newest frame that was handed out.
    pub(crate) taken: AtomicU64,
    /// Frames before this position were handed out by an earlier consumer already ...
    pub(crate) redo_until: AtomicU64,
    /// ... that many times.
    pub(crate) redo_count: AtomicU64,
}

/// One participant's registry entry.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Entry {
    /// Process that holds or last held the lease. For people only: liveness is the lease.
    pub(crate) pid: AtomicU64,
    /// How often the entry was leased.
    pub(crate) generation: AtomicU64,
    pub(crate) reserved: [AtomicU64; 30],
}

#[cfg(not(loom))]
const _: () = {
    use super::{CURSORS_OFFSET, RARE_OFFSET, REGISTRY_OFFSET};
    use std::mem::{align_of, offset_of, size_of};

    assert!(size_of::<Rare>() == 256);
    assert!(RARE_OFFSET + size_of::<Rare>() == CURSORS_OFFSET);
    assert!(CURSORS_OFFSET.is_multiple_of(align_of::<Cursors>()));
    assert!(size_of::<Cursors>() == 0x180);
    assert!(CURSORS_OFFSET + offset_of!(Cursors, tail) == 0x500);
    assert!(CURSORS_OFFSET + offset_of!(Cursors, head) == 0x580);
    assert!(CURSORS_OFFSET + offset_of!(Cursors, consumer) == 0x600);
    assert!(offset_of!(ConsumerWords, released) == 0);
    assert!(offset_of!(ConsumerWords, taken) == 8);
    assert!(offset_of!(ConsumerWords, redo_until) == 16);
    assert!(offset_of!(ConsumerWords, redo_count) == 24);
    assert!(size_of::<ConsumerWords>() == 32);
    assert!(CURSORS_OFFSET + size_of::<Cursors>() <= REGISTRY_OFFSET);
    assert!(size_of::<Entry>() == 256);
    assert!(offset_of!(Entry, pid) == 0);
    assert!(offset_of!(Entry, generation) == 8);
};
