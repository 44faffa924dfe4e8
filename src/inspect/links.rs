//! The links of an MPMC queue, read from outside.

use std::mem::offset_of;
use std::ops::Range;

use super::members::Registry;
use super::orphans::orphaned;
use super::snapshot::{Backlog, Cursors, HeldFrame, MOST_LISTED, PendingPosition, cursors};
use super::source::{Source, Words};
use crate::error::{Damaged, InspectError};
use crate::layout::order::{LinkKind, LinkState, Place, Tail};
use crate::layout::{
    CURSORS_OFFSET, DOORBELLS_OFFSET, Doorbell, Doorbells, Geometry, Letter, Link as LinkWords, Order,
    OrderCursors,
};
use crate::links::SentLetter;
use crate::park::says_closed;
use crate::queue::DeadLetter;

pub(super) const LINK_LEN: usize = size_of::<LinkWords>();
const LETTER_LEN: usize = size_of::<Letter>();
/// Links that are read at one go: 64 KiB.
const AT_ONCE: u64 = 1024;
/// Links that are looked at again because they seem impossible: in a busy queue, most of them are only new.
const MOST_SUSPECTS: usize = 1024;

/// What one link says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) position: u64,
    pub(super) state: LinkState,
    pub(super) place: Place,
    pub(super) len: u64,
}

impl Seen {
    fn new(words: &Words<impl AsRef<[u8]>>, slot: u64, order: Order) -> Self {
        let state = LinkState(words.at(offset_of!(LinkWords, state)));
        let place = Place(words.at(offset_of!(LinkWords, place)));
        Self {
            // A lap that makes no sense loses bits here, and is found out by the position that comes out.
            position: state.lap() << order.links.trailing_zeros() | slot,
            state,
            place,
            len: place.len(),
        }
    }

    /// Reads the link of a position; whether it still is about that position is for the caller to see.
    pub(super) fn read(source: &Source, order: Order, slot: u64) -> Result<Self, InspectError> {
        let at = order.links_offset + slot * LINK_LEN as u64;
        Ok(Self::new(&source.words(at, LINK_LEN)?, slot, order))
    }

    /// What a dead letter says of itself. Whether the link is still about that position is for the
    /// caller to see.
    pub(super) fn letter(&self, source: &Source, order: Order) -> Result<Option<DeadLetter>, InspectError> {
        let slot = self.position & (order.links - 1);
        if slot >= order.letters() {
            return Ok(None);
        }
        let words = source.words(order.beside_offset() + slot * LETTER_LEN as u64, LETTER_LEN)?;
        let is_own = words.at(offset_of!(Letter, of)) == self.position.wrapping_add(1);
        let uuid = offset_of!(Letter, uuid);
        Ok(is_own.then(|| {
            DeadLetter::new(SentLetter {
                origin: (words.at(offset_of!(Letter, position)), [words.at(uuid), words.at(uuid + 8)]),
                redeliveries: words.at(offset_of!(Letter, redeliveries)),
                holder: words.at(offset_of!(Letter, holder)),
                at_ns: words.at(offset_of!(Letter, at_ns)),
            })
        }))
    }

    /// Where the payload stands in the file; none if it cannot stand there.
    pub(super) fn payload(&self, geometry: &Geometry, order: Order) -> Option<u64> {
        let (lane, offset) = (self.place.lane() as u64, self.place.offset());
        let end = offset.checked_add(self.len)?;
        let fits = lane < order.participants && self.len <= geometry.max_payload && end <= geometry.lane_len;
        fits.then(|| geometry.lane_offset + lane * geometry.lane_len + offset)
    }

    /// The word that no participant could have stored, if there is one. `before` is the tail before this was read, and `after`
    /// head and tail after it.
    fn impossible(
        &self,
        geometry: &Geometry,
        order: Order,
        before: u64,
        (head, after): (u64, u64),
    ) -> Option<(&'static str, u64)> {
        if self.state.kind() == LinkKind::Held && self.state.owner() as u64 >= order.participants {
            return Some(("owner in the link", self.state.0));
        }
        let lap_of = |position: u64| position.saturating_add(order.links);
        let is_free = self.state.kind() == LinkKind::Free;
        // A position's link was free when it was claimed, so no link is more than a lap behind; and a link is released
        // for one lap ahead, of positions that were claimed.
        let is_behind = lap_of(self.position) < before;
        let is_ahead = self.position >= if is_free { lap_of(after) } else { after };
        // What is or was held has been taken: `head` was moved over it before.
        let is_taken = matches!(self.state.kind(), LinkKind::Held | LinkKind::Redo);
        if is_behind || is_ahead || is_taken && self.position >= head {
            return Some(("state of the link", self.state.0));
        }
        // Only who holds a frame has its number there, and only what was handed out before counts.
        let (has_owner, has_count) = (self.state.owner() != 0, self.state.redeliveries() != 0);
        let is_odd = match self.state.kind() {
            LinkKind::Free | LinkKind::Full => has_owner || has_count,
            LinkKind::Redo => has_owner,
            LinkKind::Held => false,
        };
        if is_odd {
            return Some(("state of the link", self.state.0));
        }
        match self.state.kind() {
            LinkKind::Free => None,
            _ => match self.payload(geometry, order) {
                None => Some(("place of the frame", self.place.0)),
                Some(_) => None,
            },
        }
    }
}

/// Reads all links, some at a time, in the order of their slots.
pub(super) fn for_each(
    source: &Source,
    order: Order,
    mut see: impl FnMut(Seen) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    let mut slot = 0;
    while slot < order.links {
        let count = AT_ONCE.min(order.links - slot);
        let words = source.words(order.links_offset + slot * LINK_LEN as u64, count as usize * LINK_LEN)?;
        for (slot, words) in (slot..).zip(words.pieces(LINK_LEN)) {
            see(Seen::new(&words, slot, order))?;
        }
        slot += count;
    }
    Ok(())
}

/// What a look at all links finds.
#[derive(Default)]
pub(super) struct Found {
    pub(super) backlog: Backlog,
    pub(super) held: Vec<HeldFrame>,
    pub(super) pending: Vec<PendingPosition>,
    /// How many frames each entry holds.
    pub(super) holds: Vec<u64>,
    pub(super) damage: Vec<Damaged>,
}

/// Head and tail, read now.
pub(super) fn head_and_tail(source: &Source) -> Result<(u64, u64), InspectError> {
    match cursors(&source.head_page()?, true) {
        Cursors::Mpmc { tail, head } => Ok((head, tail)),
        Cursors::Spsc { .. } => unreachable!("asked for the cursors of the other kind"),
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
        // A claim may be newer than this tail: what seems impossible is looked at again below.
        if suspects.len() < MOST_SUSPECTS
            && seen.impossible(&source.geometry, order, tail, (head, tail)).is_some()
        {
            suspects.push(seen);
        }
        // No more than are listed: for each, all entries are looked through.
        let is_looked_at = orphans.len() < MOST_SUSPECTS && found.pending.len() < MOST_LISTED;
        if is_looked_at && (registry.lacks_lane(&seen) || registry.has_left(&seen, (head, tail))) {
            orphans.push(seen);
        }
        let backlog = &mut found.backlog;
        match seen.state.kind() {
            LinkKind::Free if seen.position < tail => {
                backlog.pending += 1;
                pend(&mut found.pending, seen.position, false, registry);
            }
            LinkKind::Free => return Ok(()),
            LinkKind::Full => {
                waiting += 1;
                if seen.position < head {
                    pend(&mut found.pending, seen.position, true, registry);
                }
            }
            LinkKind::Redo => {
                waiting += 1;
                backlog.again += 1;
            }
            LinkKind::Held => {
                held += 1;
                hold(&mut found.held, &mut found.holds, &seen);
            }
        }
        backlog.used += 1;
        if seen.state.kind() != LinkKind::Free {
            backlog.bytes = backlog.bytes.saturating_add(seen.len.min(source.geometry.max_payload));
        }
        Ok(())
    })?;
    found.backlog.waiting = Some(waiting);
    found.backlog.held = Some(held);
    found.backlog.places = order.links;
    found.held.sort_unstable_by_key(|frame| frame.position);
    found.pending.sort_unstable_by_key(|one| one.position);
    found.damage = damage(source, order, (head, tail), &suspects)?;
    found.damage.extend(orphaned(source, order, registry, &orphans)?);
    found.damage.extend(closed_in_part(source)?);
    Ok(found)
}

fn hold(list: &mut Vec<HeldFrame>, holds: &mut [u64], seen: &Seen) {
    let entry = seen.state.owner();
    if let Some(count) = holds.get_mut(entry) {
        *count += 1;
    }
    if list.len() < MOST_LISTED {
        let redeliveries = seen.state.redeliveries();
        list.push(HeldFrame { position: seen.position, entry, redeliveries, len: seen.len });
    }
}

fn pend(list: &mut Vec<PendingPosition>, position: u64, is_take: bool, registry: &Registry) {
    if list.len() < MOST_LISTED {
        let covers = |intents: &[Range<u64>; 2]| intents[usize::from(is_take)].contains(&position);
        let entry = registry.intents.iter().position(covers);
        list.push(PendingPosition { position, is_take, entry });
    }
}

/// Looks again at what looked impossible: a link that was moved while it was read is none.
fn damage(
    source: &Source,
    order: Order,
    (head, tail): (u64, u64),
    suspects: &[Seen],
) -> Result<Vec<Damaged>, InspectError> {
    let mut damage = Vec::new();
    let (_, after) = head_and_tail(source)?;
    if head > after {
        damage.push(source.damaged("head", after, head));
    }
    let limit = crate::layout::order::position_limit(order.links.trailing_zeros());
    if tail > limit.saturating_add(order.links).saturating_add(256) {
        damage.push(source.damaged("tail", tail, tail));
    }
    for seen in suspects {
        let slot = seen.position & (order.links - 1);
        let again = Seen::read(source, order, slot)?;
        // Its fields may be those of the link's next position: then this shows that it has moved on.
        let last = Seen::read(source, order, slot)?;
        let after = head_and_tail(source)?;
        if (seen.state, again.state) == (again.state, last.state)
            && let Some((word, found)) = again.impossible(&source.geometry, order, tail, after)
        {
            damage.push(source.damaged(word, again.position, found));
        }
    }
    Ok(damage)
}

/// A `tail` that says that the queue is closed, and a bell that does not: who closes does that one first.
fn closed_in_part(source: &Source) -> Result<Option<Damaged>, InspectError> {
    let tail = Tail(source.word((CURSORS_OFFSET + offset_of!(OrderCursors, tail)) as u64)?);
    let waiting = offset_of!(Doorbells, messages) + offset_of!(Doorbell, waiting);
    let is_wrong = tail.is_closed() && !says_closed(source.word((DOORBELLS_OFFSET + waiting) as u64)?);
    Ok(is_wrong.then(|| source.damaged("tail", tail.position(), tail.0)))
}
