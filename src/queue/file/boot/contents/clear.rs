//! Dropping all messages.

use std::io;
use std::mem::offset_of;

use super::{Contents, word_in};
use crate::layout::order::{EntryWord, Head, SlotState, Tail, position_limit};
use crate::layout::{
    CURSORS_OFFSET, ConsumerWords, Cursors, DONE_OFFSET, Geometry, LEAD, Order, OrderCursors, OwnerWords,
    POSITION_LIMIT, REGISTRY_OFFSET, RETAINED_OFFSET, RegistryEntry, Retained, Slot, commit,
};
use crate::shm;

impl Contents<'_> {
    /// Makes the queue empty, at a position after `used` and after all positions in its words, so
    /// that none is used twice. Everything else about the queue stays. Returns the position of the
    /// next message: the first one of a lap.
    pub(in crate::queue::file::boot) fn clear(&self, used: u64) -> io::Result<u64> {
        match self.geometry.order {
            None => self.clear_spsc(used),
            Some(order) => self.clear_mpmc(order),
        }
    }

    fn clear_spsc(&self, used: u64) -> io::Result<u64> {
        let words = self.spsc_words()?;
        let Geometry { capacity, lane_offset, .. } = *self.geometry;
        let known = [used, words.tail, words.released, words.taken]
            .into_iter()
            .filter(|word| *word <= POSITION_LIMIT);
        // Index 0 of the lap after the next: a boundary for every framing.
        let next = known.max().map(|last| (last / capacity + 2) * capacity);
        let start = next.filter(|next| *next < POSITION_LIMIT).unwrap_or(0);
        // No message is committed at the position of the next one.
        self.put(lane_offset + LEAD as u64 - commit::WORD, commit::NONE)?;
        // Positions may begin anew.
        shm::write_at(self.file, &[0; REGISTRY_OFFSET - DONE_OFFSET], DONE_OFFSET as u64)?;
        let consumer = offset_of!(Cursors, consumer);
        for (offset, word) in [
            (consumer + offset_of!(ConsumerWords, redelivered_until), 0),
            (consumer + offset_of!(ConsumerWords, redelivery_count), 0),
            (consumer + offset_of!(ConsumerWords, released), start),
            (consumer + offset_of!(ConsumerWords, taken), start),
            (offset_of!(Cursors, head), start),
            (offset_of!(Cursors, tail), start),
        ] {
            self.put((CURSORS_OFFSET + offset) as u64, word)?;
        }
        Ok(start)
    }

    fn clear_mpmc(&self, order: Order) -> io::Result<u64> {
        let cursors = CURSORS_OFFSET as u64;
        let (tail_at, head_at) = (
            cursors + offset_of!(OrderCursors, tail) as u64,
            cursors + offset_of!(OrderCursors, head) as u64,
        );
        let limit = position_limit(order.slots.trailing_zeros());
        let (tail, head) = (Tail(self.word(tail_at)?), Head(self.word(head_at)?));
        // Broadcast has `floor` there.
        let second = if order.broadcast.is_some() { head.0 } else { head.position() };
        let mut lap = tail.position().max(second) / order.slots;
        self.each_slot(order, |_, state, _| {
            lap = lap.max(state.lap());
            Ok(())
        })?;
        let next = (lap + 2).saturating_mul(order.slots);
        let start = if next < limit { next } else { 0 };
        self.clear_registry(order)?;
        let links = order.slots as usize * size_of::<Slot>();
        let free = SlotState::free(start / order.slots).0.to_ne_bytes();
        let mut bytes = vec![0; links];
        bytes.chunks_exact_mut(size_of::<Slot>()).for_each(|link| link[..8].copy_from_slice(&free));
        self.write(&bytes, order.slots_offset)?;
        self.set_unfinished(start, 0)?;
        match order.broadcast {
            None => self.put(head_at, Head::at(start).0)?,
            Some(_) => {
                self.put((RETAINED_OFFSET + offset_of!(Retained, floor)) as u64, start)?;
                self.put((RETAINED_OFFSET + offset_of!(Retained, free)) as u64, start)?;
            }
        }
        let closed = tail.0 & Tail::CLOSED;
        self.put(tail_at, Tail::at(start).0 | closed)?;
        Ok(start)
    }

    /// Makes all registry entries free, and forgets which lanes are ready: the participant that takes an entry makes
    /// sure that its lane is on the disk.
    pub(in crate::queue::file::boot) fn clear_registry(&self, order: Order) -> io::Result<()> {
        let own = offset_of!(RegistryEntry, own);
        for (index, entry) in self.registry(order)?.chunks_exact(size_of::<RegistryEntry>()).enumerate() {
            let at = (REGISTRY_OFFSET + index * size_of::<RegistryEntry>()) as u64;
            let word = EntryWord(word_in(entry, offset_of!(RegistryEntry, word))).cleaned();
            self.put(at + offset_of!(RegistryEntry, word) as u64, word.0)?;
            self.put(at + offset_of!(RegistryEntry, lane_ready) as u64, 0)?;
            self.put(at + (own + offset_of!(OwnerWords, claim_intent)) as u64, 0)?;
            self.put(at + (own + offset_of!(OwnerWords, take_intent)) as u64, 0)?;
        }
        Ok(())
    }
}
