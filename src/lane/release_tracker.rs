//! The consumer's accounts: which frames are in flight, which were released out of order, and which
//! may be overwritten.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::done::Done;
use super::{Corruption, Ref, SpscFrame};
use crate::layout::{Cursors, Geometry, POSITION_LIMIT};
use crate::sync::Ordering;

/// Value of `next_release` when the slow path is needed.
const SLOW_PATH: u64 = u64::MAX;

/// Accounts for every position between `released` and `taken`. A frame's range starts where the
/// range before it ended, so that padding belongs to the frame after it.
pub(crate) struct ReleaseTracker {
    cursors: Ref<Cursors>,
    /// End of the newest frame that was delivered. Equals `cursors.consumer.taken`.
    taken: Cell<u64>,
    /// Start of the oldest frame in flight, or SLOW_PATH. A frame that starts here is released by
    /// advancing this value.
    next_release: Cell<u64>,
    /// `head` is stored when the released position reaches this.
    head_due: Cell<u64>,
    head_step: u64,
    /// Whether a rejected frame is waiting to be delivered.
    has_rejected: Cell<bool>,
    /// Frames before this position were delivered before, `redelivery_count` times.
    redelivered_until: u64,
    redelivery_count: u64,
    slow_path: RefCell<SlowPath>,
    done: Done,
}

/// State that only out-of-order releases and rejected frames need.
#[derive(Default)]
struct SlowPath {
    /// Start of the oldest frame in flight, while `next_release` is SLOW_PATH.
    released: u64,
    /// Ranges released while an older frame was in flight: start to end.
    out_of_order: BTreeMap<u64, u64>,
    /// Frames to redeliver before any new one, by their start: oldest first.
    rejected: BTreeMap<u64, SpscFrame>,
    /// How many times frames in flight or waiting were rejected, by their start.
    rejections: BTreeMap<u64, u64>,
}

impl ReleaseTracker {
    /// Takes over the consumer's words. The caller must hold the consumer's liveness lock.
    pub(crate) fn attach(cursors: Ref<Cursors>, done: Done, geometry: &Geometry) -> Result<Self, Corruption> {
        let words = &cursors.consumer;
        let released = words.released.load(Ordering::Acquire);
        let taken = words.taken.load(Ordering::Acquire);
        let corruption = |word, found| Corruption { word, position: released, found };
        let tail = cursors.tail.load(Ordering::Acquire);
        // A dead writer may not have stored its last `tail`: a consumer may stand beyond it, but
        // less than a ring.
        if released > POSITION_LIMIT + 2 * geometry.capacity
            || released.abs_diff(tail) > geometry.capacity
            || !geometry.is_boundary(released)
        {
            return Err(corruption("released", released));
        }
        // A predecessor that attached after another one may not have got as far as that one:
        // `taken` may be lower.
        if taken.saturating_sub(released) > geometry.capacity || !geometry.is_boundary(taken) {
            return Err(corruption("taken", taken));
        }
        let before = words.redelivered_until.load(Ordering::Relaxed);
        if before.saturating_sub(released) > geometry.capacity {
            return Err(corruption("redelivered_until", before));
        }
        let (redelivered_until, redelivery_count) = Self::count_redelivery(&cursors, released, taken, before);
        // A predecessor may have died between `released` and `head`.
        // SYNC release
        cursors.head.store(released, Ordering::Release);
        // Models have tiny rings, of which each frame would be a sixteenth: they should exercise
        // both ways to release.
        let head_step = (geometry.capacity / if cfg!(loom) { 2 } else { 16 }).max(1);
        Ok(Self {
            cursors,
            taken: Cell::new(released),
            next_release: Cell::new(released),
            head_due: Cell::new(released + head_step),
            head_step,
            has_rejected: Cell::new(false),
            redelivered_until,
            redelivery_count,
            slow_path: RefCell::default(),
            done,
        })
    }

    /// Frames in `[released, taken)` were delivered by a consumer that is gone, those before
    /// `before` by one before it. Returns the position up to which frames are redelivered, and how
    /// many times the oldest of them was.
    fn count_redelivery(cursors: &Cursors, released: u64, taken: u64, before: u64) -> (u64, u64) {
        let words = &cursors.consumer;
        let earlier = if before > released { words.redelivery_count.load(Ordering::Relaxed) } else { 0 };
        let count = earlier.saturating_add(u64::from(taken > released));
        let until = taken.max(before);
        // The count first: a death between the two stores leaves a count that is too high, never
        // too low.
        words.redelivery_count.store(count, Ordering::Relaxed);
        words.redelivered_until.store(until, Ordering::Release);
        // This consumer has delivered nothing yet: it must not be counted if it ends without doing so.
        words.taken.store(released, Ordering::Release);
        (until, count)
    }

    /// The frames after the oldest one in flight that earlier consumers have noted as done with:
    /// start to end.
    pub(super) fn noted(&self, geometry: &Geometry) -> BTreeMap<u64, u64> {
        self.done.within(self.taken.get(), self.redelivered_until, geometry)
    }

    /// Continues after frames that earlier consumers had in flight: some are done with, the others
    /// are delivered before any new one. Must be called before anything is delivered, with all
    /// frames from `released` on.
    pub(super) fn inherit(&self, frames: impl Iterator<Item = (SpscFrame, bool)>) {
        let released = self.released();
        let mut slow_path = self.slow_path.borrow_mut();
        for (frame, is_done) in frames {
            if is_done {
                slow_path.out_of_order.insert(frame.start, frame.end);
            } else {
                slow_path.rejected.insert(frame.start, frame);
            }
            self.taken.set(frame.end);
        }
        self.has_rejected.set(!slow_path.rejected.is_empty());
        let now = slow_path.advance(released);
        self.next_release.set(if slow_path.is_empty() { now } else { SLOW_PATH });
        drop(slow_path);
        if now != released {
            self.publish_released(now);
        }
    }

    /// The consumer detaches in order: notes released frames that are after frames to be redelivered.
    pub(super) fn detach(&self) {
        self.done.note(&self.slow_path.borrow().out_of_order);
    }

    /// The position from which on no earlier consumer has taken a frame. Nothing was taken yet.
    pub(super) fn first_undelivered(&self) -> u64 {
        self.redelivered_until.max(self.taken.get())
    }

    /// The reader's position: the end of the newest frame that was delivered.
    #[inline(always)]
    pub(crate) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Notes that everything up to `end` is delivered.
    #[inline(always)]
    pub(crate) fn take(&self, end: u64) {
        self.taken.set(end);
        self.cursors.consumer.taken.store(end, Ordering::Release);
    }

    /// The fast path of [`release`](Self::release): frames are released in order, and `head` is not
    /// due. False if the fast path does not apply; then nothing is done.
    ///
    /// Dropping a guard has to be little code, with few calls. Otherwise it becomes a call itself,
    /// and the guard, whose address that call takes, lives in memory.
    #[inline(always)]
    pub(crate) fn release_in_order(&self, start: u64, end: u64) -> bool {
        let is_quick = start == self.next_release.get() && end < self.head_due.get();
        if is_quick {
            self.next_release.set(end);
            // SYNC release: the guard's reads come before it.
            self.cursors.consumer.released.store(end, Ordering::Release);
        }
        is_quick
    }

    /// Releases the frame's room, and that of frames after it that were released before. True if
    /// `head` was stored.
    pub(crate) fn release(&self, start: u64, end: u64) -> bool {
        if start == self.next_release.get() {
            self.next_release.set(end);
            self.publish_released(end)
        } else {
            self.release_out_of_order(start, end)
        }
    }

    fn publish_released(&self, released: u64) -> bool {
        // SYNC release: the guard's reads come before it.
        self.cursors.consumer.released.store(released, Ordering::Release);
        let is_due = released >= self.head_due.get();
        if is_due {
            self.publish_head(released);
        }
        is_due
    }

    #[inline]
    fn publish_head(&self, released: u64) {
        self.head_due.set(released + self.head_step);
        // SYNC release
        self.cursors.head.store(released, Ordering::Release);
    }

    /// Makes all released room visible to the producer, when there is nothing to take. True if
    /// `head` was stored.
    #[inline(always)]
    pub(crate) fn flush_released(&self) -> bool {
        let released = self.released();
        let is_overdue = released + self.head_step != self.head_due.get();
        if is_overdue {
            self.publish_head(released);
        }
        is_overdue
    }

    #[inline(always)]
    fn released(&self) -> u64 {
        match self.next_release.get() {
            SLOW_PATH => self.slow_path.borrow().released,
            released => released,
        }
    }

    #[cold]
    fn release_out_of_order(&self, start: u64, end: u64) -> bool {
        let released = self.released();
        let mut slow_path = self.slow_path.borrow_mut();
        slow_path.rejections.remove(&start);
        slow_path.out_of_order.insert(start, end);
        let now = slow_path.advance(released);
        self.next_release.set(if slow_path.is_empty() { now } else { SLOW_PATH });
        drop(slow_path);
        now != released && self.publish_released(now)
    }

    /// Returns a frame to the queue: it is delivered again before any new one, with `redeliveries`
    /// added to its count. A frame with 0 is noted as well, because `next_release` must stay
    /// SLOW_PATH until it is released.
    #[cold]
    pub(crate) fn put_back(&self, frame: SpscFrame, redeliveries: u64) {
        let released = self.released();
        let mut slow_path = self.slow_path.borrow_mut();
        slow_path.released = released;
        *slow_path.rejections.entry(frame.start).or_default() += redeliveries;
        slow_path.rejected.insert(frame.start, frame);
        self.next_release.set(SLOW_PATH);
        self.has_rejected.set(true);
    }

    #[inline(always)]
    pub(crate) fn has_rejected(&self) -> bool {
        self.has_rejected.get()
    }

    /// Takes a frame that was returned to the queue. `None` while this thread panics: a destructor
    /// that drains the queue would get the same frame, which its guard returns to the queue, for
    /// ever.
    #[cold]
    pub(crate) fn take_rejected(&self) -> Option<SpscFrame> {
        if std::thread::panicking() {
            return None;
        }
        let mut slow_path = self.slow_path.borrow_mut();
        let frame = slow_path.rejected.pop_first().map(|(_, frame)| frame);
        self.has_rejected.set(!slow_path.rejected.is_empty());
        // A frame that an earlier consumer left is delivered by this one now. The frames after it are not: if this
        // consumer dies before they are, that is no delivery of theirs.
        if let Some(frame) = frame {
            let taken = &self.cursors.consumer.taken;
            let newest = taken.load(Ordering::Relaxed).max(frame.end);
            taken.store(newest, Ordering::Release);
        }
        frame
    }

    /// The number of positions of the frames that were returned to the queue.
    pub(super) fn put_back_size(&self) -> u64 {
        self.slow_path.borrow().rejected.values().map(|frame| frame.end - frame.start).sum()
    }

    /// How many times the frame was delivered before.
    pub(crate) fn redeliveries(&self, start: u64) -> u64 {
        let died = if start < self.redelivered_until { self.redelivery_count } else { 0 };
        if self.next_release.get() != SLOW_PATH {
            return died;
        }
        died.saturating_add(self.slow_path.borrow().rejections.get(&start).copied().unwrap_or(0))
    }
}

impl SlowPath {
    /// Advances `released` over the ranges after it that were released out of order.
    fn advance(&mut self, released: u64) -> u64 {
        let mut now = released;
        while let Some(end) = self.out_of_order.remove(&now) {
            now = end;
        }
        self.released = now;
        now
    }

    fn is_empty(&self) -> bool {
        self.out_of_order.is_empty() && self.rejected.is_empty() && self.rejections.is_empty()
    }
}
