//! Messages of an unproven file: found, and written anew.
//!
//! *Found.* In a queue with checksums: the messages that their checksums prove, wherever they are,
//! whatever cursors and commit words say. SPSC: at every place of the ring where a frame could
//! begin; MPMC: wherever a slot refers to. A frame that fits its checksum, and the place where it
//! is found, was committed there. Of these, those are kept that can still have been in the queue:
//! not released as far as the disk shows, and not so old that their room had to be released before
//! the newest one was sent. In any other queue, for users who want it as it is: what a consumer
//! would find, once.
//!
//! *Written anew.* The queue is emptied, and the messages are put back in their order, from the
//! beginning of a lap: nothing torn is left between them, no cursor is wrong, and no participant is
//! blocked by what is missing. They are marked as taken before, because they may have been. That
//! lap lies after all positions that were found: cursors may be older on the disk than frames are,
//! and a frame that is left over in the ring must never seem newer than what is sent from now on.

use std::io;
use std::mem::offset_of;

use super::contents::Contents;
use crate::lane::ring::Ring;
use crate::layout::order::{Head, PackedFrameRef, SlotKind, SlotState, Tail};
use crate::layout::{
    CURSORS_OFFSET, ConsumerWords, Cursors, Framing, LEAD, Order, OrderCursors, OriginWords, POSITION_LIMIT,
    REGISTRY_OFFSET, RegistryEntry, Slot, commit,
};
use crate::queue::checksummed::trailer;
use crate::shm;

type WordRing = Ring<{ commit::WORD }>;

/// A message that was found.
struct QueueFile {
    /// Its position in the order.
    serial: u64,
    message: Vec<u8>,
    /// MPMC: the lane that it is in; and the words of a dead letter.
    lane: usize,
    letter: Option<Vec<u8>>,
}

impl QueueFile {
    fn spsc(serial: u64, message: &[u8]) -> Self {
        Self { serial, message: message.to_vec(), lane: 0, letter: None }
    }
}

/// What was found in the ring of an SPSC queue.
struct InRing {
    /// The messages to be kept, in order.
    kept: Vec<QueueFile>,
    /// Positions before this were used.
    end: u64,
}

impl InRing {
    /// Keeps the messages of the last lap before the newest one that were not released.
    fn last_lap(mut found: Vec<QueueFile>, end: u64, capacity: u64, released: u64) -> Self {
        // After all frames: the cursor was written together with frames that were put back, which
        // the disk does not have. The earlier frames are still there.
        let released = if released <= end { released } else { 0 };
        let oldest = end.saturating_sub(capacity).max(released);
        found.retain(|frame| frame.serial >= oldest);
        found.sort_by_key(|frame| frame.serial);
        Self { kept: found, end }
    }

    /// The messages that the cursors lead to, so that the cursors know of all positions.
    fn by_cursors(kept: Vec<QueueFile>) -> Self {
        Self { kept, end: 0 }
    }
}

impl Contents<'_> {
    /// Keeps the messages that checksums prove to be this queue's, if it has checksums, or that
    /// seem to be there; and nothing else. Returns how many. Under the attach lock, and without
    /// participants.
    pub(super) fn salvage(&self, uuid: Option<[u8; 16]>) -> io::Result<u64> {
        match (self.geometry.order, self.geometry.framing) {
            (Some(order), _) => {
                let found = self.find_mpmc(uuid, order)?;
                self.lay_mpmc(uuid, order, &found)
            }
            (None, Framing::Variable) => {
                let found = match uuid {
                    Some(uuid) => self.find_variable(uuid)?,
                    None => InRing::by_cursors(self.follow_variable()?),
                };
                self.lay_variable(uuid, &found)
            }
            (None, Framing::Fixed { len }) => {
                let found = self.find_fixed(uuid, len)?;
                self.lay_fixed(uuid, &found)
            }
        }
    }

    /// Positions before the result were used: frames with checksums prove that, where cursors may
    /// not know of it.
    pub(super) fn used(&self, uuid: [u8; 16]) -> io::Result<u64> {
        match (self.geometry.order, self.geometry.framing) {
            // Slots contain the positions.
            (Some(_), _) => Ok(0),
            (None, Framing::Variable) => Ok(self.find_variable(uuid)?.end),
            (None, Framing::Fixed { len }) => Ok(self.find_fixed(Some(uuid), len)?.end),
        }
    }

    /// The payload of a frame that holds the message.
    fn payload_with(&self, uuid: Option<[u8; 16]>, message: &[u8], serial: u64) -> Vec<u8> {
        let mut payload = message.to_vec();
        payload
            .extend(uuid.map(|uuid| trailer::sealed(trailer::sum(uuid, message), serial)).iter().flatten());
        payload
    }

    // SPSC

    fn released(&self) -> io::Result<u64> {
        let consumer = CURSORS_OFFSET + offset_of!(Cursors, consumer);
        self.word((consumer + offset_of!(ConsumerWords, released)) as u64)
    }

    fn tail(&self) -> io::Result<u64> {
        self.word((CURSORS_OFFSET + offset_of!(Cursors, tail)) as u64)
    }

    /// The offset of the commit word of index 0 of the ring.
    fn first_word(&self) -> u64 {
        self.geometry.lane_offset + LEAD as u64 - commit::WORD
    }

    fn find_variable(&self, uuid: [u8; 16]) -> io::Result<InRing> {
        let ring = WordRing::new(self.geometry);
        // Commit words are at multiples of this granule, each with its payload after it.
        let bytes = self.bytes(self.first_word(), ring.capacity())?;
        let mut found = Vec::new();
        let (mut at, mut newest) = (0, 0);
        while at < ring.capacity() {
            let frame = frame_at(&ring, &bytes, at).and_then(|(payload, end)| {
                let (message, serial) = trailer::open(uuid, payload)?;
                let is_here = ring.index(serial) == at && serial < POSITION_LIMIT;
                is_here.then(|| (QueueFile::spsc(serial, message), end))
            });
            let next = frame.as_ref().map_or(at + ring.granule(), |(_, end)| *end);
            if let Some((frame, end)) = frame {
                newest = newest.max(frame.serial + (end - at));
                found.push(frame);
            }
            at = next;
        }
        Ok(InRing::last_lap(found, newest, ring.capacity(), self.released()?))
    }

    /// The messages that a consumer would find until it has to stop, or is back at the beginning.
    fn follow_variable(&self) -> io::Result<Vec<QueueFile>> {
        let ring = WordRing::new(self.geometry);
        let start = self.released()?;
        let mut found = Vec::new();
        if start > POSITION_LIMIT || !start.is_multiple_of(ring.granule()) {
            return Ok(found);
        }
        let bytes = self.bytes(self.first_word(), ring.capacity())?;
        let mut position = start;
        while position - start < ring.capacity() {
            let at = ring.index(position);
            let word = u64::from_ne_bytes(*bytes[at as usize..].first_chunk().expect("a whole granule"));
            if word == commit::PADDING && at != 0 {
                position += ring.rest(position);
                continue;
            }
            let Some((payload, end)) = frame_at(&ring, &bytes, at) else { break };
            found.push(QueueFile::spsc(position, payload));
            position += end - at;
        }
        Ok(found)
    }

    fn lay_variable(&self, uuid: Option<[u8; 16]>, found: &InRing) -> io::Result<u64> {
        let ring = WordRing::new(self.geometry);
        let size = |frame: &QueueFile| ring.size(frame.message.len() as u64 + self.geometry.trailer);
        // The word after them needs room: if necessary, the oldest messages are dropped.
        let mut kept = &found.kept[..];
        let mut total: u64 = kept.iter().map(size).sum();
        while total + ring.granule() > ring.capacity() {
            total -= size(&kept[0]);
            kept = &kept[1..];
        }
        let start = self.clear(found.end)?;
        let mut bytes = vec![0; (total + commit::WORD) as usize];
        let mut at = 0;
        for frame in kept {
            let payload = self.payload_with(uuid, &frame.message, start + at);
            let word = commit::message(payload.len() as u64).to_ne_bytes();
            let place = at as usize;
            bytes[place..place + 8].copy_from_slice(&word);
            bytes[place + 8..place + 8 + payload.len()].copy_from_slice(&payload);
            at += size(frame);
        }
        shm::write_at(self.file, &bytes, self.first_word())?;
        self.put_spsc(start + total)?;
        Ok(kept.len() as u64)
    }

    fn find_fixed(&self, uuid: Option<[u8; 16]>, len: u64) -> io::Result<InRing> {
        let (capacity, stride) = (self.geometry.capacity, self.geometry.stride);
        let bytes = self.bytes(self.geometry.lane_offset + LEAD as u64, capacity * stride)?;
        let payload = |slot: u64| &bytes[(slot * stride) as usize..][..len as usize];
        let (released, tail) = (self.released()?, self.tail()?);
        let Some(uuid) = uuid else {
            let seems_right = tail.checked_sub(released).is_some_and(|count| count <= capacity);
            let positions = if seems_right { released..tail } else { 0..0 };
            let found = positions.map(|position| QueueFile::spsc(position, payload(position % capacity)));
            return Ok(InRing::by_cursors(found.collect()));
        };
        let found: Vec<QueueFile> = (0..capacity)
            .filter_map(|slot| {
                let (message, serial) = trailer::open(uuid, payload(slot))?;
                let is_here = serial % capacity == slot && serial < POSITION_LIMIT;
                is_here.then(|| QueueFile::spsc(serial, message))
            })
            .collect();
        let newest = found.iter().map(|frame| frame.serial + 1).max().unwrap_or(0);
        Ok(InRing::last_lap(found, newest, capacity, released))
    }

    fn lay_fixed(&self, uuid: Option<[u8; 16]>, found: &InRing) -> io::Result<u64> {
        let start = self.clear(found.end)?;
        for (slot, frame) in (0..).zip(&found.kept) {
            let payload = self.payload_with(uuid, &frame.message, start + slot);
            let at = self.geometry.lane_offset + LEAD as u64 + slot * self.geometry.stride;
            shm::write_at(self.file, &payload, at)?;
        }
        self.put_spsc(start + found.kept.len() as u64)?;
        Ok(found.kept.len() as u64)
    }

    /// Messages end here, all of them were taken, and none was released.
    fn put_spsc(&self, end: u64) -> io::Result<()> {
        let taken = CURSORS_OFFSET + offset_of!(Cursors, consumer) + offset_of!(ConsumerWords, taken);
        self.put(taken as u64, end)?;
        self.put((CURSORS_OFFSET + offset_of!(Cursors, tail)) as u64, end)
    }

    // MPMC

    fn find_mpmc(&self, uuid: Option<[u8; 16]>, order: Order) -> io::Result<Vec<QueueFile>> {
        let mut seen = Vec::new();
        self.each_slot(order, |slot, state, place| {
            if state.kind() != SlotKind::Free {
                seen.push((state.lap().saturating_mul(order.slots) | slot, place));
            }
            Ok(())
        })?;
        let mut found = Vec::new();
        let mut left = vec![self.geometry.lane_len; order.participants as usize];
        for (position, place) in seen {
            let Some(at) = self.payload(order, place) else { continue };
            let payload = match uuid {
                Some(uuid) => {
                    let payload = self.bytes(at, place.len())?;
                    match trailer::open(uuid, &payload) {
                        Some((message, serial)) if serial == position => message.to_vec(),
                        _ => continue,
                    }
                }
                // Whatever the lengths say, a lane holds no more than its size.
                None => match left[place.lane()].checked_sub(place.len()) {
                    None => continue,
                    Some(rest) => {
                        left[place.lane()] = rest;
                        self.bytes(at, place.len())?
                    }
                },
            };
            let letter = self.letter(order, position)?;
            found.push(QueueFile { serial: position, message: payload, lane: place.lane(), letter });
        }
        // A position's slot was free when it was claimed: what was there one lap before had been
        // released.
        let newest = found.iter().map(|frame| frame.serial).max().unwrap_or(0);
        found.retain(|frame| frame.serial.saturating_add(order.slots) > newest);
        found.sort_by_key(|frame| frame.serial);
        Ok(found)
    }

    fn letter_at(order: Order, position: u64) -> u64 {
        order.extras_offset() + (position & (order.slots - 1)) * size_of::<OriginWords>() as u64
    }

    /// The words of a dead letter.
    fn letter(&self, order: Order, position: u64) -> io::Result<Option<Vec<u8>>> {
        if order.origins() == 0 {
            return Ok(None);
        }
        let bytes = self.bytes(Self::letter_at(order, position), size_of::<OriginWords>() as u64)?;
        let of = offset_of!(OriginWords, of);
        let is_of_it = bytes[of..of + 8] == position.wrapping_add(1).to_ne_bytes();
        Ok(is_of_it.then_some(bytes))
    }

    fn lay_mpmc(&self, uuid: Option<[u8; 16]>, order: Order, found: &[QueueFile]) -> io::Result<u64> {
        // The slots know of all positions that were found.
        let start = self.clear(0)?;
        let ring: Ring<0> = Ring::new(self.geometry);
        let mut ends = vec![0; order.participants as usize];
        let mut kept = 0;
        for frame in found {
            let position = start + kept;
            let payload = self.payload_with(uuid, &frame.message, position);
            let offset = ends[frame.lane];
            let end = offset + ring.size(payload.len() as u64);
            if end > ring.capacity() {
                continue;
            }
            ends[frame.lane] = end;
            let place = PackedFrameRef::new(frame.lane, offset, payload.len() as u64);
            let at = self.payload(order, place).expect("within the lane");
            shm::write_at(self.file, &payload, at)?;
            if let Some(letter) = &frame.letter {
                let at = Self::letter_at(order, position);
                shm::write_at(self.file, letter, at)?;
                self.put(at + offset_of!(OriginWords, of) as u64, position + 1)?;
            }
            let link = order.slots_offset + kept * size_of::<Slot>() as u64;
            self.put(link + offset_of!(Slot, frame) as u64, place.0)?;
            let lap = start / order.slots;
            let state =
                if order.policy.at_most_once { SlotState::full(lap) } else { SlotState::redeliver(lap, 1) };
            self.put(link + offset_of!(Slot, state) as u64, state.0)?;
            kept += 1;
        }
        for (lane, _) in ends.iter().enumerate().filter(|(_, end)| **end > 0) {
            let entry = REGISTRY_OFFSET + lane * size_of::<RegistryEntry>();
            self.put((entry + offset_of!(RegistryEntry, lane_ready)) as u64, 1)?;
        }
        // With at-most-once delivery they must count as never taken, or they would not be
        // delivered.
        let taken = if order.policy.at_most_once { 0 } else { kept };
        let head = (CURSORS_OFFSET + offset_of!(OrderCursors, head)) as u64;
        self.put(head, Head::at(start + taken).0)?;
        let tail = (CURSORS_OFFSET + offset_of!(OrderCursors, tail)) as u64;
        let closed = self.word(tail)? & Tail::CLOSED;
        self.put(tail, Tail::at(start + kept).0 | closed)?;
        Ok(kept)
    }
}

/// The payload of a frame at an index of the ring, and where the frame ends, if a frame is possible
/// there.
fn frame_at<'a>(ring: &WordRing, bytes: &'a [u8], at: u64) -> Option<(&'a [u8], u64)> {
    let bytes = &bytes[at as usize..];
    let len = commit::message_len(u64::from_ne_bytes(*bytes.first_chunk()?))?;
    let end = ring.checked_end(at, len)?;
    Some((bytes.get(8..8 + len as usize)?, end))
}
