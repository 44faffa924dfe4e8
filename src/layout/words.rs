//! The words that processes share: fixed-size atomics, each accessed only by atomic operations.

use crate::sync::{AtomicU32, AtomicU64};

/// A pair of cache lines of its own: adjacent-line prefetchers fetch 128 bytes.
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

/// Cold words.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Rare {
    /// 1 once the queue was unlinked: no handle attaches any more.
    pub(crate) dead: AtomicU64,
    /// MPMC: incremented whenever a frame may be redelivered. Consumers read it for every message,
    /// so nothing else on this line is written often.
    pub(crate) redelivery_epoch: AtomicU64,
    pub(crate) reserved: [AtomicU64; 6],
    /// MPMC: when an idle consumer last scanned for dead peers, by the machine's monotonic clock.
    pub(crate) scan_for_dead_peers: AtomicU64,
    pub(crate) reserved_2: [AtomicU64; 7],
    /// MPMC: counters of the whole queue.
    pub(crate) recoveries: AtomicU64,
    pub(crate) deaths: AtomicU64,
    pub(crate) tombstones: AtomicU64,
    pub(crate) requeued: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) dead_letters_failed: AtomicU64,
    /// MPMC: how many times a participant could not recover a dead one. The next word is the
    /// system's last error number; 0: none.
    pub(crate) recovery_failures: AtomicU64,
    pub(crate) recovery_errno: AtomicU64,
    /// MPMC: why a message could not become a dead letter, the last time
    /// (`error::DeadLetterFailure`); 0: never.
    pub(crate) letter_failure: AtomicU64,
    /// Only on filesystems that keep files over a reboot, otherwise 0: the boot in which a
    /// participant last attached ...
    pub(crate) boot: [AtomicU64; 2],
    /// ... and, while there are no participants, the hash of all that matters in the file (the
    /// seal); 0: none was recorded since then.
    pub(crate) seal: AtomicU64,
    /// Messages that were dropped because the file had outlived its machine and nothing proved that
    /// they were whole.
    pub(crate) dropped: AtomicU64,
    /// MPMC: positions that never carry a message: tombstones, and those before the start of the
    /// queue. Stored under the recovery lock only.
    pub(crate) skipped: AtomicU64,
    /// MPMC, the record of the tombstone that is being made: what `skipped` will be ...
    pub(crate) skip_target: AtomicU64,
    /// ... and 1 + the position that becomes a tombstone; 0: none is being made.
    pub(crate) skip_position: AtomicU64,
}

/// The cursors of an MPMC queue: `order::Tail` and `order::Head`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct OrderCursors {
    /// Next position to claim.
    pub(crate) tail: Line<AtomicU64>,
    /// Next position to take.
    pub(crate) head: Line<AtomicU64>,
    /// How many messages consumers have declared to be done (`crate::order_ring::tasks`).
    pub(crate) done: Line<AtomicU64>,
}

/// What a broadcast queue retains, in the place of an MPMC queue's `head`.
#[repr(C, align(128))]
#[derive(Default)]
pub(crate) struct Retained {
    /// No consumer begins before this position any more.
    pub(crate) floor: AtomicU64,
    /// Slots and bytes of the positions before this one may be written again.
    pub(crate) free: AtomicU64,
}

/// One position of an MPMC queue: its state, and the frame that it refers to. Four to a cache line:
/// the cost of neighbours that disturb each other is lower than that of a line for each message.
#[repr(C, align(16))]
#[derive(Default)]
pub(crate) struct Slot {
    /// `order::SlotState`: decides what everything else here means.
    pub(crate) state: AtomicU64,
    /// `order::PackedFrameRef`: which lane, where in it, and how long.
    pub(crate) frame: AtomicU64,
}

/// The origin of the message in a slot of a dead-letter queue.
#[repr(C)]
#[derive(Default)]
pub(crate) struct OriginWords {
    /// 1 + the slot's position; if it is another one, these words do not apply.
    pub(crate) of: AtomicU64,
    /// The message's position in the queue that it was sent to ...
    pub(crate) position: AtomicU64,
    /// ... and the uuid of that queue.
    pub(crate) uuid: [AtomicU64; 2],
    /// How many times it had been redelivered, counted up to `order::MAX_REDELIVERIES`.
    pub(crate) redeliveries: AtomicU64,
    /// The process that held it last; 0: not known. Diagnostic only, as are the next.
    pub(crate) holder: AtomicU64,
    /// Nanoseconds since 1970 at which it became a dead letter.
    pub(crate) at_ns: AtomicU64,
    pub(crate) reserved: AtomicU64,
}

/// One participant's registry entry in an MPMC queue.
#[repr(C, align(128))]
#[derive(Default)]
pub(crate) struct RegistryEntry {
    /// `order::EntryWord`.
    pub(crate) word: AtomicU64,
    /// Process that holds or last held the liveness lock. Diagnostic only: the liveness lock decides.
    pub(crate) pid: AtomicU64,
    /// Nanoseconds since 1970 at which it attached. Diagnostic only.
    pub(crate) since_ns: AtomicU64,
    /// 1 once this entry's lane has space on the disk.
    pub(crate) lane_ready: AtomicU64,
    /// Broadcast: how this consumer reads. Diagnostic only.
    pub(crate) mode: AtomicU64,
    pub(crate) reserved: [AtomicU64; 3],
    /// What the counters of `own` were when the present owner attached. Diagnostic only.
    pub(crate) before: Before,
    pub(crate) reserved_2: [AtomicU64; 3],
    /// Written by the owner for every message, read by other participants when something is wrong.
    pub(crate) own: OwnerWords,
}

/// Counters of an entry's earlier owners, so that the difference is what the present owner did.
/// Stored at attach.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Before {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) redelivered: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) rejected: AtomicU64,
}

/// The words that a participant writes for every message: a line of their own.
#[repr(C)]
#[derive(Default)]
pub(crate) struct OwnerWords {
    /// `order::Intent`: the positions that the owner is about to claim.
    pub(crate) claim_intent: AtomicU64,
    /// `order::Intent`: the positions that the owner is about to take. Broadcast: the cursor, 1 more
    /// than the position from which on the owner keeps messages; 0: none.
    pub(crate) take_intent: AtomicU64,
    /// Messages committed by owners of this entry.
    pub(crate) sent: AtomicU64,
    /// Messages delivered to owners of this entry ...
    pub(crate) received: AtomicU64,
    /// ... of which this many were redeliveries. Broadcast: positions that were over before the owner
    /// came to them.
    pub(crate) redelivered: AtomicU64,
    /// How many times a producer found no room.
    pub(crate) full: AtomicU64,
    /// Messages that were rejected.
    pub(crate) rejected: AtomicU64,
    /// Broadcast: the position that the owner reads next. Diagnostic only.
    pub(crate) next: AtomicU64,
    pub(crate) reserved: [AtomicU64; 8],
}

/// The cursors of an SPSC queue. Positions count bytes of the ring (variable-size frames) or messages
/// (fixed-size ones).
#[repr(C)]
#[derive(Default)]
pub(crate) struct Cursors {
    /// Next position to write. Stored by the producer at every commit.
    pub(crate) tail: Line<AtomicU64>,
    /// Released room: trails `released`, stored every sixteenth of the ring and when the consumer
    /// finds nothing. It exists so that the producer's reads do not steal the consumer's hot line.
    pub(crate) head: Line<AtomicU64>,
    /// The consumer's exact positions.
    pub(crate) consumer: Line<ConsumerWords>,
}

/// What the consumer knows exactly, for the next consumer and for a producer that is out of room.
#[repr(C)]
#[derive(Default)]
pub(crate) struct ConsumerWords {
    /// Start of the oldest frame whose guard has not been dropped.
    pub(crate) released: AtomicU64,
    /// End of the newest frame that was delivered.
    pub(crate) taken: AtomicU64,
    /// Frames before this position were already delivered by an earlier consumer ...
    pub(crate) redelivered_until: AtomicU64,
    /// ... this many times.
    pub(crate) redelivery_count: AtomicU64,
}

/// SPSC: frames that a consumer released while an older one was in flight, noted when it detached
/// (`crate::lane::done`). Empty if `end` is 0.
#[repr(C)]
#[derive(Default)]
pub(crate) struct DoneRange {
    /// Start of the first frame.
    pub(crate) start: AtomicU64,
    /// End of the last frame.
    pub(crate) end: AtomicU64,
}

/// An eventcount, on which participants park until others have done something (`crate::park`). The
/// word that notifiers read for every message is written only when a participant is about to park.
#[repr(C, align(128))]
#[derive(Default)]
pub(crate) struct EventWords {
    /// Whether a participant may be parked, and how many times one was about to park.
    pub(crate) waiters: AtomicU64,
    /// The futex: incremented by every notification.
    pub(crate) epoch: AtomicU32,
}

/// A queue's eventcounts.
#[repr(C)]
#[derive(Default)]
pub(crate) struct QueueEventWords {
    /// Consumers park here for messages.
    pub(crate) messages: EventWords,
    /// Producers park here for room.
    pub(crate) room: EventWords,
    /// MPMC: callers of `join` park here until all messages are done.
    pub(crate) tasks: EventWords,
}

/// One participant's registry entry in an SPSC queue.
#[repr(C)]
#[derive(Default)]
pub(crate) struct SpscRegistryEntry {
    /// Process that holds or last held the liveness lock. Diagnostic only: the liveness lock decides.
    pub(crate) pid: AtomicU64,
    /// How many times the entry was attached.
    pub(crate) generation: AtomicU64,
    pub(crate) reserved: [AtomicU64; 30],
}

#[cfg(not(loom))]
const _: () = {
    use super::{
        CURSORS_OFFSET, DONE_OFFSET, DONE_RANGES, EVENTS_OFFSET, RARE_OFFSET, REGISTRY_OFFSET,
        RETAINED_OFFSET,
    };
    use std::mem::{align_of, offset_of, size_of};

    assert!(size_of::<Rare>() == 256);
    assert!(offset_of!(Rare, redelivery_epoch) == 8);
    assert!(offset_of!(Rare, scan_for_dead_peers) == 64);
    assert!(offset_of!(Rare, recoveries) == 128);
    assert!(offset_of!(Rare, recovery_failures) == 0xb0);
    assert!(offset_of!(Rare, recovery_errno) == 0xb8);
    assert!(offset_of!(Rare, letter_failure) == 192);
    assert!(offset_of!(Rare, boot) == 0xc8);
    assert!(offset_of!(Rare, seal) == 0xd8);
    assert!(offset_of!(Rare, dropped) == 0xe0);
    assert!(offset_of!(Rare, skipped) == 0xe8);
    assert!(offset_of!(Rare, skip_target) == 0xf0);
    assert!(offset_of!(Rare, skip_position) == 0xf8);
    assert!(RARE_OFFSET + size_of::<Rare>() == CURSORS_OFFSET);
    assert!(CURSORS_OFFSET.is_multiple_of(align_of::<Cursors>()));
    assert!(size_of::<Cursors>() == 0x180);
    assert!(CURSORS_OFFSET + offset_of!(Cursors, tail) == 0x500);
    assert!(CURSORS_OFFSET + offset_of!(Cursors, head) == 0x580);
    assert!(CURSORS_OFFSET + offset_of!(Cursors, consumer) == 0x600);
    assert!(offset_of!(ConsumerWords, released) == 0);
    assert!(offset_of!(ConsumerWords, taken) == 8);
    assert!(offset_of!(ConsumerWords, redelivered_until) == 16);
    assert!(offset_of!(ConsumerWords, redelivery_count) == 24);
    assert!(size_of::<ConsumerWords>() == 32);
    assert!(CURSORS_OFFSET + size_of::<Cursors>() <= EVENTS_OFFSET);
    assert!(EVENTS_OFFSET + offset_of!(QueueEventWords, messages) == 0x680);
    assert!(EVENTS_OFFSET + offset_of!(QueueEventWords, room) == 0x700);
    assert!(EVENTS_OFFSET + offset_of!(QueueEventWords, tasks) == 0x780);
    assert!(offset_of!(EventWords, waiters) == 0);
    assert!(offset_of!(EventWords, epoch) == 8);
    assert!(EVENTS_OFFSET + size_of::<QueueEventWords>() <= DONE_OFFSET);
    assert!(size_of::<DoneRange>() == 16);
    assert!(offset_of!(DoneRange, end) == 8);
    assert!(DONE_OFFSET + DONE_RANGES * size_of::<DoneRange>() == REGISTRY_OFFSET);
    assert!(size_of::<OrderCursors>() == 0x180);
    assert!(CURSORS_OFFSET + size_of::<OrderCursors>() <= EVENTS_OFFSET);
    assert!(CURSORS_OFFSET + offset_of!(OrderCursors, tail) == 0x500);
    assert!(CURSORS_OFFSET + offset_of!(OrderCursors, head) == 0x580);
    assert!(RETAINED_OFFSET == CURSORS_OFFSET + offset_of!(OrderCursors, head));
    assert!(size_of::<Retained>() == 128);
    assert!(offset_of!(Retained, floor) == 0);
    assert!(offset_of!(Retained, free) == 8);
    assert!(CURSORS_OFFSET + offset_of!(OrderCursors, done) == 0x600);
    assert!(size_of::<Slot>() == 16);
    assert!(offset_of!(Slot, state) == 0);
    assert!(offset_of!(Slot, frame) == 8);
    assert!(size_of::<OriginWords>() == 64);
    assert!(offset_of!(OriginWords, of) == 0);
    assert!(offset_of!(OriginWords, position) == 8);
    assert!(offset_of!(OriginWords, uuid) == 16);
    assert!(offset_of!(OriginWords, redeliveries) == 32);
    assert!(offset_of!(OriginWords, holder) == 40);
    assert!(offset_of!(OriginWords, at_ns) == 48);
    assert!(size_of::<RegistryEntry>() == 256);
    assert!(offset_of!(RegistryEntry, word) == 0);
    assert!(offset_of!(RegistryEntry, pid) == 8);
    assert!(offset_of!(RegistryEntry, since_ns) == 16);
    assert!(offset_of!(RegistryEntry, lane_ready) == 24);
    assert!(offset_of!(RegistryEntry, mode) == 32);
    assert!(offset_of!(RegistryEntry, before) == 0x40);
    assert!(size_of::<Before>() == 40);
    assert!(offset_of!(RegistryEntry, own) == 128);
    assert!(offset_of!(OwnerWords, claim_intent) == 0);
    assert!(offset_of!(OwnerWords, take_intent) == 8);
    assert!(offset_of!(OwnerWords, sent) == 16);
    assert!(offset_of!(OwnerWords, received) == 24);
    assert!(offset_of!(OwnerWords, redelivered) == 32);
    assert!(offset_of!(OwnerWords, full) == 40);
    assert!(offset_of!(OwnerWords, rejected) == 48);
    assert!(offset_of!(OwnerWords, next) == 56);
    assert!(size_of::<SpscRegistryEntry>() == 256);
    assert!(offset_of!(SpscRegistryEntry, pid) == 0);
    assert!(offset_of!(SpscRegistryEntry, generation) == 8);
};
