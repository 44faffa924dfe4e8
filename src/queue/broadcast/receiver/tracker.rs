//! What one consumer has taken and not released: guards may be dropped in any order, and rejected
//! messages are delivered again by the same consumer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::BroadcastFrame;

/// Accounts for every position between `released` and the next one to be taken.
#[derive(Default)]
pub(super) struct Tracker {
    /// All positions before it are released.
    released: Cell<u64>,
    /// Whether something was released out of order, or rejected.
    is_slow: Cell<bool>,
    has_rejected: Cell<bool>,
    slow: RefCell<Slow>,
}

/// State that only out-of-order releases and rejected frames need.
#[derive(Default)]
struct Slow {
    /// Ranges of positions released while an older frame was in flight: start to end.
    done: BTreeMap<u64, u64>,
    /// Frames to deliver before any new one, by their position: oldest first.
    rejected: BTreeMap<u64, BroadcastFrame>,
    /// How many times frames in flight or rejected ones were rejected, by their position.
    rejections: BTreeMap<u64, u64>,
}

impl Tracker {
    pub(super) fn new(next: u64) -> Self {
        let tracker = Self::default();
        tracker.released.set(next);
        tracker
    }

    /// All positions before it are released.
    #[inline(always)]
    pub(super) fn released(&self) -> u64 {
        self.released.get()
    }

    /// Notes that a range of positions is released, or has no message; true if `released` has moved.
    #[inline(always)]
    pub(super) fn release(&self, start: u64, end: u64) -> bool {
        if start == self.released.get() && !self.is_slow.get() {
            self.released.set(end);
            return true;
        }
        self.release_slowly(start, end)
    }

    #[cold]
    #[inline(never)]
    fn release_slowly(&self, start: u64, end: u64) -> bool {
        let mut slow = self.slow.borrow_mut();
        slow.rejections.remove(&(end - 1));
        slow.done.insert(start, end);
        let before = self.released.get();
        let mut now = before;
        while let Some(end) = slow.done.remove(&now) {
            now = end;
        }
        self.released.set(now);
        self.is_slow.set(!slow.is_empty());
        now != before
    }

    /// Returns a frame to be delivered again, with `redeliveries` added to its count.
    #[cold]
    pub(super) fn reject(&self, frame: BroadcastFrame, redeliveries: u64) {
        let mut slow = self.slow.borrow_mut();
        *slow.rejections.entry(frame.position).or_default() += redeliveries;
        slow.rejected.insert(frame.position, frame);
        self.is_slow.set(true);
        self.has_rejected.set(true);
    }

    #[inline(always)]
    pub(super) fn has_rejected(&self) -> bool {
        self.has_rejected.get()
    }

    /// How many rejected frames wait.
    pub(super) fn rejected(&self) -> u64 {
        if self.has_rejected.get() { self.slow.borrow().rejected.len() as u64 } else { 0 }
    }

    /// Takes the oldest frame that was rejected. `None` while this thread panics: a destructor that
    /// drains the queue would get the same frame, which its guard rejects, for ever.
    #[cold]
    pub(super) fn take_rejected(&self) -> Option<BroadcastFrame> {
        if std::thread::panicking() {
            return None;
        }
        let mut slow = self.slow.borrow_mut();
        let frame = slow.rejected.pop_first().map(|(_, frame)| frame);
        self.has_rejected.set(!slow.rejected.is_empty());
        frame
    }

    /// How many times the frame at this position was rejected.
    pub(super) fn redeliveries(&self, position: u64) -> u64 {
        if !self.is_slow.get() {
            return 0;
        }
        self.slow.borrow().rejections.get(&position).copied().unwrap_or(0)
    }

    /// Forgets everything, and continues at `next`.
    pub(super) fn restart(&self, next: u64) {
        *self.slow.borrow_mut() = Slow::default();
        self.is_slow.set(false);
        self.has_rejected.set(false);
        self.released.set(next);
    }
}

impl Slow {
    fn is_empty(&self) -> bool {
        self.done.is_empty() && self.rejected.is_empty() && self.rejections.is_empty()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn frame(position: u64) -> BroadcastFrame {
        BroadcastFrame { position, offset: 0, len: 0, copy: 0 }
    }

    #[test]
    fn what_is_released_out_of_order_waits_for_the_oldest() {
        let tracker = Tracker::new(5);
        assert!(!tracker.release(6, 8));
        assert!(!tracker.release(9, 10));
        assert!(tracker.release(5, 6));
        assert_eq!(tracker.released(), 8);
        assert!(tracker.release(8, 9));
        assert_eq!(tracker.released(), 10);
        assert!(tracker.release(10, 11) && !tracker.is_slow.get());
    }

    #[test]
    fn rejected_frames_come_again_and_are_not_released() {
        let tracker = Tracker::new(0);
        tracker.reject(frame(0), 1);
        tracker.reject(frame(1), 0);
        assert!(!tracker.release(2, 3));
        assert_eq!((tracker.released(), tracker.rejected()), (0, 2));
        assert_eq!(tracker.take_rejected().map(|frame| frame.position), Some(0));
        assert_eq!((tracker.redeliveries(0), tracker.redeliveries(1)), (1, 0));
        assert!(tracker.release(0, 1));
        assert_eq!(tracker.take_rejected().map(|frame| frame.position), Some(1));
        assert!(tracker.release(1, 2));
        assert_eq!(tracker.released(), 3);
        assert!(!tracker.is_slow.get() && !tracker.has_rejected());
    }
}
