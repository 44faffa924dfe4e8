//! Attaching to and detaching from a registry entry. The caller takes and releases the liveness
//! lock.

use super::crash_point::crash_point;
use super::{HeldSlot, OrderRing};
use crate::layout::order::{EntryRole, Intent, SlotKind};
use crate::sync::Ordering;

impl OrderRing {
    /// Attaches the caller, who holds the liveness lock of entry `me`, to that entry. False if
    /// residue of a dead owner is still in it: then the caller must release the liveness lock, for
    /// it makes the dead owner look alive, and the entry must be recovered first.
    pub(crate) fn attach(&self, me: usize, role: EntryRole, pid: u32, since_ns: u64) -> bool {
        let entry = &self.entries[me];
        let word = self.entry_word(me);
        if word.is_dirty() {
            return false;
        }
        // Another participant may since have claimed what the last owner intended: under a living
        // liveness lock it would look like an intent of this one.
        entry.own.claim_intent.store(Intent::NONE.0, Ordering::Release);
        entry.own.take_intent.store(Intent::NONE.0, Ordering::Release);
        entry.pid.store(pid.into(), Ordering::Relaxed);
        entry.since_ns.store(since_ns, Ordering::Relaxed);
        let (own, before) = (&entry.own, &entry.before);
        for (counter, before) in [
            (&own.sent, &before.sent),
            (&own.received, &before.received),
            (&own.redelivered, &before.redelivered),
            (&own.full, &before.full),
            (&own.rejected, &before.rejected),
        ] {
            // Only the owner counts, and the entry is the caller's alone now. If the caller dies
            // here, the next owner redoes it.
            before.store(counter.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        crash_point();
        // DIRTY before the first intent.
        entry.word.store(word.attached(role).0, Ordering::Release);
        true
    }

    /// Detaches from entry `me`, and rejects every frame that its owner still holds. The liveness
    /// lock must be held until after that.
    pub(crate) fn detach(&self, me: usize) {
        let word = self.entry_word(me);
        if word.role() == EntryRole::Consumer {
            for slot in 0..self.slots.len() {
                let state = self.state(slot);
                if state.kind() == SlotKind::Held && state.owner() == me {
                    let position = self.position(state, slot);
                    self.reject(HeldSlot { position, redeliveries: state.redeliveries() });
                }
            }
        }
        crash_point();
        self.entries[me].word.store(word.cleaned().0, Ordering::Release);
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

    pub(crate) fn set_lane_ready(&self, lane: usize) {
        self.entries[lane].lane_ready.store(1, Ordering::Release);
    }
}
