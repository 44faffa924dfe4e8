//! Who holds up a position.

use super::{EntrySet, LivenessProbe, OrderRing};
use crate::layout::order::{Intent, SlotKind};
use crate::sync::{AtomicU64, Ordering};

/// What stands in the way of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Nothing that another one's death would explain; look again.
    No,
    /// A participant that is alive.
    ByLiving,
    /// Somebody who is dead: recovery will help.
    ByDead,
}

impl OrderRing {
    /// Why the link of `position` does not move on, as seen a moment ago. Who is found dead is put into `dead`.
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
        // Once more: whoever was in the way may have moved the link and then ended.
        if self.state(slot) == state { found } else { Blocked::No }
    }

    /// By a living one, if any of those is that mean to move the position: recovery leaves it alone then.
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
            // An intent outlives its owner's stay: in an entry that is clean it means nothing.
            if self.entry_word(index).is_dirty() {
                dead.insert(index);
                found = Blocked::ByDead;
            }
        }
        found
    }
}
