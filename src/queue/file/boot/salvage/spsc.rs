//! The messages in the ring of an SPSC queue.
//!
//! Between two kept frames of any size lie *fillers*: frames without a message, which no checksum proves. A gap that
//! reaches the end of the ring begins with padding. The consumer does not see fillers: they are noted as released out
//! of order, as far as there is room for such notes; it passes the others because their checksums do not fit.

use std::io;
use std::mem::offset_of;
use std::ops::Range;

use super::super::contents::Contents;
use crate::lane::ring::Ring;
use crate::layout::{
    CURSORS_OFFSET, ConsumerWords, Cursors, DONE_OFFSET, DONE_RANGES, DoneRange, Framing, LEAD,
    POSITION_LIMIT, commit,
};
use crate::queue::file::trailer;
use crate::shm;

type WordRing = Ring<{ commit::WORD }>;

/// What was found in the ring.
pub(super) struct InRing {
    /// The messages to be kept, in order: the positions of each.
    kept: Vec<Range<u64>>,
    /// Positions before this were used.
    pub(super) end: u64,
}

impl InRing {
    /// The messages that the cursors lead to, one after the other.
    fn by_cursors(kept: Vec<Range<u64>>) -> Self {
        let end = kept.last().map_or(0, |last| last.end);
        Self { kept, end }
    }
}

impl Contents<'_> {
    pub(super) fn salvage_spsc(&self, uuid: Option<[u8; 16]>) -> io::Result<u64> {
        let found = match (self.geometry.framing, uuid) {
            (Framing::Variable, Some(uuid)) => self.find_variable(uuid)?,
            (Framing::Variable, None) => InRing::by_cursors(self.follow_variable()?),
            (Framing::Fixed { len }, Some(uuid)) => self.find_fixed(uuid, len)?,
            (Framing::Fixed { .. }, None) => InRing::by_cursors(self.follow_fixed()?),
        };
        let Some(first) = found.kept.first() else {
            self.wipe(self.ring_bytes(), std::iter::empty())?;
            return self.clear(found.end).map(|_| 0);
        };
        let places = found.kept.iter().map(|frame| self.place(frame));
        let mut places: Vec<Range<u64>> = places.collect();
        places.sort_by_key(|place| place.start);
        self.wipe(self.ring_bytes(), places.into_iter())?;
        // The newest messages may have been released, and older ones not.
        let starts = found.kept[1..].iter().map(|frame| frame.start).chain([found.end]);
        let gaps = found.kept.iter().zip(starts).map(|(frame, next)| frame.end..next);
        let gaps: Vec<Range<u64>> = gaps.filter(|gap| !gap.is_empty()).collect();
        let mut passed = Vec::new();
        for gap in gaps {
            if self.bridge(&gap)? {
                passed.push(gap);
            }
        }
        self.put_spsc(first.start, found.end, &passed)?;
        Ok(found.kept.len() as u64)
    }

    /// The offsets in the file at which the ring's commit words and payloads are.
    fn ring_bytes(&self) -> Range<u64> {
        let start = match self.geometry.framing {
            Framing::Variable => self.first_word(),
            Framing::Fixed { .. } => self.first_cell(),
        };
        start..start + self.geometry.ring_bytes()
    }

    /// The offset of the commit word of index 0 of the ring.
    fn first_word(&self) -> u64 {
        self.first_cell() - commit::WORD
    }

    fn first_cell(&self) -> u64 {
        self.geometry.lane_offset + LEAD as u64
    }

    /// The offsets of a frame in the file.
    fn place(&self, frame: &Range<u64>) -> Range<u64> {
        let unit = match self.geometry.framing {
            Framing::Variable => 1,
            Framing::Fixed { .. } => self.geometry.stride,
        };
        // A frame that padding precedes begins with the padding, at the end of the ring.
        let len = (frame.end - frame.start) * unit;
        let start = self.ring_bytes().start + frame.start % self.geometry.capacity * unit;
        start..start + len
    }

    fn cursor(&self, offset: usize) -> u64 {
        (CURSORS_OFFSET + offset) as u64
    }

    /// Whatever else the disk shows, all positions before this were released, or given up by an earlier recovery.
    fn released(&self) -> io::Result<u64> {
        self.word(self.cursor(offset_of!(Cursors, consumer) + offset_of!(ConsumerWords, released)))
    }

    /// Whether the messages at these positions were released out of order. Notes that the disk has were true, or were
    /// written by a recovery, when they were stored; positions are used again only once a sync has removed them.
    fn noted(&self) -> io::Result<impl Fn(&Range<u64>) -> bool> {
        let bytes = self.bytes(DONE_OFFSET as u64, (DONE_RANGES * size_of::<DoneRange>()) as u64)?;
        let word = |range: &[u8], at: usize| u64::from_ne_bytes(*range[at..].first_chunk().expect("a range"));
        let ranges = bytes.chunks_exact(size_of::<DoneRange>());
        let ranges = ranges
            .map(|range| word(range, offset_of!(DoneRange, start))..word(range, offset_of!(DoneRange, end)));
        let ranges: Vec<Range<u64>> = ranges.filter(|range| !range.is_empty()).collect();
        Ok(move |frame: &Range<u64>| {
            ranges.iter().any(|range| range.start <= frame.start && frame.end <= range.end)
        })
    }

    /// Keeps the messages from `oldest` on that were not released, in order.
    fn last_lap(&self, mut found: Vec<Range<u64>>, end: u64, oldest: u64) -> io::Result<InRing> {
        let (oldest, is_noted) = (oldest.max(self.released()?), self.noted()?);
        found.retain(|frame| frame.start >= oldest && !is_noted(frame));
        found.sort_by_key(|frame| frame.start);
        Ok(InRing { kept: found, end })
    }

    // Variable size

    pub(super) fn find_variable(&self, uuid: [u8; 16]) -> io::Result<InRing> {
        let ring = WordRing::new(self.geometry);
        // Commit words are at multiples of this granule, each with its payload after it.
        let bytes = self.bytes(self.first_word(), ring.capacity())?;
        let mut found = Vec::new();
        let (mut at, mut newest) = (0, 0);
        while at < ring.capacity() {
            let frame = frame_at(&ring, &bytes, at).and_then(|(payload, end)| {
                // Before the sum: else each word of a large message that looks like a length would cost the sum of as
                // many bytes.
                let serial = trailer::serial(payload)?;
                let is_here = serial < POSITION_LIMIT && ring.index(serial) == at;
                let is_whole = is_here && trailer::open(uuid, payload).is_some();
                is_whole.then_some((serial..serial + (end - at), end))
            });
            let next = frame.as_ref().map_or(at + ring.granule(), |(_, end)| *end);
            if let Some((frame, _)) = frame {
                newest = newest.max(frame.end);
                found.push(frame);
            }
            // Each MiB.
            if at >> 20 != next >> 20 {
                (self.on_progress)();
            }
            at = next;
        }
        // A frame at the index at which the next one is committed had been released before the newest one was sent.
        let oldest = (newest + ring.granule()).saturating_sub(ring.capacity());
        self.last_lap(found, newest, oldest)
    }

    /// The messages that a consumer would find until it has to stop, or is back at the beginning.
    fn follow_variable(&self) -> io::Result<Vec<Range<u64>>> {
        let ring = WordRing::new(self.geometry);
        let start = self.released()?;
        let mut found: Vec<Range<u64>> = Vec::new();
        if start > POSITION_LIMIT || !start.is_multiple_of(ring.granule()) {
            return Ok(found);
        }
        let bytes = self.bytes(self.first_word(), ring.capacity())?;
        let mut position = start;
        // The word after the last frame needs room.
        let has_room = |end: u64| end - start + ring.granule() <= ring.capacity();
        while has_room(position) {
            let at = ring.index(position);
            let word = u64::from_ne_bytes(*bytes[at as usize..].first_chunk().expect("a whole granule"));
            if word == commit::PADDING && at != 0 {
                position += ring.rest(position);
                continue;
            }
            let Some((_, end)) = frame_at(&ring, &bytes, at) else { break };
            let end = position + (end - at);
            if !has_room(end) {
                break;
            }
            found.push(position..end);
            position = end;
        }
        Ok(found)
    }

    /// Makes a gap one that a consumer walks over. Returns whether it ends with a filler, so that it is a range of whole
    /// frames; else padding leads to the next message.
    fn bridge(&self, gap: &Range<u64>) -> io::Result<bool> {
        if matches!(self.geometry.framing, Framing::Fixed { .. }) {
            return Ok(true);
        }
        let ring = WordRing::new(self.geometry);
        let put = |position: u64, word: u64| self.put(self.first_word() + ring.index(position), word);
        let mut position = gap.start;
        if ring.rest(position) <= gap.end - position && ring.index(position) != 0 {
            put(position, commit::PADDING)?;
            position += ring.rest(position);
        }
        let has_fillers = position < gap.end;
        let most = (commit::WORD + ring.max_payload()) / ring.granule() * ring.granule();
        while position < gap.end {
            let size = (gap.end - position).min(most);
            put(position, commit::message(size - commit::WORD))?;
            position += size;
        }
        Ok(has_fillers)
    }

    // Fixed size

    pub(super) fn find_fixed(&self, uuid: [u8; 16], len: u64) -> io::Result<InRing> {
        let (capacity, stride) = (self.geometry.capacity, self.geometry.stride);
        let bytes = self.bytes(self.first_cell(), capacity * stride)?;
        let found = (0..capacity).filter_map(|slot| {
            // Each MiB.
            if (slot * stride) >> 20 != ((slot + 1) * stride) >> 20 {
                (self.on_progress)();
            }
            let (_, serial) = trailer::open(uuid, &bytes[(slot * stride) as usize..][..len as usize])?;
            let is_here = serial % capacity == slot && serial < POSITION_LIMIT;
            is_here.then_some(serial..serial + 1)
        });
        let found: Vec<_> = found.collect();
        let newest = found.iter().map(|frame| frame.end).max().unwrap_or(0);
        self.last_lap(found, newest, newest.saturating_sub(capacity))
    }

    fn follow_fixed(&self) -> io::Result<Vec<Range<u64>>> {
        let (released, tail) = (self.released()?, self.word(self.cursor(offset_of!(Cursors, tail)))?);
        let count = tail.checked_sub(released).filter(|_| tail <= POSITION_LIMIT);
        let seems_right = count.is_some_and(|count| count <= self.geometry.capacity);
        let positions = if seems_right { released..tail } else { 0..0 };
        Ok(positions.map(|position| position..position + 1).collect())
    }

    /// The cursors of a queue whose messages begin and end there, all of which were taken, and released where
    /// `passed` says so.
    fn put_spsc(&self, start: u64, end: u64, passed: &[Range<u64>]) -> io::Result<()> {
        let mut ranges = [0; DONE_RANGES * size_of::<DoneRange>()];
        for (range, bytes) in passed.iter().zip(ranges.chunks_exact_mut(size_of::<DoneRange>())) {
            let (from, to) = (offset_of!(DoneRange, start), offset_of!(DoneRange, end));
            bytes[from..from + 8].copy_from_slice(&range.start.to_ne_bytes());
            bytes[to..to + 8].copy_from_slice(&range.end.to_ne_bytes());
        }
        shm::write_at(self.file, &ranges, DONE_OFFSET as u64)?;
        let consumer = offset_of!(Cursors, consumer);
        for (offset, word) in [
            (consumer + offset_of!(ConsumerWords, redelivered_until), 0),
            (consumer + offset_of!(ConsumerWords, redelivery_count), 0),
            (consumer + offset_of!(ConsumerWords, released), start),
            (consumer + offset_of!(ConsumerWords, taken), end),
            (offset_of!(Cursors, head), start),
            (offset_of!(Cursors, tail), end),
        ] {
            self.put(self.cursor(offset), word)?;
        }
        Ok(())
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
