//! Where a producer's frames lie in its lane, and when their room is free again.

use std::collections::VecDeque;

use super::GRANULE;

/// Frames that are looked at in one go when room runs out.
const RECLAIM_AT_ONCE: usize = 256;

pub(super) struct Writer {
    capacity: u64,
    tail: u64,
    limit: u64,
    /// Position and end of each frame that may still be read.
    extents: VecDeque<(u64, u64)>,
    most: usize,
}

impl Writer {
    pub(super) fn new(capacity: usize, links: usize) -> Self {
        let capacity = capacity as u64;
        Self { capacity, tail: 0, limit: capacity, extents: VecDeque::with_capacity(links), most: links }
    }

    #[inline(always)]
    pub(super) fn tail(&self) -> u64 {
        self.tail
    }

    #[inline(always)]
    pub(super) fn offset(&self, start: u64) -> usize {
        (start & (self.capacity - 1)) as usize
    }

    #[inline(always)]
    pub(super) fn size(&self, len: usize) -> u64 {
        len.next_multiple_of(GRANULE) as u64
    }

    /// Finds room at or behind `at`.
    #[inline(always)]
    pub(super) fn reserve(&mut self, at: u64, len: usize, is_over: impl Fn(u64) -> bool) -> Option<u64> {
        let size = self.size(len);
        let rest = self.capacity - (at & (self.capacity - 1));
        let start = if size <= rest { at } else { at + rest };
        if start + size > self.limit {
            self.reclaim(start + size, is_over)?;
        }
        Some(start)
    }

    #[cold]
    fn reclaim(&mut self, end: u64, is_over: impl Fn(u64) -> bool) -> Option<()> {
        let over = self.extents.iter().take(RECLAIM_AT_ONCE).take_while(|(at, _)| is_over(*at)).count();
        if let Some(last) = over.checked_sub(1) {
            self.limit = self.extents[last].1 + self.capacity;
            self.extents.drain(..over);
        }
        if self.extents.is_empty() {
            self.limit = self.tail + self.capacity;
        }
        match end <= self.limit {
            true => Some(()),
            false if over == RECLAIM_AT_ONCE => self.reclaim(end, is_over),
            false => None,
        }
    }

    #[inline(always)]
    pub(super) fn linked(&mut self, position: u64, start: u64, len: usize) {
        if self.extents.len() == self.most {
            self.extents.pop_front();
        }
        self.tail = start + self.size(len);
        self.extents.push_back((position, self.tail));
    }
}
