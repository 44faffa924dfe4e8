//! A producer's list of the live frames of its lane, those that a consumer may still read, in their
//! order.

/// Adjacent frames of one size at consecutive positions: what one entry of the list describes.
/// Where no other producer claims in between, and messages have one size, most frames are in such
/// runs.
#[derive(Clone, Copy)]
struct FrameRun {
    /// Position of the first frame.
    first: u64,
    /// Position after the last frame.
    next: u64,
    /// Where the last frame ends in the lane.
    end: u64,
    /// Bytes of each frame.
    size: u64,
}

impl FrameRun {
    #[inline(always)]
    fn count(self) -> u64 {
        self.next - self.first
    }

    /// Where the first frame begins in the lane.
    fn start(self) -> u64 {
        self.end - self.count() * self.size
    }
}

/// The list of runs. All frames are at different positions, and a frame whose position is lower
/// than the newest by the number of slots or more is no longer live, for its slot has been claimed
/// again (why that is enough to reuse its bytes: `crate::order_ring`). Without those there are no
/// more runs than slots.
pub(crate) struct LiveFrames {
    /// All runs but the newest: run `i` is at index `i % len`. Arrays of numbers, because a new
    /// vector of them takes zeroed pages from the system: pages that are never used are never
    /// touched.
    slots: Box<[[u64; 4]]>,
    /// The number of the oldest of these runs ...
    first_slot: u64,
    /// ... and the number after the newest of them.
    next_slot: u64,
    /// The newest run. May be empty.
    newest: FrameRun,
}

impl LiveFrames {
    /// Creates the list for a queue with this many slots, a power of two; `end` is where the first
    /// frame will begin in the lane.
    pub(crate) fn new(slots: usize, end: u64) -> Self {
        assert!(slots.is_power_of_two(), "geometry was checked");
        let newest = FrameRun { first: 0, next: 0, end, size: 0 };
        Self { slots: vec![[0; 4]; slots].into(), first_slot: 0, next_slot: 0, newest }
    }

    /// Where the newest frame ends in the lane.
    #[inline(always)]
    pub(crate) fn end(&self) -> u64 {
        self.newest.end
    }

    /// Adds the newest frames, at consecutive positions from `first` on: for each, its size in
    /// bytes and where it ends.
    #[inline(always)]
    pub(crate) fn push(&mut self, first: u64, frames: impl Iterator<Item = (u64, u64)>) {
        // In registers, as long as one run continues.
        let FrameRun { mut next, mut end, mut size, .. } = self.newest;
        for (position, (size_of_this, end_of_this)) in (first..).zip(frames) {
            if next != position || size != size_of_this || end + size != end_of_this {
                (self.newest.next, self.newest.end) = (next, end);
                self.begin(position, size_of_this);
                size = size_of_this;
            }
            (next, end) = (position + 1, end_of_this);
        }
        (self.newest.next, self.newest.end) = (next, end);
    }

    #[inline(never)]
    fn begin(&mut self, position: u64, size: u64) {
        if self.newest.count() > 0 {
            self.store_newest();
        }
        self.newest.first = position;
        self.newest.size = size;
    }

    #[inline(always)]
    fn slot(&self, number: u64) -> usize {
        number as usize & (self.slots.len() - 1)
    }

    #[inline(always)]
    fn oldest_frame_run(&self) -> FrameRun {
        if self.first_slot == self.next_slot {
            return self.newest;
        }
        let [first, next, end, size] = self.slots[self.slot(self.first_slot)];
        FrameRun { first, next, end, size }
    }

    #[inline]
    fn store_newest(&mut self) {
        let count = self.slots.len() as u64;
        if self.next_slot - self.first_slot == count {
            self.remove_reusable();
            // Nothing was reusable: the positions are corrupt.
            self.first_slot = self.first_slot.max(self.next_slot - (count - 1));
        }
        let FrameRun { first, next, end, size } = self.newest;
        let slot = self.slot(self.next_slot);
        self.slots[slot] = [first, next, end, size];
        self.next_slot += 1;
    }

    /// The position after the newest frame's.
    pub(crate) fn next(&self) -> u64 {
        self.newest.next
    }

    /// The position of the oldest frame, and the number of frames at consecutive positions from
    /// there on in the list's first run.
    pub(crate) fn oldest(&self) -> Option<(u64, u64)> {
        let run = self.oldest_frame_run();
        (run.count() > 0).then(|| (run.first, run.count()))
    }

    /// Where the oldest frame begins in the lane.
    pub(crate) fn start(&self) -> Option<u64> {
        let run = self.oldest_frame_run();
        (run.count() > 0).then(|| run.start())
    }

    /// Removes the oldest `count` frames; the first run must contain at least as many.
    pub(crate) fn remove(&mut self, count: u64) {
        let run = self.oldest_frame_run();
        let first = run.first + count;
        if self.first_slot == self.next_slot {
            self.newest.first = first;
        } else if first == run.next {
            self.first_slot += 1;
        } else {
            let slot = self.slot(self.first_slot);
            self.slots[slot][0] = first;
        }
    }

    /// Removes the frames whose slots have been claimed again.
    pub(crate) fn remove_reusable(&mut self) {
        let reusable = self.newest.next.saturating_sub(self.slots.len() as u64);
        while let Some((first, count)) = self.oldest()
            && first < reusable
        {
            self.remove(count.min(reusable - first));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const SLOTS: usize = 8;

    /// Empties the list; returns the position and the start of each of its frames.
    fn emptied(mut live_frames: LiveFrames) -> Vec<(u64, u64)> {
        let mut all = Vec::new();
        while let Some((position, count)) = live_frames.oldest() {
            assert!(count > 0);
            all.push((position, live_frames.start().expect("there is one")));
            live_frames.remove(1);
        }
        assert_eq!(live_frames.start(), None);
        all
    }

    proptest::proptest! {
        /// Frames of few sizes, with or without positions of other producers in between, with or
        /// without padding in between.
        #[test]
        fn as_a_plain_list(
            frames in proptest::collection::vec((0..3_u64, 1..3_u64, 0..2_u64, 0..4_u64), 0..60),
        ) {
            let mut live_frames = LiveFrames::new(SLOTS, 0);
            let mut plain: VecDeque<(u64, u64)> = VecDeque::new();
            let (mut position, mut end) = (0, 0);
            for (others, size, padding, released) in frames {
                (position, end) = (position + others, end + padding * 7 + size);
                live_frames.push(position, [(size, end)].into_iter());
                plain.push_back((position, end - size));
                position += 1;
                live_frames.remove_reusable();
                while plain.front().is_some_and(|(oldest, _)| oldest + (SLOTS as u64) < position) {
                    plain.pop_front();
                }
                for _ in 0..released.min(plain.len() as u64) {
                    live_frames.remove(1);
                    plain.pop_front();
                }
                proptest::prop_assert_eq!(live_frames.oldest().map(|(first, _)| first), plain.front().map(|frame| frame.0));
            }
            proptest::prop_assert_eq!(emptied(live_frames), Vec::from(plain));
        }
    }

    #[test]
    fn frames_side_by_side_are_one_run() {
        let mut live_frames = LiveFrames::new(SLOTS, 0);
        live_frames.push(3, (3..8).map(|position| (10, 10 * position)));
        live_frames.push(8, [(10, 80)].into_iter());
        assert_eq!((live_frames.oldest(), live_frames.start()), (Some((3, 6)), Some(20)));
        live_frames.remove(4);
        assert_eq!((live_frames.oldest(), live_frames.start()), (Some((7, 2)), Some(60)));
    }

    #[test]
    fn without_removal_no_more_runs_than_slots_are_kept() {
        let mut live_frames = LiveFrames::new(SLOTS, 0);
        // Every other position, and every frame of a different size: no two form a run.
        (0..100_u64).for_each(|i| live_frames.push(2 * i, [(i, i * i)].into_iter()));
        live_frames.remove_reusable();
        assert_eq!(emptied(live_frames).len(), SLOTS / 2);
        // Positions that no `tail` would give.
        let mut live_frames = LiveFrames::new(SLOTS, 0);
        (0..100).for_each(|i| live_frames.push(100 - i, [(1, 1000 - i)].into_iter()));
        assert_eq!(emptied(live_frames).len(), SLOTS + 1);
    }
}
