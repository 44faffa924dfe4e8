//! The lane of an MPMC producer: frames are payloads and nothing else; slots say which of them are committed.
//!
//! The writer keeps a list of its own of where the frames stand that were linked and that somebody may still read. A
//! frame's bytes are free once its link's lap has moved past its position (`SYNC release`), which the writer sees by the link, or
//! by having claimed a position a lap further on; room is given back in order, up to the oldest frame that is not free. A new
//! owner of the lane makes the list anew from the slots.

use super::live_frames::LiveFrames;
use super::ring::Ring;
use super::{Corruption, LaneMemory, Refusal, Reserved, Room};
use crate::layout::order::position_limit;
use crate::layout::{Framing, Geometry};
use crate::prefetch;

/// Frames that are looked at in one go when room runs out: their slots' lines are fetched side by side.
const RECLAIM_BATCH: u64 = 64;

const PAIR: u64 = prefetch::PAIR as u64;
/// How far ahead, in bytes, the lines of small frames are asked for; a multiple of [`PAIR`] ...
const AHEAD: u64 = 1024;
/// ... that is, of this size at most: those of larger ones the processor foresees by itself, and better, up to the page's end.
pub(crate) const MAX_PREFETCHED: usize = 512;

/// A frame that a link refers to, as a new owner of the lane finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdoptedFrame {
    pub(crate) position: u64,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// Where a frame stands that is complete, and not linked yet.
#[derive(Clone, Copy)]
pub(crate) struct CompleteFrame {
    /// In the lane.
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// Where a frame behind this one may begin.
    pub(crate) end: u64,
}

/// The one producer's side of a lane.
pub(crate) struct MpmcWriter {
    memory: LaneMemory,
    /// Where the lane begins in `memory`.
    base: usize,
    ring: Ring<0>,
    /// Payloads are no shorter than this: with the ring's limit, those of a fixed size have no other.
    min_payload: u64,
    /// From here on somebody may still read.
    limit: u64,
    live_frames: LiveFrames,
}

impl MpmcWriter {
    /// Takes over the lane at `base` of `memory` with the frames that are still in it, in the order of their positions.
    ///
    /// The caller must hold the liveness lock of the lane's entry.
    pub(crate) fn adopt(
        memory: LaneMemory,
        base: usize,
        geometry: &Geometry,
        slots: usize,
        frames: &[AdoptedFrame],
    ) -> Result<Self, Corruption> {
        let ring = Ring::new(geometry);
        let min_payload = match geometry.framing {
            Framing::Variable => 0,
            Framing::Fixed { len } => len,
        };
        let first = frames.first().map_or(0, |frame| frame.offset);
        let mut live_frames = LiveFrames::new(slots, first);
        for frame in frames {
            let corruption = |word, found| Corruption { word, position: frame.position, found };
            // First, so that no sum below can overflow. All are of one lap, or what is older would be taken to be over.
            if frame.position >= position_limit(slots.trailing_zeros())
                || frame.position.wrapping_sub(frames[0].position) >= slots as u64
            {
                return Err(corruption("slot's state", frame.position));
            }
            if frame.offset >= ring.capacity() || !frame.offset.is_multiple_of(ring.granule()) {
                return Err(corruption("slot's offset", frame.offset));
            }
            let tail = live_frames.end();
            let turn = tail - ring.index(tail);
            let ahead = if frame.offset < ring.index(tail) { ring.capacity() } else { 0 };
            let start = turn + ahead + frame.offset;
            let end = ring.checked_end(start, frame.len).ok_or(corruption("slot's length", frame.len))?;
            if end - first > ring.capacity() {
                return Err(corruption("slot's offset", frame.offset));
            }
            live_frames.push(frame.position, [(ring.size(frame.len), end)].into_iter());
        }
        Ok(Self { memory, base, ring, min_payload, limit: first + ring.capacity(), live_frames })
    }

    /// Everything before this belongs to frames that were linked.
    #[inline(always)]
    pub(crate) fn tail(&self) -> u64 {
        self.live_frames.end()
    }

    /// Finds room for a frame of `len` bytes at or behind `at`, which is `tail` or the end of a frame that was
    /// reserved, but not linked yet. `count_reusable(first, most)` says how many of the `most` positions from `first` on there are
    /// before the first whose frame somebody may still read.
    #[inline(always)]
    pub(crate) fn reserve(
        &mut self,
        at: u64,
        len: usize,
        count_reusable: impl Fn(u64, u64) -> u64,
    ) -> Result<Reserved, Refusal> {
        let len = len as u64;
        if len > self.ring.max_payload() || len < self.min_payload {
            return Err(Refusal::Length);
        }
        let size = self.ring.size(len);
        let start = self.ring.start(at, size);
        if start + size > self.limit {
            self.reclaim(start + size, count_reusable)?;
        }
        let slot = self.slot(start);
        if size <= MAX_PREFETCHED as u64 {
            self.prefetch_ahead(start, size);
        }
        self.memory.note_write(slot.offset, len as usize);
        Ok(slot)
    }

    /// Asks for the pairs of lines that begin further on in the ring, in as many bytes as this frame takes.
    #[inline(always)]
    fn prefetch_ahead(&self, start: u64, size: u64) {
        let (mut at, end) = (start.next_multiple_of(PAIR), start + size);
        while at < end {
            prefetch::to_write(self.memory.payload(self.base + self.ring.offset(at + AHEAD)));
            at += PAIR;
        }
    }

    #[inline(always)]
    fn slot(&self, start: u64) -> Reserved {
        Reserved { position: start, offset: self.base + self.ring.offset(start) }
    }

    /// The room at `at` that needs no padding.
    #[inline(always)]
    pub(crate) fn contiguous(&self, at: u64) -> Room {
        if self.min_payload > 0 {
            return Room::FixedLen;
        }
        match self.ring.contiguous(at, self.limit) {
            Some(room) if room > 0 => Room::UpTo(self.slot(at), room),
            _ => Room::Unknown,
        }
    }

    /// Looks for frames that are over; `Full` if positions up to `end` are still not free.
    #[cold]
    fn reclaim(&mut self, end: u64, count_reusable: impl Fn(u64, u64) -> u64) -> Result<(), Refusal> {
        self.live_frames.remove_reusable();
        self.set_limit();
        while end > self.limit {
            let may_be_more = self.remove_reusable_frames(&count_reusable);
            self.set_limit();
            if !may_be_more && end > self.limit {
                return Err(Refusal::Full);
            }
        }
        Ok(())
    }

    /// Removes the oldest frames that are over, up to so many at once. Whether there may be more.
    fn remove_reusable_frames(&mut self, count_reusable: impl Fn(u64, u64) -> u64) -> bool {
        let mut left = RECLAIM_BATCH;
        while let Some((position, count)) = self.live_frames.oldest() {
            let most = count.min(left);
            if most == 0 {
                return true;
            }
            let over = count_reusable(position, most);
            self.live_frames.remove(over);
            left -= over;
            if over < most {
                break;
            }
        }
        false
    }

    fn set_limit(&mut self) {
        self.limit = self.live_frames.start().unwrap_or(self.tail()) + self.ring.capacity();
    }

    /// Where the frame in `slot` stands, now that its length is known.
    #[inline(always)]
    pub(crate) fn complete(&self, slot: Reserved, len: usize) -> CompleteFrame {
        let (offset, len) = (self.ring.index(slot.position), len as u64);
        CompleteFrame { offset, len, end: slot.position + self.ring.size(len) }
    }

    /// Where a frame's payload stands.
    #[inline(always)]
    pub(crate) fn slot_of(&self, frame: CompleteFrame) -> Reserved {
        Reserved { position: frame.end - self.ring.size(frame.len), offset: frame.offset as usize }
    }

    /// The frames are linked at the positions from `first` on: they stay until these are over.
    #[inline(always)]
    pub(crate) fn track(&mut self, first: u64, frames: &[CompleteFrame]) {
        let ring = self.ring;
        self.live_frames.push(first, frames.iter().map(|frame| (ring.size(frame.len), frame.end)));
    }

    /// The position a quarter of the way from the oldest frame to the newest: when that is over, about a quarter of the lane is
    /// free, or will be when the frames before it are over.
    pub(crate) fn quarter(&self) -> Option<u64> {
        let (oldest, _) = self.live_frames.oldest()?;
        // Wrapping: positions that make no sense must not cause a panic.
        Some(oldest.wrapping_add(self.live_frames.next().wrapping_sub(oldest) / 4))
    }

    /// The link that keeps the oldest frame.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.live_frames.oldest().map(|(position, _)| position)
    }

    #[inline(always)]
    pub(crate) fn payload(&self, slot: Reserved) -> *mut u8 {
        self.memory.payload(slot.offset)
    }
}
