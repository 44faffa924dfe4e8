//! How full the ring is, now or a moment ago.

use super::OrderRing;
use super::walk::count_while;
use crate::lane::Corruption;
use crate::layout::order::{Head, SlotKind, SlotState, Tail};
use crate::sync::Ordering;

impl OrderRing {
    /// Counts the positions from `first` on, `most` at most, up to the first whose frame may still
    /// be needed. The bytes and the slots of the counted positions may be reused.
    pub(crate) fn count_reusable(&self, first: u64, most: u64) -> u64 {
        // SYNC release
        let count = count_while(self.run(first, most), |step| step.state().lap() > step.lap);
        if count == most {
            // They are likely to be asked for next, and to be claimed soon.
            self.prefetch_slots(first + count, most);
        }
        count
    }

    /// Whether the frame at this position is no longer needed.
    pub(crate) fn is_reusable(&self, position: u64) -> bool {
        // SYNC release
        self.state_at(position).lap() > self.lap(position)
    }

    /// The number of positions that are claimed and not taken yet, now or a moment ago.
    ///
    /// The cursors may be further apart than there can be messages: recovery frees positions of dead
    /// producers at and after `head`, which moves over them only with the next take, and both cursors
    /// may move between the two loads.
    pub(crate) fn backlog(&self) -> u64 {
        let head = self.head().position();
        self.tail().position().saturating_sub(head).min(self.max_messages())
    }

    /// The number of frames that were taken and not released: held, about to be marked HELD, or to
    /// be redelivered. Scans all slots.
    pub(crate) fn held(&self) -> u64 {
        // What is taken after this head was read is in the backlog, or not counted.
        let head = self.head().position();
        let is_out = |slot: usize| {
            let state = self.state(slot);
            match state.kind() {
                SlotKind::Free => false,
                SlotKind::Full => self.position(state, slot) < head,
                SlotKind::Held | SlotKind::Redeliver => true,
            }
        };
        (0..self.slots.len()).filter(|slot| is_out(*slot)).count() as u64
    }

    /// The number of messages that wait for a consumer, including those to be redelivered, now or a
    /// moment ago.
    pub(crate) fn waiting(&self) -> u64 {
        let is_redelivery = |slot: &usize| self.state(*slot).kind() == SlotKind::Redeliver;
        let again = match self.rare.redelivery_epoch.load(Ordering::Relaxed) {
            0 => 0,
            _ => (0..self.slots.len()).filter(is_redelivery).count() as u64,
        };
        // They are loaded one after the other.
        (self.backlog() + again).min(self.max_messages())
    }

    /// Checks the cursors, which no operation checks again.
    pub(crate) fn check(&self) -> Result<(), Corruption> {
        let (head, tail) = (self.head().position(), self.tail().position());
        let corruption = |word, found| Err(Corruption { word, position: tail, found });
        if tail > self.limit + self.count() + 256 {
            return corruption("tail", tail);
        }
        // `tail` was read last, so that it cannot be lower.
        if head > tail { corruption("head", head) } else { Ok(()) }
    }

    /// Whether all that was ever claimed has been taken.
    pub(crate) fn is_drained(&self) -> bool {
        let tail = self.tail();
        self.head().position() >= tail.position()
    }

    /// The position at which the next claim would begin, a moment ago.
    pub(crate) fn next_claim(&self) -> u64 {
        Tail(self.cursors.tail.load(Ordering::Relaxed)).position()
    }

    /// Whether there was something at `head` a moment ago: a frame, or a position to skip that may
    /// have a frame after it.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "only tasks pass wakes on"))]
    pub(crate) fn has_more(&self) -> bool {
        let position = self.head().position();
        let (state, lap) = (self.state_at(position), self.lap(position));
        state == SlotState::full(lap) || state.lap() > lap
    }

    /// The position that is taken next, a moment ago.
    pub(crate) fn next_take(&self) -> u64 {
        Head(self.cursors.head.load(Ordering::Relaxed)).position()
    }
}
