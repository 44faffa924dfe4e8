//! The cursors and the ring of an SPSC queue.

use std::io;
use std::mem::offset_of;

use super::Contents;
use crate::lane::ring::Ring;
use crate::layout::{
    CURSORS_OFFSET, ConsumerWords, Cursors, DONE_OFFSET, Framing, Geometry, LEAD, POSITION_LIMIT,
    REGISTRY_OFFSET, commit,
};
use crate::queue::file::hash::Hash;

/// The cursors of an SPSC queue.
#[derive(Clone, Copy)]
pub(super) struct SpscWords {
    pub(super) tail: u64,
    pub(super) head: u64,
    pub(super) released: u64,
    pub(super) taken: u64,
    redelivered: [u64; 2],
}

impl Contents<'_> {
    pub(super) fn spsc_words(&self) -> io::Result<SpscWords> {
        let consumer = offset_of!(Cursors, consumer);
        let word = |offset: usize| self.word((CURSORS_OFFSET + offset) as u64);
        Ok(SpscWords {
            tail: word(offset_of!(Cursors, tail))?,
            head: word(offset_of!(Cursors, head))?,
            released: word(consumer + offset_of!(ConsumerWords, released))?,
            taken: word(consumer + offset_of!(ConsumerWords, taken))?,
            redelivered: [
                word(consumer + offset_of!(ConsumerWords, redelivered_until))?,
                word(consumer + offset_of!(ConsumerWords, redelivery_count))?,
            ],
        })
    }

    pub(super) fn hash_spsc(&self, hash: &mut Hash, most: u64) -> io::Result<bool> {
        let words = self.spsc_words()?;
        let SpscWords { tail, head, released, taken, redelivered } = words;
        [tail, head, released, taken, redelivered[0], redelivered[1]]
            .into_iter()
            .for_each(|word| hash.word(word));
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
    pub(super) fn walk(&self, from: u64, mut on_frame: impl FnMut(u64)) -> io::Result<Option<u64>> {
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
}
