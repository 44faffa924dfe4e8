//! The lane of an MPMC producer: frames are payloads and nothing else; slots say which of them are
//! committed.
//!
//! The writer keeps its own list of the frames that were committed and that a consumer may still
//! read. A frame's bytes are free once its slot's lap has moved past its position (`SYNC release`),
//! which the writer sees by the slot, or by having claimed a position a lap further on. Room is
//! released in order, up to the oldest frame that is not free. A new owner of the lane rebuilds the
//! list from the slots.

use super::live_frames::LiveFrames;
use super::ring::Ring;
use super::{Corruption, LaneMemory, Refusal, Reserved, Room};
use crate::layout::order::position_limit;
use crate::layout::{Framing, Geometry};
use crate::prefetch;

/// Maximum number of frames that are checked together when room runs out: their slots' lines are
/// fetched in parallel.
const RECLAIM_BATCH: u64 = 64;

const PAIR: u64 = prefetch::PAIR as u64;
/// How far ahead, in bytes, the lines of small frames are prefetched; a multiple of [`PAIR`] ...
const AHEAD: u64 = 1024;
/// ... where small means at most this size: the processor prefetches the lines of larger frames by
/// itself, and better, up to the page's end.
pub(crate) const MAX_PREFETCHED: usize = 512;

/// A frame that a slot refers to, as a new owner of the lane finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdoptedFrame {
    pub(crate) position: u64,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// The place of a frame that is complete, and not committed yet.
#[derive(Clone, Copy)]
pub(crate) struct CompleteFrame {
    /// Offset in the lane.
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// Where the next frame may begin.
    pub(crate) end: u64,
}

/// The one producer's side of a lane.
pub(crate) struct MpmcWriter {
    memory: LaneMemory,
    /// Where the lane begins in `memory`.
    base: usize,
    ring: Ring<0>,
    /// Payloads are no shorter than this. Together with the ring's limit, this allows a fixed-size
    /// payload no other length.
    min_payload: u64,
    /// A consumer may still read from this position on.
    limit: u64,
    live_frames: LiveFrames,
}

impl MpmcWriter {
    /// Takes over the lane at `base` of `memory` with the frames that are still in it, in the order
    /// of their positions.
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
            // Checked first, so that no sum below can overflow. All frames are of one lap, or the
            // older ones would be taken to be reusable.
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

    /// Everything before this position belongs to frames that were committed.
    #[inline(always)]
    pub(crate) fn tail(&self) -> u64 {
        self.live_frames.end()
    }

    /// Finds room for a frame of `len` bytes at or after `at`, which is `tail` or the end of a
    /// frame that was reserved, but not committed yet. `count_reusable(first, most)` counts the
    /// positions from `first` on, `most` at most, up to the first whose frame a consumer may still
    /// read.
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

    /// Prefetches the pairs of lines that begin [`AHEAD`] bytes further on in the ring, in as many
    /// bytes as this frame takes.
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

    /// Removes reusable frames; `Full` if positions up to `end` are still not free.
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

    /// Removes the oldest frames that are reusable, up to [`RECLAIM_BATCH`] in one call. True if
    /// there may be more.
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

    /// The place of the frame in `slot`, now that its length is known.
    #[inline(always)]
    pub(crate) fn complete(&self, slot: Reserved, len: usize) -> CompleteFrame {
        let (offset, len) = (self.ring.index(slot.position), len as u64);
        CompleteFrame { offset, len, end: slot.position + self.ring.size(len) }
    }

    /// The place of a frame's payload.
    #[inline(always)]
    pub(crate) fn slot_of(&self, frame: CompleteFrame) -> Reserved {
        Reserved { position: frame.end - self.ring.size(frame.len), offset: frame.offset as usize }
    }

    /// Tracks frames that are committed at the positions from `first` on: they stay in the list
    /// until these are reusable.
    #[inline(always)]
    pub(crate) fn track(&mut self, first: u64, frames: &[CompleteFrame]) {
        let ring = self.ring;
        self.live_frames.push(first, frames.iter().map(|frame| (ring.size(frame.len), frame.end)));
    }

    /// The position a quarter of the way from the oldest frame to the newest: when its frame is
    /// reusable, about a quarter of the lane is free, or will be when the frames before it are
    /// released.
    pub(crate) fn quarter(&self) -> Option<u64> {
        let (oldest, _) = self.live_frames.oldest()?;
        // Wrapping: corrupt positions must not cause a panic.
        Some(oldest.wrapping_add(self.live_frames.next().wrapping_sub(oldest) / 4))
    }

    /// The position of the oldest frame.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.live_frames.oldest().map(|(position, _)| position)
    }

    #[inline(always)]
    pub(crate) fn payload(&self, slot: Reserved) -> *mut u8 {
        self.memory.payload(slot.offset)
    }
}
