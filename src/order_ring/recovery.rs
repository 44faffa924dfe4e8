//! One pass over registry and slots that removes the residue of dead participants.
//!
//! The pass runs under the recovery lock, so that there is one at a time. It is idempotent, and may
//! itself be killed anywhere. Tombstones are counted exactly: see [`super::tasks`].

use super::crash_point::crash_point;
use super::intent::IntentKind;
use super::{EntrySet, LivenessProbe, OrderRing};
use crate::layout::order::{SlotKind, SlotState};
use crate::sync::Ordering;

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Dead participants that the pass found.
    pub(crate) deaths: u64,
    /// Positions that they had claimed and never committed.
    pub(crate) tombstones: u64,
    /// Frames that they held, or had taken and not yet marked HELD: these are redelivered, or were
    /// dropped.
    pub(crate) requeued: u64,
    /// Entries that are free again.
    pub(crate) cleaned: u64,
}

impl OrderRing {
    /// Runs one pass. If `suspects` are given, only they are checked. The caller holds the recovery
    /// lock. Allocates no memory.
    ///
    /// Each entry and each slot is decided by itself, so that a pass over some of the dead
    /// participants is correct, as is one that was killed.
    #[cold]
    pub(crate) fn recover(&self, probe: &impl LivenessProbe, suspects: Option<&EntrySet>) -> Recovered {
        // First: a tombstone that an earlier pass recorded, before it was killed.
        let tombstones = u64::from(self.finish_tombstone());
        let dead = self.dead(probe, suspects);
        let mut done = Recovered { deaths: dead.len(), tombstones, ..Recovered::default() };
        if dead.is_empty() {
            return done;
        }
        // The cursors first, then intents and liveness locks.
        let (tail, head) = (self.tail().position(), self.head().position());
        let pass = Pass { ring: self, probe, dead: &dead, tail, head };
        for slot in 0..self.slots.len() {
            pass.recover_slot(slot, &mut done);
            crash_point();
        }
        // Always: an earlier pass may have died between its REDELIVER and this.
        self.bump_redelivery_epoch();
        crash_point();
        for index in dead.iter() {
            done.cleaned += u64::from(pass.clean(index));
            crash_point();
        }
        self.count_recovery(&done);
        done
    }

    /// Entries whose owner is dead: reads the word, then the liveness lock, then requires the same
    /// word again. If it were not read again, the owner might have detached in between and a new,
    /// living one have attached.
    pub(super) fn dead(&self, probe: &impl LivenessProbe, suspects: Option<&EntrySet>) -> EntrySet {
        let mut dead = EntrySet::EMPTY;
        let is_suspect = |index| suspects.is_none_or(|suspects| suspects.contains(index));
        for index in (0..self.entries.len()).filter(|index| is_suspect(*index)) {
            let word = self.entry_word(index);
            if word.is_dirty() && !probe.is_alive(index) && self.entry_word(index) == word {
                dead.insert(index);
            }
        }
        dead
    }

    /// Entries whose owners hold something, or whose intents cover a position that does not move.
    pub(crate) fn involved(&self) -> EntrySet {
        let mut involved = EntrySet::EMPTY;
        for slot in 0..self.slots.len() {
            let state = self.state(slot);
            if state.kind() == SlotKind::Held {
                involved.insert(state.owner());
            }
        }
        for index in 0..self.entries.len() {
            let stands_still = |kind| self.unmoved(index, kind).next().is_some();
            if stands_still(IntentKind::Claim) || stands_still(IntentKind::Take) {
                involved.insert(index);
            }
        }
        involved
    }

    pub(super) fn count_recovery(&self, done: &Recovered) {
        let rare = &*self.rare;
        rare.recoveries.fetch_add(1, Ordering::Relaxed);
        rare.deaths.fetch_add(done.cleaned, Ordering::Relaxed);
        rare.tombstones.fetch_add(done.tombstones, Ordering::Relaxed);
        rare.requeued.fetch_add(done.requeued, Ordering::Relaxed);
    }
}

/// What a pass has read at its beginning.
struct Pass<'a, P> {
    ring: &'a OrderRing,
    probe: &'a P,
    dead: &'a EntrySet,
    tail: u64,
    head: u64,
}

impl<P: LivenessProbe> Pass<'_, P> {
    fn recover_slot(&self, slot: usize, done: &mut Recovered) {
        let (ring, tail, head) = (self.ring, self.tail, self.head);
        let state = ring.state(slot);
        let position = ring.position(state, slot);
        let next = match state.kind() {
            SlotKind::Free if position < tail && !self.is_covered(position, IntentKind::Claim) => {
                done.tombstones += u64::from(ring.make_tombstone(slot, state));
                return;
            }
            // No consumer has read it: it is redelivered even if frames are delivered at most once,
            // and counts as new.
            SlotKind::Full if position < head && !self.is_covered(position, IntentKind::Take) => {
                SlotState::redeliver(state.lap(), 0)
            }
            SlotKind::Held if self.dead.contains(state.owner()) => {
                ring.note_holder(slot, state.owner());
                if ring.policy.at_most_once {
                    SlotState::free(state.lap() + 1)
                } else {
                    SlotState::redeliver(state.lap(), state.redeliveries() + 1)
                }
            }
            _ => return,
        };
        // From exactly the word that was examined: a living owner may have moved it since.
        let moved =
            ring.slots[slot].state.compare_exchange(state.0, next.0, Ordering::AcqRel, Ordering::Relaxed);
        done.requeued += u64::from(moved.is_ok());
    }

    /// Whether the intent of a living participant covers this position.
    fn is_covered(&self, position: u64, kind: IntentKind) -> bool {
        self.ring.covering(position, kind).any(|index| self.probe.is_alive(index))
    }

    /// Frees an entry whose owner was dead before the pass, unless residue of that owner is left:
    /// its intent is the only evidence of that.
    fn clean(&self, index: usize) -> bool {
        let ring = self.ring;
        // Still the dead owner's word: only a recovery changes it, and this is the only one.
        let word = ring.entry_word(index);
        let is_left = |kind, cursor| ring.unmoved(index, kind).any(|position| position < cursor);
        if is_left(IntentKind::Claim, self.tail) || is_left(IntentKind::Take, self.head) {
            return false;
        }
        let entry = &ring.entries[index];
        let cleaned =
            entry.word.compare_exchange(word.0, word.cleaned().0, Ordering::AcqRel, Ordering::Relaxed);
        cleaned.is_ok()
    }
}
