//! The messages to which the slots of an MPMC queue refer.
//!
//! Let `end` be the position after the newest kept message. Head and tail become `end`, so that all positions before it
//! were taken. The slot of a kept message says that it is to be delivered again; all other slots are free of the lap of
//! the position from `end` on that they will have next, as after a release. That is a state that a queue without
//! participants can be in, but for the lanes.
//!
//! *The lanes.* A producer that adopts a lane expects its frames in the order in which they were written, no more than
//! one turn of the ring between the oldest one and the newest. Of a lane's frames, those are kept that fit, from the
//! newest one backwards. A frame that does not fit had been released, since a later frame was written where it is, or a
//! turn later.

use std::io;
use std::mem::offset_of;
use std::ops::Range;

use super::super::contents::Contents;
use crate::lane::ring::Ring;
use crate::layout::order::{Head, PackedFrameRef, SlotKind, SlotState, Tail, position_limit};
use crate::layout::{CURSORS_OFFSET, Order, OrderCursors, REGISTRY_OFFSET, RegistryEntry, Slot};
use crate::queue::file::trailer;

/// A message that was found.
#[derive(Clone, Copy)]
struct Found {
    position: u64,
    place: PackedFrameRef,
    /// Its offset in the file.
    at: u64,
}

impl Contents<'_> {
    pub(super) fn salvage_mpmc(&self, uuid: Option<[u8; 16]>, order: Order) -> io::Result<u64> {
        let kept = self.adoptable(order, self.find_mpmc(uuid, order)?);
        let ring: Ring<0> = Ring::new(self.geometry);
        let frames = kept.iter().map(|frame| frame.at..frame.at + ring.size(frame.place.len()));
        let mut frames: Vec<Range<u64>> = frames.collect();
        frames.sort_by_key(|frame| frame.start);
        let lanes = self.geometry.lane_offset..self.geometry.file_len();
        self.wipe(lanes, frames.into_iter())?;
        match kept.last() {
            None => self.clear(0).map(|_| 0),
            Some(newest) => self.settle(order, newest.position + 1, &kept).map(|()| kept.len() as u64),
        }
    }

    /// All messages, in the order of their positions, that can have been in the queue together.
    fn find_mpmc(&self, uuid: Option<[u8; 16]>, order: Order) -> io::Result<Vec<Found>> {
        let mut seen = Vec::new();
        let limit = position_limit(order.slots.trailing_zeros());
        self.each_slot(order, |slot, state, place| {
            let position = state.lap().saturating_mul(order.slots) | slot;
            if state.kind() != SlotKind::Free && position < limit {
                seen.extend(self.payload(order, place).map(|at| Found { position, place, at }));
            }
            Ok(())
        })?;
        let mut found = Vec::new();
        for frame in seen {
            let is_proven = match uuid {
                Some(uuid) => {
                    let payload = self.bytes(frame.at, frame.place.len())?;
                    trailer::open(uuid, &payload).is_some_and(|(_, serial)| serial == frame.position)
                }
                None => true,
            };
            found.extend(is_proven.then_some(frame));
        }
        // When the newest was claimed, the position as far before it as the queue may hold messages had
        // been released, and all before that. Claims do not look at each slot that they take where that
        // is less than a lap: an older message that stayed there would be overwritten.
        let newest = found.iter().map(|frame| frame.position).max().unwrap_or(0);
        found.retain(|frame| frame.position + order.max_messages > newest);
        found.sort_by_key(|frame| frame.position);
        Ok(found)
    }

    /// Those that the producers who take over the lanes can adopt.
    fn adoptable(&self, order: Order, mut found: Vec<Found>) -> Vec<Found> {
        let ring: Ring<0> = Ring::new(self.geometry);
        let capacity = ring.capacity();
        // Of each lane: where the oldest frame so far begins, and the newest one ends. The newest one is on turn 2^32,
        // so that no position is negative.
        let mut spans: Vec<Option<Range<u64>>> = vec![None; order.participants as usize];
        found.reverse();
        found.retain(|Found { place, .. }| {
            let offset = place.offset();
            let is_possible = offset.is_multiple_of(ring.granule()) && offset < capacity;
            let Some(end) = ring.checked_end(offset, place.len()).filter(|_| is_possible) else {
                return false;
            };
            let size = end - offset;
            let span = &mut spans[place.lane()];
            let Some(Range { start: next, end }) = span.clone() else {
                let start = (capacity << 32) + offset;
                *span = Some(start..start + size);
                return true;
            };
            // The last start at or before `next - size` at that offset.
            let most = next - size;
            let start = most - (most % capacity + capacity - offset) % capacity;
            let fits = end - start <= capacity;
            if fits {
                *span = Some(start..end);
            }
            fits
        });
        found.reverse();
        found
    }

    fn settle(&self, order: Order, end: u64, kept: &[Found]) -> io::Result<()> {
        let mut slots = vec![0; order.slots as usize * size_of::<Slot>()];
        let mut put = |position: u64, state: SlotState, frame: u64| {
            let slot = (position % order.slots) as usize * size_of::<Slot>();
            slots[slot..][offset_of!(Slot, state)..][..8].copy_from_slice(&state.0.to_ne_bytes());
            slots[slot..][offset_of!(Slot, frame)..][..8].copy_from_slice(&frame.to_ne_bytes());
        };
        (end..end + order.slots).for_each(|next| put(next, SlotState::free(next / order.slots), 0));
        let mut is_used = vec![false; order.participants as usize];
        for frame in kept {
            let lap = frame.position / order.slots;
            // With at-most-once delivery they must count as never taken, or they would not be delivered.
            let state = match order.policy.at_most_once {
                true => SlotState::full(lap),
                false => SlotState::redeliver(lap, 1),
            };
            put(frame.position, state, frame.place.0);
            is_used[frame.place.lane()] = true;
        }
        // The letters of dead-letter queues are at the same slots as before.
        self.write(&slots, order.slots_offset)?;
        self.clear_registry(order)?;
        for (lane, _) in is_used.iter().enumerate().filter(|(_, is_used)| **is_used) {
            let entry = REGISTRY_OFFSET + lane * size_of::<RegistryEntry>();
            self.put((entry + offset_of!(RegistryEntry, lane_ready)) as u64, 1)?;
        }
        // Those who took a message and have not declared it done died with the machine: what is kept is
        // delivered again, and is all that is unfinished.
        self.set_unfinished(end, kept.len() as u64)?;
        let oldest = kept.first().map_or(end, |oldest| oldest.position);
        let taken = if order.policy.at_most_once { oldest } else { end };
        self.put((CURSORS_OFFSET + offset_of!(OrderCursors, head)) as u64, Head::at(taken).0)?;
        let tail = (CURSORS_OFFSET + offset_of!(OrderCursors, tail)) as u64;
        let closed = self.word(tail)? & Tail::CLOSED;
        self.put(tail, Tail::at(end).0 | closed)
    }
}
