//! The part of a file that decides about its messages: hashed for the seal, counted, and dropped.
//! All by `pread` and `pwrite`, under the attach lock and without participants.

use std::fs::File;
use std::io;
use std::mem::offset_of;

use crate::lane::ring::Ring;
use crate::layout::order::{EntryWord, Head, PackedFrameRef, SlotKind, SlotState, Tail, position_limit};
use crate::layout::{
    CURSORS_OFFSET, ConsumerWords, Cursors, DONE_OFFSET, DONE_RANGES, DoneRange, Framing, Geometry, LEAD,
    Order, OrderCursors, OriginWords, OwnerWords, POSITION_LIMIT, PREAMBLE_LEN, REGISTRY_OFFSET,
    RegistryEntry, Slot, commit,
};
use crate::queue::hash::Hash;
use crate::shm;

/// Bytes that are read at a time.
const AT_ONCE: u64 = 1 << 16;

/// A file whose preamble was checked.
pub(super) struct Contents<'a> {
    pub(super) file: &'a File,
    pub(super) geometry: &'a Geometry,
}

/// The cursors of an SPSC queue.
#[derive(Clone, Copy)]
struct SpscWords {
    tail: u64,
    head: u64,
    released: u64,
    taken: u64,
    redo: [u64; 2],
}

impl Contents<'_> {
    /// A hash of everything that decides which messages are delivered, and of their bytes; none if
    /// there are more than `most` bytes of them, or if words have invalid values. Two files of one
    /// queue with the same hash deliver the same messages.
    pub(super) fn hash(&self, most: u64) -> io::Result<Option<u64>> {
        let mut hash = Hash::new();
        hash.bytes(&self.bytes(0, PREAMBLE_LEN as u64)?);
        let is_whole = match self.geometry.order {
            None => self.hash_spsc(&mut hash, most)?,
            Some(order) => self.hash_mpmc(&mut hash, order, most)?,
        };
        Ok(is_whole.then(|| hash.finish()))
    }

    /// How many messages seem to be there, delivered or not, as far as they can be counted.
    pub(super) fn count(&self) -> io::Result<u64> {
        let Some(order) = self.geometry.order else {
            let words = self.spsc_words()?;
            let Framing::Variable = self.geometry.framing else {
                return Ok(words.tail.saturating_sub(words.released).min(self.geometry.capacity));
            };
            let mut count = 0;
            self.walk(words.released, |_| count += 1)?;
            return Ok(count);
        };
        let mut count = 0;
        self.each_slot(order, |_, state, place| {
            count += u64::from(state.kind() != SlotKind::Free && place.len() <= self.geometry.max_payload);
            Ok(())
        })?;
        Ok(count)
    }

    /// Makes the queue empty, at a position after `used` and after all positions in its words, so
    /// that none is used twice. Everything else about the queue stays. Returns the position of the
    /// next message: the first one of a lap.
    pub(super) fn clear(&self, used: u64) -> io::Result<u64> {
        match self.geometry.order {
            None => self.clear_spsc(used),
            Some(order) => self.clear_mpmc(order),
        }
    }

    // SPSC

    fn spsc_words(&self) -> io::Result<SpscWords> {
        let consumer = offset_of!(Cursors, consumer);
        let word = |offset: usize| self.word((CURSORS_OFFSET + offset) as u64);
        Ok(SpscWords {
            tail: word(offset_of!(Cursors, tail))?,
            head: word(offset_of!(Cursors, head))?,
            released: word(consumer + offset_of!(ConsumerWords, released))?,
            taken: word(consumer + offset_of!(ConsumerWords, taken))?,
            redo: [
                word(consumer + offset_of!(ConsumerWords, redelivered_until))?,
                word(consumer + offset_of!(ConsumerWords, redelivery_count))?,
            ],
        })
    }

    fn hash_spsc(&self, hash: &mut Hash, most: u64) -> io::Result<bool> {
        let words = self.spsc_words()?;
        let SpscWords { tail, head, released, taken, redo } = words;
        [tail, head, released, taken, redo[0], redo[1]].into_iter().for_each(|word| hash.word(word));
        // What was released out of order.
        hash.bytes(&self.bytes(DONE_OFFSET as u64, (REGISTRY_OFFSET - DONE_OFFSET) as u64)?);
        let Geometry { capacity, stride, lane_offset, .. } = *self.geometry;
        let is_near = tail.abs_diff(released) <= capacity;
        if !is_near || !self.geometry.is_boundary(tail) || !self.geometry.is_boundary(released) {
            return Ok(false);
        }
        let ring = self.geometry.ring_bytes();
        // The number of bytes, the index of the ring at which they begin, and the offset of index 0
        // in the file.
        let (from, len, start) = match self.geometry.framing {
            Framing::Fixed { .. } => {
                let len = tail.saturating_sub(released) * stride;
                (released % capacity * stride, len, lane_offset + LEAD as u64)
            }
            Framing::Variable => {
                // A producer that was killed may have committed frames after `tail`. And the word
                // after the last frame has to be 0: it says that no frame follows.
                let Some(end) = self.walk(tail.max(released), |_| {})? else { return Ok(false) };
                let len = end - released + commit::WORD;
                (released % capacity, len, lane_offset + LEAD as u64 - commit::WORD)
            }
        };
        if len > ring.min(most) {
            return Ok(false);
        }
        // Up to the end of the ring, and then from its beginning.
        let first = len.min(ring - from);
        for (at, len) in [(start + from, first), (start, len - first)] {
            self.each_piece(at, len, |piece| {
                hash.bytes(piece);
                Ok(())
            })?;
        }
        Ok(true)
    }

    /// Walks over committed variable-size frames; returns where they end, or none if a word is
    /// invalid where it is.
    fn walk(&self, from: u64, mut on_frame: impl FnMut(u64)) -> io::Result<Option<u64>> {
        let ring: Ring<{ commit::WORD }> = Ring::new(self.geometry);
        if from > POSITION_LIMIT + 2 * ring.capacity() || !from.is_multiple_of(ring.granule()) {
            return Ok(None);
        }
        let mut position = from;
        while position - from < ring.capacity() {
            let at = self.geometry.lane_offset + LEAD as u64 + ring.index(position) - commit::WORD;
            let word = self.word(at)?;
            position = match word {
                commit::NONE => return Ok(Some(position)),
                commit::PADDING if ring.index(position) != 0 => position + ring.rest(position),
                _ => {
                    let len = commit::message_len(word);
                    let Some(end) = len.and_then(|len| ring.checked_end(position, len)) else {
                        return Ok(None);
                    };
                    on_frame(position);
                    end
                }
            };
        }
        Ok(None)
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
        // Positions may begin anew.
        shm::write_at(self.file, &[0; DONE_RANGES * size_of::<DoneRange>()], DONE_OFFSET as u64)?;
        // No message is committed at the position of the next one.
        self.put(lane_offset + LEAD as u64 - commit::WORD, commit::NONE)?;
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

    // MPMC

    fn hash_mpmc(&self, hash: &mut Hash, order: Order, most: u64) -> io::Result<bool> {
        let cursors = CURSORS_OFFSET as u64;
        // A queue may be closed by a process that does not attach: the mark does not concern
        // messages.
        hash.word(Tail(self.word(cursors + offset_of!(OrderCursors, tail) as u64)?).position());
        hash.word(Head(self.word(cursors + offset_of!(OrderCursors, head) as u64)?).position());
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
        self.each_slot(order, |_, state, place| {
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

    fn registry(&self, order: Order) -> io::Result<Vec<u8>> {
        self.bytes(REGISTRY_OFFSET as u64, order.participants * size_of::<RegistryEntry>() as u64)
    }

    /// The offset of a frame in the file; none if it is invalid, as that of a tombstone.
    pub(super) fn payload(&self, order: Order, place: PackedFrameRef) -> Option<u64> {
        let Geometry { lane_offset, lane_len, max_payload, .. } = *self.geometry;
        let (lane, end) = (place.lane() as u64, place.offset().checked_add(place.len())?);
        let fits = lane < order.participants && place.len() <= max_payload && end <= lane_len;
        fits.then(|| lane_offset + lane * lane_len + place.offset())
    }

    pub(super) fn each_slot(
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

    fn clear_mpmc(&self, order: Order) -> io::Result<u64> {
        let cursors = CURSORS_OFFSET as u64;
        let (tail_at, head_at) = (
            cursors + offset_of!(OrderCursors, tail) as u64,
            cursors + offset_of!(OrderCursors, head) as u64,
        );
        let limit = position_limit(order.slots.trailing_zeros());
        let (tail, head) = (Tail(self.word(tail_at)?), Head(self.word(head_at)?));
        let mut lap = tail.position().max(head.position()) / order.slots;
        self.each_slot(order, |_, state, _| {
            lap = lap.max(state.lap());
            Ok(())
        })?;
        let next = (lap + 2).saturating_mul(order.slots);
        let start = if next < limit { next } else { 0 };
        let own = offset_of!(RegistryEntry, own);
        for (index, entry) in self.registry(order)?.chunks_exact(size_of::<RegistryEntry>()).enumerate() {
            let at = (REGISTRY_OFFSET + index * size_of::<RegistryEntry>()) as u64;
            let word = EntryWord(word_in(entry, offset_of!(RegistryEntry, word))).cleaned();
            self.put(at + offset_of!(RegistryEntry, word) as u64, word.0)?;
            // The participant that takes the entry makes sure that its lane is on the disk.
            self.put(at + offset_of!(RegistryEntry, lane_ready) as u64, 0)?;
            self.put(at + (own + offset_of!(OwnerWords, claim_intent)) as u64, 0)?;
            self.put(at + (own + offset_of!(OwnerWords, take_intent)) as u64, 0)?;
        }
        let links = order.slots as usize * size_of::<Slot>();
        let free = SlotState::free(start / order.slots).0.to_ne_bytes();
        let mut bytes = vec![0; links];
        bytes.chunks_exact_mut(size_of::<Slot>()).for_each(|link| link[..8].copy_from_slice(&free));
        shm::write_at(self.file, &bytes, order.slots_offset)?;
        self.put(head_at, Head::at(start).0)?;
        let closed = tail.0 & Tail::CLOSED;
        self.put(tail_at, Tail::at(start).0 | closed)?;
        Ok(start)
    }

    // Reading and writing

    pub(super) fn put(&self, at: u64, word: u64) -> io::Result<()> {
        shm::write_word(self.file, word, at)
    }

    pub(super) fn word(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes, at)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    pub(super) fn bytes(&self, at: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        self.fill(&mut bytes, at)?;
        Ok(bytes)
    }

    fn each_piece(
        &self,
        at: u64,
        len: u64,
        mut on_piece: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; len.min(AT_ONCE) as usize];
        let mut done = 0;
        while done < len {
            let piece = &mut buffer[..(len - done).min(AT_ONCE) as usize];
            self.fill(piece, at + done)?;
            on_piece(piece)?;
            done += piece.len() as u64;
        }
        Ok(())
    }

    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match shm::read_exact_at(self.file, buffer, at)? {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn word_in(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
