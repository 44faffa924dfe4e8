//! Which positions given participants hold, for errors.

use super::OrderRing;
use crate::layout::order::SlotKind;

impl OrderRing {
    /// How many slots these participants hold, and the oldest position; none if they hold nothing.
    /// Reads every slot.
    #[cold]
    pub(crate) fn held_by(&self, participants: &[usize]) -> Option<(u64, u64)> {
        let positions = (0..self.slots.len()).filter_map(|slot| {
            let state = self.state(slot);
            let is_held = state.kind() == SlotKind::Held && participants.contains(&state.owner());
            is_held.then(|| self.position(state, slot))
        });
        positions.fold(None, |found: Option<(u64, u64)>, position| match found {
            None => Some((1, position)),
            Some((count, oldest)) => Some((count + 1, oldest.min(position))),
        })
    }
}
