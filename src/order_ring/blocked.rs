//! Which participant blocks a position.

use super::{EntrySet, LivenessProbe, OrderRing};
use crate::layout::order::{Intent, SlotKind};
use crate::sync::{AtomicU64, Ordering};

/// What blocks a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Nothing that the death of another participant would explain; attempt again.
    No,
    /// A participant that is alive.
    ByLiving,
    /// A dead participant: recovery will help.
    ByDead,
}

impl OrderRing {
    /// Why the slot of `position` does not move on, as seen a moment ago. Participants that are
    /// found dead are put into `dead`.
    #[cold]
    pub(crate) fn blocked(&self, position: u64, probe: &impl LivenessProbe, dead: &mut EntrySet) -> Blocked {
        let slot = self.index_of(position);
        let state = self.state(slot);
        let position = self.position(state, slot);
        let found = match state.kind() {
            SlotKind::Held if state.owner() < self.entries.len() => {
                if probe.is_alive(state.owner()) {
                    Blocked::ByLiving
                } else {
                    dead.insert(state.owner());
                    Blocked::ByDead
                }
            }
            SlotKind::Free if position < self.tail().position() => {
                self.blocked_by_intent(position, probe, dead, |index| &self.entries[index].own.claim_intent)
            }
            SlotKind::Full if position < self.head().position() => {
                self.blocked_by_intent(position, probe, dead, |index| &self.entries[index].own.take_intent)
            }
            _ => Blocked::No,
        };
        // Read again: the participant that blocked the position may have moved the slot and then
        // ended.
        if self.state(slot) == state { found } else { Blocked::No }
    }

    /// By a living participant, if any whose intent covers the position is alive: then recovery
    /// leaves the position alone.
    fn blocked_by_intent<'a>(
        &self,
        position: u64,
        probe: &impl LivenessProbe,
        dead: &mut EntrySet,
        intent: impl Fn(usize) -> &'a AtomicU64,
    ) -> Blocked {
        let mut found = Blocked::No;
        for index in 0..self.entries.len() {
            if !Intent(intent(index).load(Ordering::Acquire)).positions().contains(&position) {
                continue;
            }
            if probe.is_alive(index) {
                return Blocked::ByLiving;
            }
            // An intent remains after its owner has detached: in an entry that is clean it means
            // nothing.
            if self.entry_word(index).is_dirty() {
                dead.insert(index);
                found = Blocked::ByDead;
            }
        }
        found
    }
}
