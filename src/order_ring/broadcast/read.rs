//! What a consumer sees at a position.

use super::BroadcastRing;
use crate::layout::order::SlotState;
use crate::order_ring::{FrameRef, OrderRing};
use crate::sync::{Ordering, fence};

/// What is at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A message. A consumer whose cursor does not keep the position has to validate it after its
    /// copy: [`BroadcastRing::is_intact`].
    Frame(FrameRef),
    /// Nothing, and nothing will come: its producer died. Without a cursor that keeps the position,
    /// that has to be validated, too: a takeover stores the same state a lap later.
    Tombstone,
    /// Nothing yet.
    Nothing,
    /// A message of a later lap: the position is over.
    Over,
}

impl BroadcastRing {
    /// What is at this position.
    #[inline(always)]
    pub(crate) fn see(&self, position: u64) -> Seen {
        let step = self.order.slot_at(position);
        // SYNC commit
        let state = step.state();
        if state == SlotState::full(step.lap) {
            return Seen::Frame(OrderRing::frame_ref(step.slot));
        }
        Self::see_rest(state, step.lap)
    }

    /// Like [`see`](Self::see), for a consumer without a cursor: a tombstone is one.
    #[inline(always)]
    pub(crate) fn see_unkept(&self, position: u64) -> Seen {
        match self.see(position) {
            Seen::Tombstone if !self.is_intact(position) => Seen::Over,
            seen => seen,
        }
    }

    #[inline]
    fn see_rest(state: SlotState, lap: u64) -> Seen {
        // Wrapping: a corrupt word must not cause a panic.
        if state == SlotState::free(lap.wrapping_add(1)) {
            Seen::Tombstone
        } else if state.lap() > lap {
            Seen::Over
        } else {
            Seen::Nothing
        }
    }

    /// Whether the position is committed, a tombstone, or over.
    #[inline]
    pub(crate) fn is_settled(&self, position: u64) -> bool {
        let step = self.order.slot_at(position);
        let state = step.state();
        state == SlotState::full(step.lap) || state.lap() > step.lap
    }

    /// Whether a consumer may begin at this position: all positions before it are claimed. Of one
    /// writer that died before it stored `tail`, those are that it has committed.
    pub(crate) fn is_reached(&self, position: u64) -> bool {
        let tail = self.newest();
        let is_full = |more: u64| matches!(self.see(tail.wrapping_add(more)), Seen::Frame(_));
        position <= tail
            || (self.has_one_writer()
                && position - tail <= self.order.count()
                && (0..position - tail).all(is_full))
    }

    /// Whether the position is claimed and not committed.
    pub(crate) fn is_uncommitted(&self, position: u64) -> bool {
        !self.has_one_writer() && position < self.newest() && !self.is_settled(position)
    }

    /// After a copy by atomic loads: whether the copy is what was committed at this position. After
    /// a slot's state was loaded: whether it is about this position.
    #[inline(always)]
    pub(crate) fn is_intact(&self, position: u64) -> bool {
        // A load of the copy that has seen a byte of a later frame comes before this fence.
        fence(Ordering::Acquire);
        // SYNC over: a consumer that sees that the position is over sees `floor` after it, too.
        self.free() <= position
    }
}
