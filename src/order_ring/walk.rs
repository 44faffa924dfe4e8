//! The slots of consecutive positions.

use super::OrderRing;
use crate::layout::Slot;
use crate::layout::order::SlotState;
use crate::sync::Ordering;

/// A position's slot and the position's lap, which a run provides without computing them for each
/// position.
#[derive(Clone, Copy)]
pub(super) struct SlotAt<'a> {
    pub(super) slot: &'a Slot,
    pub(super) lap: u64,
}

impl SlotAt<'_> {
    /// `SYNC commit`, `SYNC release`: everything before the store of the state that is seen is seen
    /// too.
    #[inline(always)]
    pub(super) fn state(self) -> SlotState {
        SlotState(self.slot.state.load(Ordering::Acquire))
    }
}

impl OrderRing {
    #[inline(always)]
    pub(super) fn slot_at(&self, position: u64) -> SlotAt<'_> {
        SlotAt { slot: self.slot(position), lap: self.lap(position) }
    }

    /// The slots of `count` positions from `first` on, but no more than there are slots.
    ///
    /// Returns two stretches, so that going through a run is little code: a loop over the steps of
    /// one stretch, inside a loop over both. An iterator over all steps would have the body of the
    /// loop twice, or out of line.
    #[inline(always)]
    pub(super) fn run(&self, first: u64, count: u64) -> [SlotRun<'_>; 2] {
        let (slot, lap, count) = (self.index_of(first), self.lap(first), count.min(self.count()) as usize);
        let (before, from) = self.slots.split_at(slot);
        let here = count.min(from.len());
        let next = count.saturating_sub(here).min(before.len());
        // Wrapping: a corrupt word must not cause a panic.
        let next_lap = lap.wrapping_add(1);
        [SlotRun { slots: &from[..here], lap }, SlotRun { slots: &before[..next], lap: next_lap }]
    }
}

/// Adjacent slots of one lap.
#[derive(Clone, Copy)]
pub(super) struct SlotRun<'a> {
    slots: &'a [Slot],
    lap: u64,
}

impl<'a> SlotRun<'a> {
    #[inline(always)]
    pub(super) fn steps(self) -> impl Iterator<Item = SlotAt<'a>> {
        self.slots.iter().map(move |slot| SlotAt { slot, lap: self.lap })
    }
}

/// Counts the steps of a run before the first for which `is_so` is false.
#[inline(always)]
pub(super) fn count_while(run: [SlotRun<'_>; 2], is_so: impl Fn(SlotAt<'_>) -> bool) -> u64 {
    let mut count = 0;
    for stretch in run {
        for step in stretch.steps() {
            if !is_so(step) {
                return count;
            }
            count += 1;
        }
    }
    count
}
