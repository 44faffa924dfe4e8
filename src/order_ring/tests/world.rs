//! A queue's shared words on the heap, liveness locks, and a log. For the tests with and without
//! loom.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use crate::lane::mpmc::MpmcWriter;
use crate::lane::{Corruption, LaneMemory, Ref};
use crate::layout::order::{EntryRole, Head, SlotKind, SlotState, Tail};
use crate::layout::{Framing, Geometry, OrderCursors, Policy, Rare, RegistryEntry, Slot};
use crate::order_ring::crash_point::{any_order, until_crash};
use crate::order_ring::{Entry, EntryLock, FrameRef, LivenessProbe, OrderRing, Recovered, SlotExtras};
use crate::sync::{AtomicU64, Ordering};

/// Granule of the lanes.
pub(super) const GRANULE: u64 = 8;

/// Liveness locks: 1 while held. Seeing that one is free acquires all that its dead owner did, as
/// with the kernel's locks.
#[derive(Clone)]
pub(super) struct Words(Arc<Vec<AtomicU64>>);

impl Words {
    fn new(count: usize) -> Self {
        Self(Arc::new((0..count).map(|_| AtomicU64::new(0)).collect()))
    }

    pub(super) fn lock(&self, index: usize) -> bool {
        self.0[index].compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    pub(super) fn unlock(&self, index: usize) {
        self.0[index].store(0, Ordering::Release);
    }
}

/// A held lock of [`Words`]. Dropping it does not release it: a participant that only drops its
/// handle is dead when [`World::kill`] says so.
pub(super) struct WordLock {
    words: Words,
    index: usize,
}

impl WordLock {
    pub(super) fn unlock(&self) {
        self.words.unlock(self.index);
    }
}

impl EntryLock for WordLock {
    fn entry(&self) -> usize {
        self.index
    }
}

impl LivenessProbe for Words {
    fn is_alive(&self, index: usize) -> bool {
        self.0[index].load(Ordering::Acquire) != 0
    }
}

/// A function that counts consecutive positions from `first` on that are over, those for which
/// `is_reusable`.
pub(super) fn over_if(is_reusable: impl Fn(u64) -> bool) -> impl Fn(u64, u64) -> u64 {
    move |first, most| (0..most).take_while(|i| is_reusable(first + i)).count() as u64
}

/// What the participants have done, as far as no shared word records it.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) committed: Vec<u8>,
    /// Message, position, and how many times it had been delivered before.
    pub(super) delivered: Vec<(u8, u64, u64)>,
    pub(super) deaths: usize,
    pub(super) rejects: usize,
}

/// The shape of a queue.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) ring: usize,
    /// The maximum of messages; 0: as many as slots.
    pub(super) messages: u64,
    pub(super) entries: usize,
    /// Bytes of a lane.
    pub(super) lane: u64,
    pub(super) max_payload: u64,
    /// First position.
    pub(super) start: u64,
    pub(super) at_most_once: bool,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) ring: OrderRing,
    pub(super) probe: Words,
    pub(super) log: Arc<Mutex<Log>>,
    pub(super) geometry: Geometry,
    pub(super) memory: LaneMemory,
    recovery: Words,
}

impl World {
    /// No more messages are claimed and not released than there may be.
    pub(super) fn is_within_bound(&self) -> bool {
        let (ring, tail) = (&self.ring, self.ring.tail().position());
        (0..ring.slots.len()).all(|slot| {
            let state = ring.state(slot);
            let position = ring.position(state, slot);
            let is_out = state.kind() != SlotKind::Free || position < tail;
            !is_out || position + ring.max_messages() >= tail
        })
    }

    pub(super) fn new(shape: Shape) -> Self {
        let policy =
            Policy { at_most_once: shape.at_most_once, max_redeliveries: 0, is_dead_letter_queue: false };
        let shift = shape.ring.trailing_zeros();
        let cursors = OrderCursors::default();
        cursors.tail.store(Tail::at(shape.start).0, Ordering::Relaxed);
        cursors.head.store(Head::at(shape.start).0, Ordering::Relaxed);
        let ring: Vec<_> = (0..shape.ring).map(|_| Slot::default()).collect();
        for position in shape.start..shape.start + shape.ring as u64 {
            let slot = &ring[position as usize % shape.ring];
            slot.state.store(SlotState::free(position >> shift).0, Ordering::Relaxed);
        }
        let rare = Rare::default();
        rare.skipped.store(shape.start, Ordering::Relaxed);
        let entries: Vec<_> = (0..shape.entries).map(|_| RegistryEntry::default()).collect();
        // Smaller than `Geometry::new` would accept, so that everything wraps around soon.
        let geometry = Geometry {
            framing: Framing::Variable,
            align: GRANULE,
            capacity: shape.lane,
            stride: 1,
            max_payload: shape.max_payload,
            lane_offset: 0,
            lane_len: shape.lane,
            description_len: 0,
            order: None,
            trailer: 0,
        };
        Self {
            ring: OrderRing::new(
                Ref::on_heap(Arc::new(rare)),
                Ref::on_heap(Arc::new(cursors)),
                Ref::slice_on_heap(Arc::new(ring)),
                SlotExtras {
                    origins: Ref::slice_on_heap(Arc::default()),
                    holders: Ref::slice_on_heap(Arc::default()),
                },
                Ref::slice_on_heap(Arc::new(entries)),
                policy,
            )
            .bounded(if shape.messages == 0 { shape.ring as u64 } else { shape.messages }),
            probe: Words::new(shape.entries),
            log: Arc::default(),
            geometry,
            memory: LaneMemory::on_heap(shape.lane as usize * shape.entries),
            recovery: Words::new(1),
        }
    }

    pub(super) fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    /// Runs `act` as the owner of entry `me`, which dies at crash point `at`; then its liveness
    /// lock is free.
    pub(super) fn until_crash<R>(&self, me: usize, at: u32, act: impl FnOnce() -> R) -> Option<R> {
        let result = until_crash(at, act);
        if result.is_none() {
            self.kill(me);
        }
        result
    }

    /// Kills the owner of entry `me`. Its handle must be dropped.
    pub(super) fn kill(&self, me: usize) {
        any_order();
        self.log().deaths += 1;
        self.probe.unlock(me);
    }

    pub(super) fn attach(&self, me: usize, role: EntryRole) -> Option<Entry<WordLock>> {
        any_order();
        if !self.probe.lock(me) {
            return None;
        }
        let entry = Entry::attach(&self.ring, self.held_lock(me), role, 1, 1);
        if entry.is_none() {
            self.probe.unlock(me);
        }
        entry
    }

    /// The lock of entry `me`, which the caller holds.
    pub(super) fn held_lock(&self, me: usize) -> WordLock {
        WordLock { words: self.probe.clone(), index: me }
    }

    pub(super) fn adopt(&self, lane: usize) -> Result<MpmcWriter, Corruption> {
        let base = lane * self.geometry.capacity as usize;
        let frames = self.ring.frames_in(lane);
        MpmcWriter::adopt(self.memory.clone(), base, &self.geometry, self.ring.slots.len(), &frames)
    }

    /// One recovery pass, unless another participant runs one.
    pub(super) fn recover(&self) -> Option<Recovered> {
        any_order();
        self.recovery.lock(0).then(|| {
            let result = catch_unwind(AssertUnwindSafe(|| self.ring.recover(&self.probe, None)));
            // The kernel does this for a dead participant.
            self.recovery.unlock(0);
            result.unwrap_or_else(|cause| resume_unwind(cause))
        })
    }

    fn offset(&self, frame: FrameRef) -> usize {
        frame.lane * self.geometry.capacity as usize + frame.offset as usize
    }

    /// The message: all bytes of the payload are its number.
    pub(super) fn read(&self, frame: FrameRef) -> Option<u8> {
        let (offset, len) = (self.offset(frame), frame.len as usize);
        self.memory.note_read(offset, len);
        #[allow(unsafe_code)]
        // SAFETY: inside the memory, like every frame of these tests; loom checks that no thread
        // writes there now.
        let bytes = unsafe { std::slice::from_raw_parts(self.memory.payload(offset), len) };
        let first = *bytes.first()?;
        assert!(bytes.iter().all(|byte| *byte == first), "torn: {bytes:?} of {frame:?}");
        Some(first)
    }
}
