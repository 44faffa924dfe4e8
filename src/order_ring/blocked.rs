//! Which participant blocks a position.

use super::intent::IntentKind;
use super::{EntrySet, LivenessProbe, OrderRing};
use crate::layout::order::SlotKind;

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
                self.blocked_by_intent(position, IntentKind::Claim, probe, dead)
            }
            SlotKind::Full if position < self.head().position() => {
                self.blocked_by_intent(position, IntentKind::Take, probe, dead)
            }
            _ => Blocked::No,
        };
        // Read again: the participant that blocked the position may have moved the slot and then
        // ended.
        if self.state(slot) == state { found } else { Blocked::No }
    }

    /// By a living participant, if any whose intent covers the position is alive: then recovery
    /// leaves the position alone.
    pub(super) fn blocked_by_intent(
        &self,
        position: u64,
        kind: IntentKind,
        probe: &impl LivenessProbe,
        dead: &mut EntrySet,
    ) -> Blocked {
        let mut found = Blocked::No;
        for index in self.covering(position, kind) {
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
