//! A queue's shared words on the heap, leases, and what happened. For the tests with and without loom.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use crate::lane::linked::Writer;
use crate::lane::{Damage, LaneMemory, Ref};
use crate::layout::order::{EntryRole, Head, LinkState, Tail};
use crate::layout::{Framing, Geometry, Link, OrderCursors, Participant, Policy, Rare};
use crate::links::die_point::{any_order, mortal};
use crate::links::{Beside, FrameRef, Leases, Links, Recovered};
use crate::sync::{AtomicU64, Ordering};

/// Granule of the lanes.
pub(super) const GRANULE: u64 = 8;

/// Leases: 1 while held. That a free one was seen to be free acquires all that its dead owner did, as with the kernel's.
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

impl Leases for Words {
    fn is_held(&self, index: usize) -> bool {
        self.0[index].load(Ordering::Acquire) != 0
    }
}

/// What counts positions that are over, if those are for which it `is_over`.
pub(super) fn over_if(is_over: impl Fn(u64) -> bool) -> impl Fn(u64, u64) -> u64 {
    move |first, most| (0..most).take_while(|i| is_over(first + i)).count() as u64
}

/// What the participants have done, as no shared word tells.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) committed: Vec<u8>,
    /// Message, position, and how often it had been handed out before.
    pub(super) delivered: Vec<(u8, u64, u64)>,
    pub(super) deaths: usize,
    pub(super) rejects: usize,
}

/// The shape of a queue.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) links: usize,
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
    pub(super) links: Links,
    pub(super) leases: Words,
    pub(super) log: Arc<Mutex<Log>>,
    pub(super) geometry: Geometry,
    pub(super) memory: LaneMemory,
    recovery: Words,
}

impl World {
    pub(super) fn new(shape: Shape) -> Self {
        let policy = Policy { at_most_once: shape.at_most_once, max_redeliveries: 0, has_letters: false };
        let shift = shape.links.trailing_zeros();
        let cursors = OrderCursors::default();
        cursors.tail.store(Tail::at(shape.start).0, Ordering::Relaxed);
        cursors.head.store(Head::at(shape.start).0, Ordering::Relaxed);
        let links: Vec<_> = (0..shape.links).map(|_| Link::default()).collect();
        for position in shape.start..shape.start + shape.links as u64 {
            let link = &links[position as usize % shape.links];
            link.state.store(LinkState::free(position >> shift).0, Ordering::Relaxed);
        }
        let entries: Vec<_> = (0..shape.entries).map(|_| Participant::default()).collect();
        // Of a size that `Geometry::new` would refuse: small, so that everything wraps around soon.
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
            links: Links::new(
                Ref::on_heap(Arc::new(Rare::default())),
                Ref::on_heap(Arc::new(cursors)),
                Ref::slice_on_heap(Arc::new(links)),
                Beside {
                    letters: Ref::slice_on_heap(Arc::default()),
                    holders: Ref::slice_on_heap(Arc::default()),
                },
                Ref::slice_on_heap(Arc::new(entries)),
                policy,
            ),
            leases: Words::new(shape.entries),
            log: Arc::default(),
            geometry,
            memory: LaneMemory::on_heap(shape.lane as usize * shape.entries),
            recovery: Words::new(1),
        }
    }

    pub(super) fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    /// Does `act` as the owner of entry `me`, which dies at that die point; then its lease is free.
    pub(super) fn mortal<R>(&self, me: usize, at: u32, act: impl FnOnce() -> R) -> Option<R> {
        let result = mortal(at, act);
        if result.is_none() {
            self.kill(me);
        }
        result
    }

    /// The owner of entry `me` is dead. Its handle must be dropped.
    pub(super) fn kill(&self, me: usize) {
        any_order();
        self.log().deaths += 1;
        self.leases.unlock(me);
    }

    pub(super) fn enter(&self, me: usize, role: EntryRole) -> bool {
        any_order();
        if !self.leases.lock(me) {
            return false;
        }
        let entered = self.links.enter(me, role, 1, 1);
        if !entered {
            self.leases.unlock(me);
        }
        entered
    }

    pub(super) fn adopt(&self, lane: usize) -> Result<Writer, Damage> {
        let base = lane * self.geometry.capacity as usize;
        let frames = self.links.frames_in(lane);
        Writer::adopt(self.memory.clone(), base, &self.geometry, self.links.links.len(), &frames)
    }

    /// One pass, unless somebody else is at it.
    pub(super) fn recover(&self) -> Option<Recovered> {
        any_order();
        self.recovery.lock(0).then(|| {
            let result = catch_unwind(AssertUnwindSafe(|| self.links.recover(&self.leases, None)));
            // The kernel does this for the dead.
            self.recovery.unlock(0);
            result.unwrap_or_else(|cause| resume_unwind(cause))
        })
    }

    fn offset(&self, frame: FrameRef) -> usize {
        frame.lane * self.geometry.capacity as usize + frame.offset as usize
    }

    /// The payload's bytes, which all are the number of the message.
    pub(super) fn read(&self, frame: FrameRef) -> Option<u8> {
        let (offset, len) = (self.offset(frame), frame.len as usize);
        self.memory.note_read(offset, len);
        #[allow(unsafe_code)]
        // SAFETY: inside the memory, as every frame of these tests; loom checks that nobody writes there now.
        let bytes = unsafe { std::slice::from_raw_parts(self.memory.payload(offset), len) };
        let first = *bytes.first()?;
        assert!(bytes.iter().all(|byte| *byte == first), "torn: {bytes:?} of {frame:?}");
        Some(first)
    }
}
