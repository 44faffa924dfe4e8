//! One writer: what a new one does with what its predecessor left.

use super::BroadcastRing;
use crate::layout::order::{SlotState, Tail};
use crate::order_ring::crash_point::crash_point;
use crate::sync::Ordering;

impl BroadcastRing {
    /// Continues after a writer that may have died anywhere: returns the position of the next
    /// message. The caller holds the liveness lock of the writer's entry, and has claimed nothing.
    ///
    /// What follows `tail` without a gap was committed, though `tail` was not stored: consumers may
    /// have read it. What follows a gap is part of a batch that does not exist, and that no consumer
    /// has passed the gap to see.
    pub(crate) fn take_over(&self) -> u64 {
        let order = &self.order;
        let old = self.newest();
        let is_full = |position: u64| {
            let step = order.slot_at(position);
            step.state() == SlotState::full(step.lap)
        };
        let count = order.count();
        // Wrapping: a corrupt word must not cause a panic.
        let found = (0..count).take_while(|more| is_full(old.wrapping_add(*more))).count() as u64;
        let tail = old.wrapping_add(found);
        for position in (0..count).map(|more| tail.wrapping_add(more)).filter(|one| is_full(*one)) {
            let step = order.slot_at(position);
            step.slot.state.store(SlotState::free(step.lap).0, Ordering::Release);
            crash_point();
        }
        order.cursors.tail.store(Tail::at(tail).0, Ordering::Release);
        tail
    }
}
