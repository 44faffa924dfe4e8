//! What any participant may read of the registry, without a liveness lock.

use super::{Blocked, EntrySet, LivenessProbe, OrderRing, Recovered};
use crate::lane::Corruption;
use crate::layout::order::{EntryRole, EntryWord, SlotKind};
use crate::sync::Ordering;

/// What a kind of order ring does with its participants.
pub(crate) trait Registry: Clone {
    /// The slots and the registry.
    fn order(&self) -> &OrderRing;

    /// Checks the cursors, which no operation checks again.
    fn check(&self) -> Result<(), Corruption>;

    /// Entries in the order in which a participant of that role should try them.
    fn candidates(&self, role: EntryRole) -> Vec<usize>;

    /// How many entries participants of that role may take.
    fn capacity(&self, role: EntryRole) -> usize;

    /// Entries whose owners others would wait for, if they were dead.
    fn involved(&self) -> EntrySet;

    /// Removes the residue of dead participants; see [`OrderRing::recover`].
    fn recover(&self, probe: &impl LivenessProbe, suspects: Option<&EntrySet>) -> Recovered;

    /// Which participant blocks a position; see [`OrderRing::blocked`].
    fn blocked(&self, position: u64, probe: &impl LivenessProbe, dead: &mut EntrySet) -> Blocked;

    /// Detaches from entry `me`, whose liveness lock the caller holds.
    fn detach(&self, me: usize);
}

impl Registry for OrderRing {
    fn order(&self) -> &OrderRing {
        self
    }

    fn check(&self) -> Result<(), Corruption> {
        self.check()
    }

    fn candidates(&self, role: EntryRole) -> Vec<usize> {
        self.candidates(role)
    }

    fn capacity(&self, _role: EntryRole) -> usize {
        self.entry_count()
    }

    fn involved(&self) -> EntrySet {
        self.involved()
    }

    fn recover(&self, probe: &impl LivenessProbe, suspects: Option<&EntrySet>) -> Recovered {
        self.recover(probe, suspects)
    }

    fn blocked(&self, position: u64, probe: &impl LivenessProbe, dead: &mut EntrySet) -> Blocked {
        self.blocked(position, probe, dead)
    }

    fn detach(&self, me: usize) {
        self.detach(me);
    }
}

impl OrderRing {
    /// The number of registry entries.
    pub(crate) fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// The word of a registry entry, which contains its role.
    pub(crate) fn entry_word(&self, index: usize) -> EntryWord {
        EntryWord(self.entries[index].word.load(Ordering::Acquire))
    }

    /// Whether a living participant has that role.
    pub(crate) fn has_live(&self, role: EntryRole, probe: &impl LivenessProbe) -> bool {
        (0..self.entries.len()).any(|index| {
            let word = self.entry_word(index);
            word.is_dirty() && word.role() == role && probe.is_alive(index)
        })
    }

    /// Entries in the order in which a participant of that role should try them. Consumers start
    /// from the end, so that few lanes come into use. Producers prefer entries whose lane is ready,
    /// and among those an empty lane first.
    pub(crate) fn candidates(&self, role: EntryRole) -> Vec<usize> {
        let all = 0..self.entries.len();
        let clean = all.filter(|index| !self.entry_word(*index).is_dirty());
        match role {
            EntryRole::Consumer => clean.rev().collect(),
            EntryRole::Producer => {
                let used = self.lanes_in_use();
                let mut entries: Vec<_> = clean.collect();
                entries.sort_by_key(|index| match (self.is_lane_ready(*index), used[*index]) {
                    (true, false) => 0,
                    (false, _) => 1,
                    (true, true) => 2,
                });
                entries
            }
        }
    }

    /// Which lanes hold frames, as far as can be seen without their liveness locks.
    fn lanes_in_use(&self) -> Vec<bool> {
        let mut used = vec![false; self.entries.len()];
        for slot in 0..self.slots.len() {
            if self.state(slot).kind() != SlotKind::Free
                && let Some(used) = used.get_mut(Self::frame_ref(&self.slots[slot]).lane)
            {
                *used = true;
            }
        }
        used
    }

    /// Whether the lane has its space on the disk.
    #[inline(always)]
    pub(crate) fn is_lane_ready(&self, lane: usize) -> bool {
        self.entries[lane].lane_ready.load(Ordering::Acquire) != 0
    }
}
