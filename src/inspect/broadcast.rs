//! The slots and cursors of a broadcast queue, read by a process that is not attached.

use std::mem::offset_of;
use std::ops::Range;

use super::participants::{self, Registry};
use super::slots::{Found, MAX_SUSPECTS, Seen, closed_in_part, for_each};
use super::snapshot::{MAX_LISTED, PendingPosition};
use super::source::Source;
use crate::error::{Corrupted, InspectError};
use crate::layout::order::{EntryRole, SlotKind, Tail, position_limit};
use crate::layout::{Broadcast, CURSORS_OFFSET, Geometry, Order, OrderCursors, RETAINED_OFFSET, Retained};

/// The cursors, each read after those that never pass it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) free: u64,
    pub(super) floor: u64,
    pub(super) tail: u64,
}

impl At {
    pub(super) fn read(source: &Source) -> Result<Self, InspectError> {
        let free = free(source)?;
        let floor = source.word((RETAINED_OFFSET + offset_of!(Retained, floor)) as u64)?;
        let tail = source.word((CURSORS_OFFSET + offset_of!(OrderCursors, tail)) as u64)?;
        Ok(Self { free, floor, tail: Tail(tail).position() })
    }

    /// Positions below it may be committed: those of one writer before it has stored `tail`.
    fn end(self, order: Order) -> u64 {
        let claimable = self.free.saturating_add(order.max_messages);
        if has_one_writer(order) { claimable.max(self.tail) } else { self.tail }
    }

    /// The cursor that no participant could have stored, if there is one. `later` was read after it.
    fn invalid(self, later: Self, order: Order) -> Option<(&'static str, u64)> {
        let limit = position_limit(order.slots.trailing_zeros());
        if self.tail > limit.saturating_add(order.slots).saturating_add(256) {
            Some(("tail", self.tail))
        } else if self.floor > self.tail {
            Some(("floor", self.floor))
        } else if self.free > self.floor || self.tail.saturating_sub(later.free) > order.max_messages {
            // A position is claimed only after the one that is the maximum of messages before it was over.
            Some(("free", self.free))
        } else {
            None
        }
    }
}

/// Positions below it may be overwritten.
pub(super) fn free(source: &Source) -> Result<u64, InspectError> {
    source.word((RETAINED_OFFSET + offset_of!(Retained, free)) as u64)
}

fn has_one_writer(order: Order) -> bool {
    order.broadcast.is_some_and(|broadcast| broadcast.producers == 1)
}

/// The position of the slot that is below `tail` and neither committed nor a tombstone, if there is
/// one. A committed slot of the lap before is one that was claimed for this lap.
fn uncommitted(seen: &Seen, order: Order, tail: u64) -> Option<u64> {
    let position = match seen.state.kind() {
        SlotKind::Full => seen.position.saturating_add(order.slots),
        _ => seen.position,
    };
    (position < tail).then_some(position)
}

/// The word of a slot that no participant could have stored, if there is one. `before` was read
/// before the slot, and `after` after it.
fn invalid(
    seen: &Seen,
    geometry: &Geometry,
    order: Order,
    before: At,
    after: At,
) -> Option<(&'static str, u64)> {
    let state = seen.state;
    let wrong = Some(("state of the slot", state.0));
    if state.owner() != 0 || state.redeliveries() != 0 {
        return wrong;
    }
    // All positions that are over are committed, or tombstones; of one writer, all before `tail`.
    let settled = if has_one_writer(order) { before.tail.max(before.free) } else { before.free };
    if uncommitted(seen, order, settled).is_some() {
        return wrong;
    }
    match state.kind() {
        // Also the tombstone of a claimed position.
        SlotKind::Free if seen.position < after.tail.saturating_add(order.slots) => None,
        SlotKind::Full if seen.position < after.end(order) => {
            let is_aligned = seen.place.offset().is_multiple_of(geometry.align);
            let is_right = is_aligned && seen.payload(geometry, order).is_some();
            (!is_right).then_some(("reference to the frame", seen.place.0))
        }
        _ => wrong,
    }
}

pub(super) fn scan(
    source: &Source,
    order: Order,
    broadcast: Broadcast,
    registry: &Registry,
) -> Result<Found, InspectError> {
    let at = At::read(source)?;
    let mut found = Found { holds: vec![0; order.participants as usize], ..Found::default() };
    let (mut suspects, mut orphans) = (Vec::new(), Vec::new());
    for_each(source, order, |seen| {
        // It may be newer than these cursors: a slot that seems invalid is read again below.
        if suspects.len() < MAX_SUSPECTS && invalid(&seen, &source.geometry, order, at, at).is_some() {
            suspects.push(seen);
        }
        let pending = uncommitted(&seen, order, at.tail);
        if orphans.len() < MAX_SUSPECTS
            && (pending.is_some_and(|position| registry.claimant(position).is_none())
                || registry.lacks_lane(&seen))
        {
            orphans.push(seen);
        }
        if let Some(position) = pending {
            found.backlog.pending += 1;
            if found.pending.len() < MAX_LISTED {
                let entry = registry.claimant(position);
                found.pending.push(PendingPosition { position, is_take: false, entry });
            }
        } else if seen.state.kind() == SlotKind::Full && (at.floor..at.tail).contains(&seen.position) {
            let len = seen.len.min(source.geometry.max_payload);
            found.backlog.bytes = found.backlog.bytes.saturating_add(len);
        }
        Ok(())
    })?;
    found.pending.sort_unstable_by_key(|one| one.position);
    hold(&mut found, at, order, registry);
    found.corruption = corruption(source, order, at, &suspects)?;
    found.corruption.extend(orphaned(source, order, registry, &orphans)?);
    found.corruption.extend(entries(source, order, broadcast, registry)?);
    found.corruption.extend(closed_in_part(source)?);
    Ok(found)
}

/// What is retained, and what is kept for consumers.
fn hold(found: &mut Found, at: At, order: Order, registry: &Registry) {
    let kept = |from: u64| at.tail.saturating_sub(from).min(order.max_messages);
    let readings = || registry.participants.iter().filter_map(|one| Some((one.entry, one.reading?)));
    for (entry, reading) in readings() {
        let holds = reading.holds_from.map_or(0, |from| reading.next.saturating_sub(from));
        if let Some(count) = found.holds.get_mut(entry) {
            *count = holds.min(order.max_messages);
        }
    }
    found.backlog.waiting = Some(kept(at.floor));
    found.backlog.held = Some(found.holds.iter().sum());
    found.backlog.used = readings().filter_map(|(_, one)| one.holds_from).map(kept).max().unwrap_or(0);
    found.backlog.capacity = order.max_messages;
}

/// Reads what seems invalid again: words that changed while they were read are no corruption.
fn corruption(
    source: &Source,
    order: Order,
    before: At,
    suspects: &[Seen],
) -> Result<Vec<Corrupted>, InspectError> {
    let mut corruption = Vec::new();
    let later = At::read(source)?;
    if before.invalid(later, order).is_some()
        && let Some((word, found)) = later.invalid(At::read(source)?, order)
    {
        corruption.push(source.corrupted(word, later.tail, found));
    }
    for seen in suspects {
        let slot = seen.position & (order.slots - 1);
        let again = Seen::read(source, order, slot)?;
        // Its fields may be those of the slot's next position: then this shows that it has moved on.
        let last = Seen::read(source, order, slot)?;
        let after = At::read(source)?;
        if again.state == last.state
            && let Some((word, found)) = invalid(&again, &source.geometry, order, before, after)
        {
            corruption.push(source.corrupted(word, again.position, found));
        }
    }
    Ok(corruption)
}

/// Finds positions that no producer will ever commit, since no intent covers them, and references to lanes
/// that no producer has made ready.
///
/// A producer covers a position with its intent before `tail` moves and until it has moved the slot. So if
/// the slot is the same before and after the registry was read, then the registry shows the producer.
fn orphaned(
    source: &Source,
    order: Order,
    before: &Registry,
    orphans: &[Seen],
) -> Result<Vec<Corrupted>, InspectError> {
    let mut corruption = Vec::new();
    if orphans.is_empty() {
        return Ok(corruption);
    }
    let tail = At::read(source)?.tail;
    let mut suspects = Vec::new();
    for seen in orphans {
        suspects.push(Seen::read(source, order, seen.position & (order.slots - 1))?);
    }
    let after = participants::mpmc(source, order)?;
    for (seen, again) in orphans.iter().zip(suspects) {
        let last = Seen::read(source, order, seen.position & (order.slots - 1))?;
        if seen.state != again.state || again.state != last.state {
            continue;
        }
        let is_left = |position| before.claimant(position).is_none() && after.claimant(position).is_none();
        if after.lacks_lane(seen) {
            corruption.push(source.corrupted("reference to the frame", seen.position, seen.place.0));
        } else if let Some(position) = uncommitted(seen, order, tail).filter(|one| is_left(*one)) {
            let word = "state of the slot (claimed by no participant)";
            corruption.push(source.corrupted(word, position, seen.state.0));
        }
    }
    Ok(corruption)
}

/// Finds registry entries that no participant could have left so. Each is read once more.
fn entries(
    source: &Source,
    order: Order,
    broadcast: Broadcast,
    registry: &Registry,
) -> Result<Vec<Corrupted>, InspectError> {
    let at = At::read(source)?;
    let suspects = |registry: &Registry, at: At| -> Vec<(usize, &'static str, u64)> {
        let wrong = |entry| invalid_entry(registry, entry, broadcast, at.end(order));
        (0..registry.words.len())
            .filter_map(|entry| wrong(entry).map(|(word, found)| (entry, word, found)))
            .collect()
    };
    let first = suspects(registry, at);
    if first.is_empty() {
        return Ok(Vec::new());
    }
    let again = participants::mpmc(source, order)?;
    let last = participants::mpmc(source, order)?;
    let at = At::read(source)?;
    let is_same = |entry: usize| again.words[entry] == last.words[entry];
    Ok(suspects(&again, at)
        .into_iter()
        .filter(|(entry, ..)| is_same(*entry) && first.iter().any(|one| one.0 == *entry))
        .map(|(entry, word, found)| source.corrupted(word, entry as u64, found))
        .collect())
}

/// The word of a registry entry that is invalid, if there is one. No cursor passes `end`.
fn invalid_entry(
    registry: &Registry,
    entry: usize,
    broadcast: Broadcast,
    end: u64,
) -> Option<(&'static str, u64)> {
    let (word, cursor) = (registry.words[entry], registry.cursors[entry]);
    let is_producer = (entry as u64) < broadcast.producers;
    let is_wrong_role = word.is_dirty() && (word.role() == EntryRole::Producer) != is_producer;
    if is_wrong_role {
        Some(("role in the registry entry", word.0))
    } else if cursor != 0 && (is_producer || !word.is_dirty()) {
        // The cursor is removed before the entry is free.
        Some(("cursor of an entry without a consumer", cursor))
    } else if cursor > end.saturating_add(1) {
        Some(("cursor of a consumer", cursor))
    } else if word.is_dirty() && registry.modes[entry] > 3 {
        Some(("mode of a consumer", registry.modes[entry]))
    } else {
        None
    }
}

impl Registry {
    /// The entry whose intent covers the position, if there is one.
    fn claimant(&self, position: u64) -> Option<usize> {
        let covers = |intents: &[Range<u64>; 2]| intents[0].contains(&position);
        self.intents.iter().position(covers)
    }
}
