//! The ring of links.
#![allow(unsafe_code, reason = "words in a mapping")]

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::{Backoff, CachePadded};
use memmap2::MmapRaw;

const FULL: u64 = 1;
const LAP_SHIFT: u32 = 2;
const LANE_SHIFT: u32 = 48;
/// Looks at a position that is claimed, but not committed.
const PENDING_LOOKS: u32 = 64;

#[repr(C, align(64))]
struct Link {
    state: AtomicU64,
    place: AtomicU64,
    len: AtomicU64,
}

/// Where a frame lies.
pub(super) struct Place {
    pub(super) lane: usize,
    pub(super) offset: usize,
    pub(super) len: usize,
}

pub(super) struct Order {
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
    links: MmapRaw,
    shift: u32,
}

impl Order {
    pub(super) fn new(links: usize) -> Self {
        let shift = links.next_power_of_two().trailing_zeros();
        let links = super::mapped(size_of::<Link>() << shift);
        Self { tail: CachePadded::default(), head: CachePadded::default(), links, shift }
    }

    pub(super) fn links(&self) -> usize {
        1 << self.shift
    }

    #[inline(always)]
    fn link(&self, position: u64) -> &Link {
        let slot = (position & ((1 << self.shift) - 1)) as usize;
        // SAFETY: there are `1 << shift` links in the mapping.
        let link = unsafe { self.links.as_ptr().cast::<Link>().add(slot) };
        // SAFETY: aligned, for the mapping is page-aligned; only ever used as a link, whose words are atomics, good when
        // zeroed; mapped as long as `self` lives.
        unsafe { &*link }
    }

    #[inline(always)]
    fn state(&self, position: u64) -> u64 {
        self.link(position).state.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn free(&self, position: u64) -> u64 {
        position >> self.shift << LAP_SHIFT
    }

    #[inline(always)]
    fn full(&self, position: u64) -> u64 {
        self.free(position) | FULL
    }

    #[inline(always)]
    pub(super) fn is_over(&self, position: u64) -> bool {
        self.state(position) > self.full(position)
    }

    /// Claims `count` positions, if they are all free.
    #[inline(always)]
    pub(super) fn claim(&self, count: u64) -> Option<u64> {
        let backoff = Backoff::new();
        loop {
            let tail = self.tail.load(Ordering::Acquire);
            if (tail..tail + count).any(|position| self.state(position) != self.free(position)) {
                if self.tail.load(Ordering::Acquire) == tail {
                    return None;
                }
                continue;
            }
            if won(&self.tail, tail, count) {
                return Some(tail);
            }
            backoff.spin();
        }
    }

    #[inline(always)]
    pub(super) fn commit(&self, position: u64, place: Place) {
        let link = self.link(position);
        link.place.store((place.lane as u64) << LANE_SHIFT | place.offset as u64, Ordering::Relaxed);
        link.len.store(place.len as u64, Ordering::Relaxed);
        link.state.store(self.full(position), Ordering::Release);
    }

    #[inline(always)]
    pub(super) fn take(&self) -> Option<u64> {
        let taken = self.take_many(1);
        taken.map(|positions| positions.start)
    }

    /// Takes up to `most` positions.
    #[inline(always)]
    pub(super) fn take_many(&self, most: u64) -> Option<Range<u64>> {
        let backoff = Backoff::new();
        loop {
            let head = self.head.load(Ordering::Acquire);
            let is_full = |position: &u64| self.state(*position) == self.full(*position);
            let count = (head..head + most).take_while(is_full).count() as u64;
            if count == 0 {
                if self.head.load(Ordering::Acquire) == head && !self.is_coming(head) {
                    return None;
                }
                continue;
            }
            if won(&self.head, head, count) {
                return Some(head..head + count);
            }
            backoff.spin();
        }
    }

    /// Whether a position that is not committed has become so; it is looked for a while if it is claimed.
    #[cold]
    fn is_coming(&self, position: u64) -> bool {
        self.tail.load(Ordering::Acquire) > position
            && (0..PENDING_LOOKS).any(|_| {
                std::hint::spin_loop();
                self.state(position) != self.free(position)
            })
    }

    #[inline(always)]
    pub(super) fn place(&self, position: u64) -> Place {
        let link = self.link(position);
        let place = link.place.load(Ordering::Relaxed);
        Place {
            lane: (place >> LANE_SHIFT) as usize,
            offset: (place & ((1 << LANE_SHIFT) - 1)) as usize,
            len: link.len.load(Ordering::Relaxed) as usize,
        }
    }

    #[inline(always)]
    pub(super) fn release(&self, position: u64) {
        let next = self.free(position) + (1 << LAP_SHIFT);
        self.link(position).state.store(next, Ordering::Release);
    }
}

#[inline(always)]
fn won(cursor: &AtomicU64, from: u64, count: u64) -> bool {
    cursor.compare_exchange(from, from + count, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}
