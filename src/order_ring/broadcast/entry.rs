//! Attached participants of a broadcast queue.

use super::{BroadcastProducer, BroadcastRing, Cursor, ProducerState};
use crate::lane::Corruption;
use crate::lane::mpmc::AdoptedFrame;
use crate::layout::order::{EntryRole, SlotKind};
use crate::order_ring::crash_point::crash_point;
use crate::order_ring::{Blocked, Entry, EntrySet, LivenessProbe, OrderRing, Recovered, Registry};
use crate::sync::Ordering;

/// How a consumer reads. Diagnostic only: the cursor decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryMode {
    /// It always has a cursor.
    Reliable,
    /// It never has one, and copies.
    Lossy,
    /// It has one while it holds frames.
    LossyInPlace,
}

impl EntryMode {
    const fn word(self) -> u64 {
        match self {
            Self::Reliable => 1,
            Self::Lossy => 2,
            Self::LossyInPlace => 3,
        }
    }

    /// The mode that a word stands for, if any.
    pub(crate) const fn from_word(word: u64) -> Option<Self> {
        match word {
            1 => Some(Self::Reliable),
            2 => Some(Self::Lossy),
            3 => Some(Self::LossyInPlace),
            _ => None,
        }
    }
}

/// What a consumer's entry says of it. Diagnostic only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReaderRecord {
    pub(crate) mode: Option<EntryMode>,
    /// The position that it reads next.
    pub(crate) next: u64,
}

impl Registry for BroadcastRing {
    fn order(&self) -> &OrderRing {
        &self.order
    }

    fn check(&self) -> Result<(), Corruption> {
        self.check_cursors()
    }

    /// Producers prefer entries whose lane is ready.
    fn candidates(&self, role: EntryRole) -> Vec<usize> {
        let entries = match role {
            EntryRole::Producer => 0..self.producers,
            EntryRole::Consumer => self.producers..self.order.entry_count(),
        };
        let is_clean = |entry: &usize| !self.order.entry_word(*entry).is_dirty();
        let mut candidates: Vec<_> = entries.filter(is_clean).collect();
        if role == EntryRole::Producer {
            candidates.sort_by_key(|entry| !self.order.is_lane_ready(*entry));
        }
        candidates
    }

    fn capacity(&self, role: EntryRole) -> usize {
        match role {
            EntryRole::Producer => self.producers,
            EntryRole::Consumer => self.order.entry_count() - self.producers,
        }
    }

    fn involved(&self) -> EntrySet {
        self.entries_involved()
    }

    fn recover(&self, probe: &impl LivenessProbe, suspects: Option<&EntrySet>) -> Recovered {
        self.recover_dead(probe, suspects)
    }

    fn blocked(&self, position: u64, probe: &impl LivenessProbe, dead: &mut EntrySet) -> Blocked {
        self.blocked_position(position, probe, dead)
    }

    fn detach(&self, me: usize) {
        let word = self.order.entry_word(me);
        self.remove_cursor(me);
        crash_point();
        self.order.entries[me].word.store(word.cleaned().0, Ordering::Release);
    }
}

impl<L> Entry<L, BroadcastRing> {
    /// What a producer may do.
    #[inline(always)]
    pub(crate) fn producer<'a>(&'a self, state: &'a ProducerState) -> BroadcastProducer<'a> {
        BroadcastProducer { ring: self.ring(), me: self.index(), state }
    }

    /// The consumer's cursor.
    #[inline(always)]
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor { ring: self.ring(), me: self.index() }
    }

    /// Records for others how this consumer reads.
    pub(crate) fn set_mode(&self, mode: EntryMode) {
        self.ring().order.entries[self.index()].mode.store(mode.word(), Ordering::Relaxed);
    }

    /// Records for others which position the consumer reads next.
    #[inline(always)]
    pub(crate) fn record_next(&self, next: u64) {
        self.ring().order.entries[self.index()].own.next.store(next, Ordering::Relaxed);
    }

    /// Counts delivered messages.
    #[inline(always)]
    pub(crate) fn count_received(&self, count: u64) {
        OrderRing::add(&self.ring().order.entries[self.index()].own.received, count);
    }

    /// Counts positions that were over before this consumer came to them.
    pub(crate) fn count_lagged(&self, count: u64) {
        OrderRing::add(&self.ring().order.entries[self.index()].own.redelivered, count);
    }

    /// Counts a rejected message.
    pub(crate) fn count_rejected(&self) {
        OrderRing::add(&self.ring().order.entries[self.index()].own.rejected, 1);
    }

    /// Records that the entry's lane has its space on the disk.
    pub(crate) fn set_lane_ready(&self) {
        self.ring().order.entries[self.index()].lane_ready.store(1, Ordering::Release);
    }

    /// The frames of the entry's lane that are not over, in the order of their positions.
    pub(crate) fn frames_in_lane(&self) -> Vec<AdoptedFrame> {
        let (ring, lane) = (self.ring(), self.index());
        // First: what is over now stays so.
        let free = ring.free();
        let mut frames = Vec::new();
        for slot in 0..ring.order.slots.len() {
            let state = ring.order.state(slot);
            let position = ring.order.position(state, slot);
            if state.kind() != SlotKind::Full || position < free {
                continue;
            }
            // If the reference belongs to a later position, that frame is in another lane, and this
            // position is over.
            let found = OrderRing::frame_ref(&ring.order.slots[slot]);
            if found.lane == lane {
                frames.push(AdoptedFrame { position, offset: found.offset, len: found.len });
            }
        }
        frames.sort_unstable_by_key(|frame| frame.position);
        frames
    }
}

impl BroadcastRing {
    /// What the entry of a consumer says of it.
    pub(crate) fn reader_record(&self, entry: usize) -> ReaderRecord {
        let entry = &self.order.entries[entry];
        ReaderRecord {
            mode: EntryMode::from_word(entry.mode.load(Ordering::Relaxed)),
            next: entry.own.next.load(Ordering::Relaxed),
        }
    }
}
