//! A broadcast queue's shared words on the heap, and liveness locks. For the tests with and without
//! loom.

use std::sync::Arc;

use super::super::{BroadcastRing, ProducerState, Raise, Seen};
use crate::lane::Ref;
use crate::layout::order::{EntryRole, SlotState, Tail};
use crate::layout::{OrderCursors, Policy, Rare, RegistryEntry, Retained, Slot};
use crate::order_ring::{Entry, EntryLock, FrameRef, LivenessProbe, OrderRing, Registry, SlotExtras};
use crate::sync::{AtomicU64, Ordering};

/// Liveness locks: 1 while held. Seeing that one is free acquires all that its dead owner did, as
/// with the kernel's locks.
#[derive(Clone)]
pub(in super::super) struct Locks(Arc<Vec<AtomicU64>>);

impl LivenessProbe for Locks {
    fn is_alive(&self, index: usize) -> bool {
        self.0[index].load(Ordering::Acquire) != 0
    }
}

/// A held lock. Dropping it does not release it: a participant is dead when [`World::kill`] says so.
pub(in super::super) struct HeldLock(usize);

impl EntryLock for HeldLock {
    fn entry(&self) -> usize {
        self.0
    }
}

pub(in super::super) type TestEntry = Entry<HeldLock, BroadcastRing>;

#[derive(Clone)]
pub(in super::super) struct World {
    pub(in super::super) ring: BroadcastRing,
    pub(in super::super) locks: Locks,
}

impl World {
    /// `slots` is a power of two; of `entries`, the first `producers` are producers'.
    pub(in super::super) fn new(
        slots: usize,
        max: u64,
        entries: usize,
        producers: usize,
        start: u64,
    ) -> Self {
        let policy = Policy { at_most_once: false, max_redeliveries: 0, is_dead_letter_queue: false };
        let cursors = OrderCursors::default();
        cursors.tail.store(Tail::at(start).0, Ordering::Relaxed);
        let retained = Retained::default();
        retained.floor.store(start, Ordering::Relaxed);
        retained.free.store(start, Ordering::Relaxed);
        let (mask, shift) = (slots as u64 - 1, slots.trailing_zeros());
        let of_new = |slot: u64| {
            let ahead = slot.wrapping_sub(start) & mask;
            let state = AtomicU64::new(SlotState::free((start + ahead) >> shift).0);
            Slot { state, frame: AtomicU64::new(0) }
        };
        let order = OrderRing::new(
            Ref::on_heap(Arc::new(Rare::default())),
            Ref::on_heap(Arc::new(cursors)),
            Ref::slice_on_heap(Arc::new((0..slots as u64).map(of_new).collect())),
            SlotExtras {
                origins: Ref::slice_on_heap(Arc::new(Vec::new())),
                holders: Ref::slice_on_heap(Arc::new(Vec::new())),
            },
            Ref::slice_on_heap(Arc::new((0..entries).map(|_| RegistryEntry::default()).collect())),
            policy,
        );
        let ring = BroadcastRing::new(order.bounded(max), Ref::on_heap(Arc::new(retained)), producers);
        let locks = Locks(Arc::new((0..entries).map(|_| AtomicU64::new(0)).collect()));
        Self { ring, locks }
    }

    pub(in super::super) fn attach(&self, role: EntryRole) -> TestEntry {
        let entry = self.ring.candidates(role)[0];
        assert_eq!(self.locks.0[entry].swap(1, Ordering::AcqRel), 0, "the entry has a living owner");
        Entry::attach(&self.ring, HeldLock(entry), role, 1, 0).expect("the entry is clean")
    }

    /// A producer, and what it knows: one writer takes over first.
    pub(in super::super) fn producer(&self) -> (TestEntry, ProducerState) {
        let entry = self.attach(EntryRole::Producer);
        if self.ring.has_one_writer() {
            self.ring.take_over();
        }
        (entry, ProducerState::new(&self.ring))
    }

    /// The participant of that entry is dead from now on.
    pub(in super::super) fn kill(&self, entry: usize) {
        self.locks.0[entry].store(0, Ordering::Release);
    }

    pub(in super::super) fn leave(&self, entry: TestEntry) {
        entry.detach();
        self.kill(entry.index());
    }

    /// Sends one message, whose length is its identity, and makes room for it.
    pub(in super::super) fn send(
        &self,
        (entry, state): &(TestEntry, ProducerState),
        id: u64,
    ) -> Result<u64, Raise> {
        let producer = entry.producer(state);
        loop {
            match producer.claim(1, 1) {
                Ok(claimed) => {
                    producer.commit(claimed.first, FrameRef { lane: entry.index(), offset: 0, len: id });
                    return Ok(claimed.first);
                }
                Err(crate::order_ring::NotClaimed::Full(target)) => match producer.raise(target) {
                    Raise::Done => {}
                    held => return Err(held),
                },
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    pub(in super::super) fn send_all(
        &self,
        producer: &(TestEntry, ProducerState),
        ids: std::ops::Range<u64>,
    ) {
        for id in ids {
            self.send(producer, id).expect("nothing is in the way");
        }
    }

    /// The identity of the message at a position.
    pub(in super::super) fn id(&self, position: u64) -> Option<u64> {
        match self.ring.see(position) {
            Seen::Frame(frame) => Some(frame.len),
            _ => None,
        }
    }
}
