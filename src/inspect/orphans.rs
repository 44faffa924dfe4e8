//! Slots of an MPMC queue that refer to what the registry does not have: a participant, or a lane.

use super::participants::{self, Registry};
use super::slots::{Seen, head_and_tail};
use super::source::Source;
use crate::error::{Corrupted, InspectError};
use crate::layout::Order;
use crate::layout::order::{EntryWord, SlotKind};

/// Finds positions that refer to lanes which no producer has made ready, and positions that neither
/// a participant nor recovery will ever move on, because no registry entry covers them.
///
/// A participant that claims or takes a position covers it with its intent before the cursor moves,
/// and until it has moved the slot (`src/order_ring/mod.rs`); and a participant that holds a frame
/// has an entry that is DIRTY. No state of a slot ever occurs again once it is left (HELD may,
/// after its owner has attached again). So if the slot is the same before and after the registry
/// was read, or the entry before and after the slot, then both had these values at the same time.
pub(super) fn orphaned(
    source: &Source,
    order: Order,
    before: &Registry,
    orphans: &[Seen],
) -> Result<Vec<Corrupted>, InspectError> {
    let mut corruption = Vec::new();
    if orphans.is_empty() {
        return Ok(corruption);
    }
    let cursors = head_and_tail(source)?;
    let mut suspects = Vec::new();
    for seen in orphans {
        suspects.push(Seen::read(source, order, seen.position & (order.slots - 1))?);
    }
    let after = participants::mpmc(source, order)?;
    for (seen, again) in orphans.iter().zip(suspects) {
        let last = Seen::read(source, order, seen.position & (order.slots - 1))?;
        let is_same = seen.state == again.state && again.state == last.state;
        let is_owner_same = before.word(seen) == after.word(seen);
        if is_same && after.lacks_lane(seen) {
            corruption.push(source.corrupted("reference to the frame", seen.position, seen.place.0));
        } else if is_same && is_owner_same && after.has_left(seen, cursors) {
            let word = match seen.state.kind() {
                SlotKind::Free => "state of the slot (claimed by no participant)",
                SlotKind::Full => "state of the slot (taken by no participant)",
                SlotKind::Held | SlotKind::Redeliver => "state of the slot (held by no participant)",
            };
            corruption.push(source.corrupted(word, seen.position, seen.state.0));
        }
    }
    Ok(corruption)
}

impl Registry {
    /// Whether no entry shows a participant that is about to move this position, or holds it.
    pub(super) fn has_left(&self, seen: &Seen, (head, tail): (u64, u64)) -> bool {
        let covers =
            |which: usize| self.intents.iter().any(|intents| intents[which].contains(&seen.position));
        match seen.state.kind() {
            SlotKind::Free => seen.position < tail && !covers(0),
            SlotKind::Full => seen.position < head && !covers(1),
            SlotKind::Held => self.words.get(seen.state.owner()).is_some_and(|word| !word.is_dirty()),
            SlotKind::Redeliver => false,
        }
    }

    /// Whether the slot refers to a lane that is not ready. A lane that is ready stays ready.
    pub(super) fn lacks_lane(&self, seen: &Seen) -> bool {
        let is_ready = || self.has_lane.get(seen.place.lane()).is_none_or(|is_ready| *is_ready);
        seen.state.kind() != SlotKind::Free && !is_ready()
    }

    /// The word of the entry whose participant holds the position, if one does.
    fn word(&self, seen: &Seen) -> Option<EntryWord> {
        match seen.state.kind() {
            SlotKind::Held => self.words.get(seen.state.owner()).copied(),
            SlotKind::Free | SlotKind::Full | SlotKind::Redeliver => None,
        }
    }
}
