//! A producer's list of the frames of its lane that somebody may still read, in their order.

/// The link that keeps a frame, and where the frame ends in the lane.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) position: u64,
    pub(crate) end: u64,
}

/// As many extents as there are links at most: each is kept by a link of its own.
///
/// Every message adds one, so this is what a `VecDeque` has too much for: it never grows, and its size is a power of two.
pub(crate) struct Extents {
    /// Extent `i` is in slot `i % len`. Tuples, which a new vector takes as zeros from the system: pages that are never used
    /// are never touched.
    slots: Box<[(u64, u64)]>,
    /// The oldest.
    first: u64,
    /// Behind the newest.
    next: u64,
}

impl Extents {
    /// Room for one of each of the `links`, a power of two.
    pub(crate) fn new(links: usize) -> Self {
        assert!(links.is_power_of_two(), "geometry was checked");
        Self { slots: vec![(0, 0); links].into(), first: 0, next: 0 }
    }

    #[inline(always)]
    fn slot(&self, number: u64) -> usize {
        number as usize & (self.slots.len() - 1)
    }

    #[inline(always)]
    fn extent(&self, number: u64) -> Extent {
        let (position, end) = self.slots[self.slot(number)];
        Extent { position, end }
    }

    /// Adds the newest: frames at consecutive positions that end there, no more than there are links. Where there is no room
    /// for all, the oldest ones' links have moved on: so many positions have been claimed since.
    #[inline(always)]
    pub(crate) fn push(&mut self, first: u64, ends: impl ExactSizeIterator<Item = u64>) {
        let Self { slots, first: oldest, next } = self;
        let (room, count, mask) = (slots.len() as u64, ends.len() as u64, slots.len() - 1);
        debug_assert!(count <= room);
        *oldest = (*oldest).max((*next + count).saturating_sub(room));
        for (i, end) in (0..count).zip(ends) {
            slots[(*next + i) as usize & mask] = (first + i, end);
        }
        *next += count;
    }

    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.next - self.first == self.slots.len() as u64
    }

    pub(crate) fn oldest(&self) -> Option<Extent> {
        (self.first < self.next).then(|| self.extent(self.first))
    }

    /// How many of the oldest ones, but no more than `most`, are so.
    pub(crate) fn count_while(&self, most: u64, is_so: impl Fn(Extent) -> bool) -> u64 {
        let some = self.first..self.next.min(self.first + most);
        some.take_while(|number| is_so(self.extent(*number))).count() as u64
    }

    /// Removes the oldest `count`, of which there must be so many. Returns the last of them.
    pub(crate) fn remove(&mut self, count: u64) -> Option<Extent> {
        self.first += count;
        (count > 0).then(|| self.extent(self.first - 1))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_however_many_are_added_at_once() {
        for at_once in 1..=4 {
            let mut extents = Extents::new(4);
            let mut added: Vec<u64> = Vec::new();
            for _ in 0..5 {
                let first = added.len() as u64;
                let new = first..first + at_once;
                extents
                    .push(first, new.clone().map(|position| 10 * position).collect::<Vec<_>>().into_iter());
                added.extend(new);
                let kept = &added[added.len().saturating_sub(4)..];
                assert_eq!(extents.is_full(), kept.len() == 4);
                assert_eq!(extents.oldest().map(|oldest| oldest.position), kept.first().copied());
                assert_eq!(
                    extents.count_while(9, |extent| extent.end == 10 * extent.position),
                    kept.len() as u64
                );
            }
            assert_eq!(extents.remove(3).map(|last| last.position), Some(added[added.len() - 2]));
            assert_eq!(extents.remove(0).map(|last| last.position), None);
            assert_eq!(extents.count_while(9, |_| true), 1);
        }
    }
}
