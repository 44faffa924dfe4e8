//! The slots, lanes and registry of an MPMC or broadcast queue.

use std::io;
use std::mem::offset_of;

use super::{Contents, word_in};
use crate::layout::order::{Head, PackedFrameRef, SlotKind, SlotState, Tail};
use crate::layout::{
    CURSORS_OFFSET, Geometry, Order, OrderCursors, OriginWords, OwnerWords, RARE_OFFSET, REGISTRY_OFFSET,
    RETAINED_OFFSET, Rare, RegistryEntry, Retained, Slot,
};
use crate::queue::file::hash::Hash;

impl Contents<'_> {
    pub(super) fn hash_mpmc(&self, hash: &mut Hash, order: Order, most: u64) -> io::Result<bool> {
        let cursors = CURSORS_OFFSET as u64;
        // A queue may be closed by a process that does not attach: the mark does not concern
        // messages.
        hash.word(Tail(self.word(cursors + offset_of!(OrderCursors, tail) as u64)?).position());
        let free = self.free(order)?;
        match free {
            Some(free) => hash.word(free),
            None => hash.word(Head(self.word(cursors + offset_of!(OrderCursors, head) as u64)?).position()),
        }
        // Only attached participants change these.
        hash.word(self.word(cursors + offset_of!(OrderCursors, done) as u64)?);
        for offset in
            [offset_of!(Rare, skipped), offset_of!(Rare, skip_target), offset_of!(Rare, skip_position)]
        {
            hash.word(self.word((RARE_OFFSET + offset) as u64)?);
        }
        let own = offset_of!(RegistryEntry, own);
        for entry in self.registry(order)?.chunks_exact(size_of::<RegistryEntry>()) {
            for offset in [
                offset_of!(RegistryEntry, word),
                offset_of!(RegistryEntry, lane_ready),
                own + offset_of!(OwnerWords, claim_intent),
                own + offset_of!(OwnerWords, take_intent),
            ] {
                hash.word(word_in(entry, offset));
            }
        }
        self.each_piece(order.extras_offset(), order.origins() * size_of::<OriginWords>() as u64, |piece| {
            hash.bytes(piece);
            Ok(())
        })?;
        let mut frames = Vec::new();
        self.each_slot(order, |slot, state, place| {
            let position = state.lap().wrapping_mul(order.slots).wrapping_add(slot);
            // The bytes of what is over may be written by any producer.
            if free.is_some_and(|free| position < free) {
                return Ok(());
            }
            hash.word(state.0);
            // A dead producer's claim may leave a position without a frame; the reference in a free
            // slot means nothing.
            hash.word(if state.kind() == SlotKind::Free { 0 } else { place.0 });
            if state.kind() != SlotKind::Free {
                frames.push(place);
            }
            Ok(())
        })?;
        let mut left = most;
        for place in frames {
            let Some(at) = self.payload(order, place) else { continue };
            let Some(rest) = left.checked_sub(place.len()) else { return Ok(false) };
            left = rest;
            self.each_piece(at, place.len(), |piece| {
                hash.bytes(piece);
                Ok(())
            })?;
        }
        Ok(true)
    }

    /// Makes `unfinished` messages the ones that `join` waits for, in a queue whose next position is
    /// `tail`, and withdraws the record of a tombstone.
    pub(in crate::queue::file::boot) fn set_unfinished(&self, tail: u64, unfinished: u64) -> io::Result<()> {
        let rare = |offset: usize| (RARE_OFFSET + offset) as u64;
        self.put(rare(offset_of!(Rare, skip_position)), 0)?;
        let done = self.word((CURSORS_OFFSET + offset_of!(OrderCursors, done)) as u64)?;
        // Wrapping: the words may be anything after a power loss.
        let skipped = tail.wrapping_sub(done).wrapping_sub(unfinished);
        self.put(rare(offset_of!(Rare, skipped)), skipped)
    }

    /// Broadcast: messages before this position are over.
    pub(super) fn free(&self, order: Order) -> io::Result<Option<u64>> {
        let at = (RETAINED_OFFSET + offset_of!(Retained, free)) as u64;
        order.broadcast.map(|_| self.word(at)).transpose()
    }

    pub(super) fn registry(&self, order: Order) -> io::Result<Vec<u8>> {
        self.bytes(REGISTRY_OFFSET as u64, order.participants * size_of::<RegistryEntry>() as u64)
    }

    /// The offset of a frame in the file; none if it is invalid, as that of a tombstone.
    pub(in crate::queue::file::boot) fn payload(&self, order: Order, place: PackedFrameRef) -> Option<u64> {
        let Geometry { lane_offset, lane_len, max_payload, .. } = *self.geometry;
        let (lane, end) = (place.lane() as u64, place.offset().checked_add(place.len())?);
        let fits = lane < order.lanes() && place.len() <= max_payload && end <= lane_len;
        fits.then(|| lane_offset + lane * lane_len + place.offset())
    }

    pub(in crate::queue::file::boot) fn each_slot(
        &self,
        order: Order,
        mut on_link: impl FnMut(u64, SlotState, PackedFrameRef) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut slot = 0;
        self.each_piece(order.slots_offset, order.slots * size_of::<Slot>() as u64, |piece| {
            for link in piece.chunks_exact(size_of::<Slot>()) {
                let state = SlotState(word_in(link, offset_of!(Slot, state)));
                on_link(slot, state, PackedFrameRef(word_in(link, offset_of!(Slot, frame))))?;
                slot += 1;
            }
            Ok(())
        })
    }
}
