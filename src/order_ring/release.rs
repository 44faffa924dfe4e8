//! Gives back frames in flight: releases them, or returns them to the queue.
//!
//! In any order, from any thread: the operations are methods of [`Entry`], since the frames are
//! those that its owner holds.

use super::crash_point::crash_point;
use super::{Entry, OrderRing};
use crate::layout::order::SlotState;
use crate::sync::Ordering;

/// One frame in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldSlot {
    pub(crate) position: u64,
    /// How many times it was delivered before.
    pub(crate) redeliveries: u64,
}

impl<L> Entry<L> {
    /// Releases the frame: it is no longer needed.
    #[inline(always)]
    pub(crate) fn release(&self, held: HeldSlot) {
        self.ring().release(held);
    }

    /// Releases the frames at `positions`.
    #[inline(always)]
    pub(crate) fn release_all(&self, positions: impl Iterator<Item = u64>) {
        self.ring().release_all(positions);
    }

    /// Returns the frame to the queue, to be redelivered, or drops it if frames are delivered at
    /// most once.
    pub(crate) fn reject(&self, held: HeldSlot) {
        self.ring().reject(held);
    }

    /// Returns a frame that was not read to the queue, to be delivered with the same number of
    /// redeliveries as before; also where frames are delivered at most once, since this one was not
    /// delivered.
    pub(crate) fn put_back(&self, held: HeldSlot) {
        self.ring().put_back(held);
    }
}

impl OrderRing {
    /// The frame at a position in flight, as [`release`](Entry::release) and
    /// [`reject`](Entry::reject) need it.
    pub(crate) fn held_at(&self, position: u64) -> HeldSlot {
        HeldSlot { position, redeliveries: self.state_at(position).redeliveries() }
    }

    /// Releases the frame: it is no longer needed.
    #[inline(always)]
    pub(super) fn release(&self, held: HeldSlot) {
        let free = SlotState::free(self.lap(held.position) + 1);
        // SYNC release: the guard's reads come before it.
        self.slot(held.position).state.store(free.0, Ordering::Release);
    }

    /// Releases the frames at `positions`.
    #[inline(always)]
    pub(super) fn release_all(&self, positions: impl Iterator<Item = u64>) {
        // Values that do not change, in locals so that the compiler does not assume that the stores
        // change them.
        let (slots, mask, shift) = (&*self.slots, self.mask, self.shift);
        for position in positions {
            let free = SlotState::free((position >> shift) + 1);
            // SYNC release: the guard's reads come before it.
            slots[(position & mask) as usize].state.store(free.0, Ordering::Release);
            crash_point();
        }
    }

    /// Returns the frame to the queue, to be redelivered, or drops it if frames are delivered at
    /// most once.
    pub(super) fn reject(&self, held: HeldSlot) {
        if self.policy.at_most_once {
            return self.release(held);
        }
        let slot = self.index_of(held.position);
        if !self.extras.holders.is_empty() {
            self.note_holder(slot, self.state(slot).owner());
        }
        let state = SlotState::redeliver(self.lap(held.position), held.redeliveries + 1);
        self.slot(held.position).state.store(state.0, Ordering::Release);
        crash_point();
        self.bump_redelivery_epoch();
    }

    /// Returns a frame that was not read to the queue, to be delivered with the same number of
    /// redeliveries as before; also where frames are delivered at most once, since this one was not
    /// delivered.
    ///
    /// The slot is HELD by the caller, so that no other participant moves it, and one store makes
    /// it REDELIVER. REDELIVER with any count, 0 included, is a state that others meet already:
    /// recovery makes REDELIVER 0 of a take that was not marked. A caller that dies before the
    /// store leaves the slot HELD, and recovery counts a redelivery.
    pub(super) fn put_back(&self, held: HeldSlot) {
        let state = SlotState::redeliver(self.lap(held.position), held.redeliveries);
        self.slot(held.position).state.store(state.0, Ordering::Release);
        crash_point();
        self.bump_redelivery_epoch();
    }

    /// Makes every consumer find all slots that became REDELIVER before. (`SYNC redelivery`)
    pub(super) fn bump_redelivery_epoch(&self) {
        self.rare.redelivery_epoch.fetch_add(1, Ordering::AcqRel);
    }
}
