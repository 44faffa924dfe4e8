//! One pass that removes the residue of dead participants. It runs under the recovery lock, is
//! idempotent, and may itself be killed anywhere.

use super::BroadcastRing;
use crate::layout::order::{EntryRole, SlotState};
use crate::order_ring::crash_point::crash_point;
use crate::order_ring::intent::IntentKind;
use crate::order_ring::{EntrySet, LivenessProbe, Recovered};
use crate::sync::Ordering;

impl BroadcastRing {
    /// Runs one pass. If `suspects` are given, only they are checked. The caller holds the recovery
    /// lock. Allocates no memory.
    #[cold]
    pub(super) fn recover_dead(&self, probe: &impl LivenessProbe, suspects: Option<&EntrySet>) -> Recovered {
        let order = &self.order;
        let dead = order.dead(probe, suspects);
        let mut done = Recovered { deaths: dead.len(), ..Recovered::default() };
        if dead.is_empty() {
            return done;
        }
        // First: a participant that claims later claims positions after it.
        let tail = self.newest();
        for entry in dead.iter() {
            // Still the dead owner's word: only a recovery changes it, and this is the only one.
            let word = order.entry_word(entry);
            let is_settled = match word.role() {
                EntryRole::Producer => self.settle(entry, tail, probe, &mut done),
                EntryRole::Consumer => true,
            };
            // Also of a producer: a corrupt word must not hold the others up for ever.
            self.remove_cursor(entry);
            crash_point();
            if is_settled {
                let cleaned = order.entries[entry].word.compare_exchange(
                    word.0,
                    word.cleaned().0,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                done.cleaned += u64::from(cleaned.is_ok());
            }
            crash_point();
        }
        order.count_recovery(&done);
        done
    }

    /// Makes tombstones of the positions that a dead producer claimed and did not commit. True if
    /// none is left. One writer has no intent: its successor takes over.
    fn settle(&self, entry: usize, tail: u64, probe: &impl LivenessProbe, done: &mut Recovered) -> bool {
        let order = &self.order;
        for position in self.unsettled(entry).filter(|position| *position < tail) {
            let step = order.slot_at(position);
            let state = step.state();
            let is_covered =
                || order.covering(position, IntentKind::Claim).any(|index| probe.is_alive(index));
            if self.is_settled(position) || is_covered() {
                continue;
            }
            // From exactly the word that was examined: a participant that was alive a moment ago
            // may have committed since.
            let tombstone = SlotState::free(step.lap.wrapping_add(1));
            let moved =
                step.slot.state.compare_exchange(state.0, tombstone.0, Ordering::AcqRel, Ordering::Relaxed);
            done.tombstones += u64::from(moved.is_ok());
            crash_point();
        }
        !self.unsettled(entry).any(|position| position < tail)
    }

    /// Producers whose intents cover a position that is not committed.
    pub(super) fn entries_involved(&self) -> EntrySet {
        let mut involved = EntrySet::EMPTY;
        for entry in (0..self.producers).filter(|entry| self.unsettled(*entry).next().is_some()) {
            involved.insert(entry);
        }
        involved
    }
}
