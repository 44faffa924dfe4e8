//! The cursor of a consumer: what producers keep for it.

use super::BroadcastRing;
use crate::order_ring::crash_point::crash_point;
use crate::sync::{AtomicU64, Ordering, fence};

/// The word of a consumer that holds nothing up; else it is one more than the position.
const NONE: u64 = 0;

/// The cursor of an attached consumer. Only its owner stores it, while the owner lives.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(super) ring: &'a BroadcastRing,
    pub(super) me: usize,
}

impl Cursor<'_> {
    #[inline(always)]
    fn word(&self) -> &AtomicU64 {
        self.ring.cursor_word(self.me)
    }

    /// Joins at `position`, or at the oldest one that is retained: returns where. From there on all
    /// positions may be read in place, until they are released. Frames before it that this consumer
    /// still reads are no longer kept.
    #[inline(never)]
    pub(crate) fn join(self, position: u64) -> u64 {
        crash_point();
        self.store(position);
        crash_point();
        // Orders the cursor before the reading of `floor`; a raise orders its announcement before
        // the second reading of the cursors.
        fence(Ordering::SeqCst);
        let floor = self.ring.oldest();
        if floor <= position {
            return position;
        }
        crash_point();
        self.store(floor);
        floor
    }

    /// Keeps positions from `position` on only. All reads of those before it are done.
    #[inline(always)]
    pub(crate) fn release(self, position: u64) {
        self.store(position);
    }

    #[inline(always)]
    fn store(self, position: u64) {
        // SYNC release: the reads of what lies before it are done. Saturating: a corrupt position must
        // neither cause a panic nor look like no cursor.
        self.word().store(position.saturating_add(1), Ordering::Release);
    }

    /// Holds nothing up any more. All reads are done.
    #[inline(always)]
    pub(crate) fn remove(self) {
        // SYNC release: the reads come before it.
        self.word().store(NONE, Ordering::Release);
    }
}

impl BroadcastRing {
    /// An entry has the cursor in the place of the intent to take.
    #[inline(always)]
    pub(super) fn cursor_word(&self, entry: usize) -> &AtomicU64 {
        &self.order.entries[entry].own.take_intent
    }

    /// Where the cursor of an entry stands; `None` if it holds nothing up.
    #[inline(always)]
    pub(crate) fn cursor_of(&self, entry: usize) -> Option<u64> {
        // SYNC release
        self.cursor_word(entry).load(Ordering::Acquire).checked_sub(1)
    }

    /// Removes the cursor of an entry whose owner is dead, or leaves.
    pub(super) fn remove_cursor(&self, entry: usize) {
        self.cursor_word(entry).store(NONE, Ordering::Release);
    }
}
