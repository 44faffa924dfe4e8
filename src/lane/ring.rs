//! The geometry of a byte ring: frames are contiguous, take whole granules, and never lie across
//! the end.

use crate::layout::Geometry;

/// The shape of a ring whose frames have `WORD` bytes before their payload.
#[derive(Clone, Copy)]
pub(crate) struct Ring<const WORD: u64> {
    capacity: u64,
    /// `capacity - 1`. This and the next fields are precomputed because every frame needs them,
    /// several times.
    index_mask: u64,
    granule: u64,
    /// Added to the payload length before it is cut down to whole granules ...
    to_round: u64,
    /// ... by this mask.
    granule_mask: u64,
    max_payload: u64,
}

impl<const WORD: u64> Ring<WORD> {
    pub(crate) fn new(geometry: &Geometry) -> Self {
        let Geometry { capacity, align: granule, max_payload, .. } = *geometry;
        Self {
            capacity,
            index_mask: capacity - 1,
            granule,
            to_round: WORD + granule - 1,
            granule_mask: !(granule - 1),
            max_payload,
        }
    }

    #[inline(always)]
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    #[inline(always)]
    pub(crate) fn granule(&self) -> u64 {
        self.granule
    }

    #[inline(always)]
    pub(crate) fn max_payload(&self) -> u64 {
        self.max_payload
    }

    #[inline(always)]
    pub(crate) fn index(&self, position: u64) -> u64 {
        position & self.index_mask
    }

    #[inline(always)]
    pub(crate) fn offset(&self, position: u64) -> usize {
        self.index(position) as usize
    }

    /// Bytes from `position` to the end of the ring.
    #[inline(always)]
    pub(crate) fn rest(&self, position: u64) -> u64 {
        self.capacity - self.index(position)
    }

    /// The number of bytes that a frame with `len` bytes of payload takes.
    #[inline(always)]
    pub(crate) fn size(&self, len: u64) -> u64 {
        (len + self.to_round) & self.granule_mask
    }

    /// The position at which a frame of `size` bytes starts when everything before `position` is
    /// taken.
    #[inline(always)]
    pub(crate) fn start(&self, position: u64, size: u64) -> u64 {
        let rest = self.rest(position);
        if size <= rest { position } else { position + rest }
    }

    /// The end of a frame at `position`, or `None` if no frame of that length can be there.
    #[inline(always)]
    pub(crate) fn checked_end(&self, position: u64, len: u64) -> Option<u64> {
        // Checked first, so that no sum below can overflow.
        if len > self.max_payload {
            return None;
        }
        let size = self.size(len);
        (size <= self.rest(position)).then_some(position + size)
    }

    /// The largest payload that fits between `position` and `end` without padding. `None` if not
    /// even a frame without payload does.
    #[inline(always)]
    pub(crate) fn contiguous(&self, position: u64, end: u64) -> Option<usize> {
        let free = end.saturating_sub(position);
        let room = free.min(self.rest(position)).checked_sub(WORD)?;
        Some(room.min(self.max_payload) as usize)
    }
}
