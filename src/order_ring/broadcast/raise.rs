//! Raising `floor` and `free`: how room is made.

use super::{BroadcastProducer, BroadcastRing};
use crate::order_ring::crash_point::crash_point;
use crate::order_ring::intent::IntentKind;
use crate::order_ring::{Blocked, EntrySet, LivenessProbe};
use crate::sync::{Ordering, fence};

/// Part of what is retained that a raise gives up, besides what is needed.
const STEP: u64 = 8;

/// The lowest cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    /// The registry entry.
    pub(crate) entry: usize,
    /// Where its cursor stands.
    pub(crate) position: u64,
}

/// What a raise has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raise {
    /// The positions are over.
    Done,
    /// A consumer's cursor is in the way.
    Held(Gate),
    /// This position was claimed and is not committed.
    Uncommitted(u64),
    /// The positions do not exist: a cursor is corrupt.
    Beyond,
}

impl BroadcastProducer<'_> {
    /// Tries to make all positions below `target` over. Allocates nothing.
    #[cold]
    #[inline(never)]
    pub(crate) fn raise(self, target: u64) -> Raise {
        let (ring, known) = (self.ring, &self.state.gate);
        let free = ring.free();
        if free >= target {
            return Raise::Done;
        }
        // Who was in the way last is likely to be so still; no need to read all the others.
        if let Some(entry) = known.get()
            && let Some(position) = ring.cursor_of(entry)
            && position < target
            && position <= free
        {
            return Raise::Held(Gate { entry, position });
        }
        let done = ring.raise(target);
        known.set(match done {
            Raise::Held(gate) => Some(gate.entry),
            _ => None,
        });
        done
    }
}

impl BroadcastProducer<'_> {
    /// The cursor that was in the way last, where it stands now.
    pub(crate) fn known_gate(self) -> Option<Gate> {
        let entry = self.state.gate.get()?;
        self.ring.cursor_of(entry).map(|position| Gate { entry, position })
    }
}

impl BroadcastRing {
    fn raise(&self, target: u64) -> Raise {
        let free = self.free();
        let tail = self.newest();
        let mut want = target.saturating_add(tail.saturating_sub(free) / STEP).min(tail);
        // After `tail`: each position below it that is not committed is covered by an intent.
        let uncommitted = if self.has_one_writer() { None } else { self.first_uncommitted(want) };
        want = uncommitted.unwrap_or(want).min(want);
        let gate = self.gate();
        want = gate.map_or(want, |gate| want.min(gate.position));
        let missed = match (gate, uncommitted) {
            _ if want >= target => None,
            (Some(gate), _) if gate.position == want => Some(Raise::Held(gate)),
            (_, Some(position)) => Some(Raise::Uncommitted(position)),
            _ => Some(Raise::Beyond),
        };
        // As far as it goes: a batch may do with less.
        if let Some(missed) = missed
            && (missed == Raise::Beyond || want <= free)
        {
            return missed;
        }
        crash_point();
        self.retained.floor.fetch_max(want, Ordering::AcqRel);
        crash_point();
        // Orders the announcement before the second reading of the cursors; a join orders its
        // cursor before its reading of `floor`.
        fence(Ordering::SeqCst);
        let gate = self.gate();
        let over = gate.map_or(want, |gate| want.min(gate.position));
        crash_point();
        // SYNC over
        self.retained.free.fetch_max(over, Ordering::AcqRel);
        match (missed, gate) {
            (Some(missed), _) => missed,
            (None, Some(gate)) if over < target => Raise::Held(gate),
            (None, _) => Raise::Done,
        }
    }

    /// The lowest cursor, if there is any.
    pub(crate) fn gate(&self) -> Option<Gate> {
        let cursors = (self.producers..self.order.entries.len())
            .filter_map(|entry| self.cursor_of(entry).map(|position| Gate { entry, position }));
        cursors.min_by_key(|gate| gate.position)
    }

    /// The lowest position below `end` that an intent covers and that is not committed.
    fn first_uncommitted(&self, end: u64) -> Option<u64> {
        let unmoved = |entry| self.unsettled(entry).find(|position| *position < end);
        (0..self.producers).filter_map(unmoved).min()
    }

    /// The positions of the intent of an entry that are not committed, in order.
    pub(super) fn unsettled(&self, entry: usize) -> impl Iterator<Item = u64> + '_ {
        self.order.intent(entry, IntentKind::Claim).positions().filter(|position| !self.is_settled(*position))
    }

    /// Whether the owner of a gate is why positions below `target` are not over. The owner is put
    /// into `dead` if it is.
    #[cold]
    pub(crate) fn blocked_by_gate(
        &self,
        entry: usize,
        target: u64,
        probe: &impl LivenessProbe,
        dead: &mut EntrySet,
    ) -> Blocked {
        let stands = || self.cursor_of(entry).is_some_and(|position| position < target);
        if !stands() {
            return Blocked::No;
        }
        let (word, is_alive) = (self.order.entry_word(entry), probe.is_alive(entry));
        // Read again: the owner may have moved the cursor and then ended.
        if !stands() || self.order.entry_word(entry) != word {
            Blocked::No
        } else if is_alive || !word.is_dirty() {
            Blocked::ByLiving
        } else {
            dead.insert(entry);
            Blocked::ByDead
        }
    }

    /// Why a position is not committed. Producers that are found dead are put into `dead`.
    pub(super) fn blocked_position(
        &self,
        position: u64,
        probe: &impl LivenessProbe,
        dead: &mut EntrySet,
    ) -> Blocked {
        if self.is_settled(position) || position >= self.newest() {
            return Blocked::No;
        }
        let found = self.order.blocked_by_intent(position, IntentKind::Claim, probe, dead);
        if self.is_settled(position) { Blocked::No } else { found }
    }
}
