//! The slots of an MPMC queue, read by a process that is not attached.

use std::mem::offset_of;
use std::ops::Range;

use super::header::QueueKind;
use super::orphans::orphaned;
use super::participants::Registry;
use super::snapshot::{Backlog, Cursors, HeldFrame, MAX_LISTED, PendingPosition, cursors};
use super::source::{Source, Words};
use crate::error::{Corrupted, InspectError};
use crate::layout::order::{PackedFrameRef, SlotKind, SlotState, Tail};
use crate::layout::{
    CURSORS_OFFSET, EVENTS_OFFSET, EventWords, Geometry, Order, OrderCursors, OriginWords, QueueEventWords,
    Slot as SlotWords, Waiters,
};
use crate::order_ring::SentDeadLetter;
use crate::queue::DeadLetter;

pub(super) const SLOT_LEN: usize = size_of::<SlotWords>();
const ORIGIN_LEN: usize = size_of::<OriginWords>();
/// Slots per read: 64 KiB.
const AT_ONCE: u64 = 1024;
/// The maximum number of slots that are read again because they seem invalid: in a busy queue, most
/// of them are only newer than the `tail` that was read.
pub(super) const MAX_SUSPECTS: usize = 1024;

/// The contents of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) position: u64,
    pub(super) state: SlotState,
    pub(super) place: PackedFrameRef,
    pub(super) len: u64,
}

impl Seen {
    fn new(words: &Words<impl AsRef<[u8]>>, slot: u64, order: Order) -> Self {
        let state = SlotState(words.at(offset_of!(SlotWords, state)));
        let place = PackedFrameRef(words.at(offset_of!(SlotWords, frame)));
        Self {
            // A corrupt lap loses bits here; the position that results shows the corruption.
            position: state.lap() << order.slots.trailing_zeros() | slot,
            state,
            place,
            len: place.len(),
        }
    }

    /// Reads a slot. The caller checks whether it still belongs to the expected position.
    pub(super) fn read(source: &Source, order: Order, slot: u64) -> Result<Self, InspectError> {
        let at = order.slots_offset + slot * SLOT_LEN as u64;
        Ok(Self::new(&source.words(at, SLOT_LEN)?, slot, order))
    }

    /// The origin that is stored with a dead letter. The caller checks whether the slot still
    /// belongs to the position.
    pub(super) fn letter(&self, source: &Source, order: Order) -> Result<Option<DeadLetter>, InspectError> {
        let slot = self.position & (order.slots - 1);
        if slot >= order.origins() {
            return Ok(None);
        }
        let words = source.words(order.extras_offset() + slot * ORIGIN_LEN as u64, ORIGIN_LEN)?;
        let is_own = words.at(offset_of!(OriginWords, of)) == self.position.wrapping_add(1);
        let uuid = offset_of!(OriginWords, uuid);
        Ok(is_own.then(|| {
            DeadLetter::new(SentDeadLetter {
                origin: (words.at(offset_of!(OriginWords, position)), [words.at(uuid), words.at(uuid + 8)]),
                redeliveries: words.at(offset_of!(OriginWords, redeliveries)),
                holder: words.at(offset_of!(OriginWords, holder)),
                at_ns: words.at(offset_of!(OriginWords, at_ns)),
            })
        }))
    }

    /// The payload's offset in the file; `None` if the reference is invalid.
    pub(super) fn payload(&self, geometry: &Geometry, order: Order) -> Option<u64> {
        let (lane, offset) = (self.place.lane() as u64, self.place.offset());
        let end = offset.checked_add(self.len)?;
        let fits = lane < order.lanes() && self.len <= geometry.max_payload && end <= geometry.lane_len;
        fits.then(|| geometry.lane_offset + lane * geometry.lane_len + offset)
    }

    /// The word that no participant could have stored, if there is one. `before` is the tail before
    /// the slot was read, and `(head, after)` are head and tail after it.
    fn invalid(
        &self,
        geometry: &Geometry,
        order: Order,
        before: u64,
        (head, after): (u64, u64),
    ) -> Option<(&'static str, u64)> {
        if self.state.kind() == SlotKind::Held && self.state.owner() as u64 >= order.participants {
            return Some(("owner in the slot", self.state.0));
        }
        let lap_of = |position: u64| position.saturating_add(order.slots);
        let is_free = self.state.kind() == SlotKind::Free;
        // A position is claimed only after the one that is the maximum of messages before it was
        // released, so no slot is further behind `tail`; and a slot is released for the next lap only
        // after its position was claimed.
        let is_too_low = self.position.saturating_add(order.max_messages) < before;
        let is_ahead = self.position >= if is_free { lap_of(after) } else { after };
        // A frame that is or was held has been taken: `head` had moved past it before.
        let is_taken = matches!(self.state.kind(), SlotKind::Held | SlotKind::Redeliver);
        if is_too_low || is_ahead || is_taken && self.position >= head {
            return Some(("state of the slot", self.state.0));
        }
        // Only a HELD slot has an owner, and only a frame that was delivered before has a count.
        let (has_owner, has_count) = (self.state.owner() != 0, self.state.redeliveries() != 0);
        let is_odd = match self.state.kind() {
            SlotKind::Free | SlotKind::Full => has_owner || has_count,
            SlotKind::Redeliver => has_owner,
            SlotKind::Held => false,
        };
        if is_odd {
            return Some(("state of the slot", self.state.0));
        }
        match self.state.kind() {
            SlotKind::Free => None,
            _ => match self.payload(geometry, order) {
                None => Some(("reference to the frame", self.place.0)),
                Some(_) => None,
            },
        }
    }
}

/// Reads all slots in order, `AT_ONCE` at a time.
pub(super) fn for_each(
    source: &Source,
    order: Order,
    mut see: impl FnMut(Seen) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    let mut slot = 0;
    while slot < order.slots {
        let count = AT_ONCE.min(order.slots - slot);
        let words = source.words(order.slots_offset + slot * SLOT_LEN as u64, count as usize * SLOT_LEN)?;
        for (slot, words) in (slot..).zip(words.pieces(SLOT_LEN)) {
            see(Seen::new(&words, slot, order))?;
        }
        slot += count;
    }
    Ok(())
}

/// What a scan of all slots finds.
#[derive(Default)]
pub(super) struct Found {
    pub(super) backlog: Backlog,
    pub(super) held: Vec<HeldFrame>,
    pub(super) pending: Vec<PendingPosition>,
    /// How many frames each entry holds.
    pub(super) holds: Vec<u64>,
    pub(super) corruption: Vec<Corrupted>,
}

/// Head and tail, read now.
pub(super) fn head_and_tail(source: &Source) -> Result<(u64, u64), InspectError> {
    match cursors(&source.head_page()?, QueueKind::Mpmc) {
        Cursors::Mpmc { tail, head } => Ok((head, tail)),
        Cursors::Spsc { .. } | Cursors::Broadcast { .. } => {
            unreachable!("asked for the cursors of the other kind")
        }
    }
}

pub(super) fn scan(source: &Source, order: Order, registry: &Registry) -> Result<Found, InspectError> {
    let (head, tail) = head_and_tail(source)?;
    let mut found = Found { holds: vec![0; order.participants as usize], ..Found::default() };
    let mut suspects = Vec::new();
    let mut orphans = Vec::new();
    let mut waiting = 0_u64;
    let mut held = 0_u64;
    for_each(source, order, |seen| {
        // A claim may be newer than this tail: a slot that seems invalid is read again below.
        if suspects.len() < MAX_SUSPECTS
            && seen.invalid(&source.geometry, order, tail, (head, tail)).is_some()
        {
            suspects.push(seen);
        }
        // Bounded, because the check of each one goes through all entries.
        let is_looked_at = orphans.len() < MAX_SUSPECTS && found.pending.len() < MAX_LISTED;
        if is_looked_at && (registry.lacks_lane(&seen) || registry.has_left(&seen, (head, tail))) {
            orphans.push(seen);
        }
        let backlog = &mut found.backlog;
        match seen.state.kind() {
            SlotKind::Free if seen.position < tail => {
                backlog.pending += 1;
                pend(&mut found.pending, seen.position, false, registry);
            }
            SlotKind::Free => return Ok(()),
            SlotKind::Full => {
                waiting += 1;
                if seen.position < head {
                    pend(&mut found.pending, seen.position, true, registry);
                }
            }
            SlotKind::Redeliver => {
                waiting += 1;
                backlog.redeliveries += 1;
            }
            SlotKind::Held => {
                held += 1;
                hold(&mut found.held, &mut found.holds, &seen);
            }
        }
        backlog.used += 1;
        if seen.state.kind() != SlotKind::Free {
            backlog.bytes = backlog.bytes.saturating_add(seen.len.min(source.geometry.max_payload));
        }
        Ok(())
    })?;
    found.backlog.waiting = Some(waiting);
    found.backlog.held = Some(held);
    found.backlog.capacity = order.max_messages;
    found.held.sort_unstable_by_key(|frame| frame.position);
    found.pending.sort_unstable_by_key(|one| one.position);
    found.corruption = corruption(source, order, (head, tail), &suspects)?;
    found.corruption.extend(orphaned(source, order, registry, &orphans)?);
    found.corruption.extend(closed_in_part(source)?);
    Ok(found)
}

fn hold(list: &mut Vec<HeldFrame>, holds: &mut [u64], seen: &Seen) {
    let entry = seen.state.owner();
    if let Some(count) = holds.get_mut(entry) {
        *count += 1;
    }
    if list.len() < MAX_LISTED {
        let redeliveries = seen.state.redeliveries();
        list.push(HeldFrame { position: seen.position, entry, redeliveries, len: seen.len });
    }
}

fn pend(list: &mut Vec<PendingPosition>, position: u64, is_take: bool, registry: &Registry) {
    if list.len() < MAX_LISTED {
        let covers = |intents: &[Range<u64>; 2]| intents[usize::from(is_take)].contains(&position);
        let entry = registry.intents.iter().position(covers);
        list.push(PendingPosition { position, is_take, entry });
    }
}

/// Reads the suspects again: a slot that changed while it was read is no corruption.
fn corruption(
    source: &Source,
    order: Order,
    (head, tail): (u64, u64),
    suspects: &[Seen],
) -> Result<Vec<Corrupted>, InspectError> {
    let mut corruption = Vec::new();
    let (_, after) = head_and_tail(source)?;
    if head > after {
        corruption.push(source.corrupted("head", after, head));
    }
    let limit = crate::layout::order::position_limit(order.slots.trailing_zeros());
    if tail > limit.saturating_add(order.slots).saturating_add(256) {
        corruption.push(source.corrupted("tail", tail, tail));
    }
    for seen in suspects {
        let slot = seen.position & (order.slots - 1);
        let again = Seen::read(source, order, slot)?;
        // Its fields may be those of the slot's next position: then this shows that it has moved
        // on.
        let last = Seen::read(source, order, slot)?;
        let after = head_and_tail(source)?;
        if (seen.state, again.state) == (again.state, last.state)
            && let Some((word, found)) = again.invalid(&source.geometry, order, tail, after)
        {
            corruption.push(source.corrupted(word, again.position, found));
        }
    }
    Ok(corruption)
}

/// A `tail` that says that the queue is closed, and an eventcount that does not: a close marks the
/// eventcount first.
pub(super) fn closed_in_part(source: &Source) -> Result<Option<Corrupted>, InspectError> {
    let tail = Tail(source.word((CURSORS_OFFSET + offset_of!(OrderCursors, tail)) as u64)?);
    let waiting = offset_of!(QueueEventWords, messages) + offset_of!(EventWords, waiters);
    let is_wrong = tail.is_closed() && !Waiters(source.word((EVENTS_OFFSET + waiting) as u64)?).is_closed();
    Ok(is_wrong.then(|| source.corrupted("tail", tail.position(), tail.0)))
}
