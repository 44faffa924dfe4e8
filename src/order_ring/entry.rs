//! An attached participant: a registry entry together with the liveness lock on it.
//!
//! Whatever only the owner of an entry may do is a method of [`Entry`], [`Producer`] or
//! [`Consumer`], and these exist only while the liveness lock is held.

use super::crash_point::crash_point;
use super::{Consumer, CursorGuess, HeldSlot, OrderRing, Producer, Registry, TakeState};
use crate::lane::mpmc::AdoptedFrame;
use crate::layout::order::{EntryRole, Intent, SlotKind, Tail};
use crate::sync::Ordering;

/// The liveness lock of a registry entry, which is held as long as this value exists.
pub(crate) trait EntryLock {
    /// The entry's index.
    fn entry(&self) -> usize;
}

/// A registry entry that this participant is attached to. Owns the liveness lock.
///
/// Dropping it releases the lock without detaching: to others the participant then looks dead.
pub(crate) struct Entry<L, R = OrderRing> {
    ring: R,
    me: usize,
    lock: L,
}

impl<L: EntryLock, R: Registry> Entry<L, R> {
    /// Attaches to the entry whose liveness lock is given. `None` if residue of a dead owner is
    /// still in it: then the lock is released, for it makes the dead owner look alive, and the
    /// entry must be recovered first.
    pub(crate) fn attach(ring: &R, lock: L, role: EntryRole, pid: u32, since_ns: u64) -> Option<Self> {
        let me = lock.entry();
        ring.order().attach(me, role, pid, since_ns).then(|| Self { ring: ring.clone(), me, lock })
    }
}

impl<L, R: Registry> Entry<L, R> {
    /// The same entry, with its lock inside another value.
    pub(crate) fn map_lock<M>(self, map: impl FnOnce(L) -> M) -> Entry<M, R> {
        let Self { ring, me, lock } = self;
        Entry { ring, me, lock: map(lock) }
    }

    #[inline(always)]
    pub(crate) fn ring(&self) -> &R {
        &self.ring
    }

    /// The entry's index, which is its lane's number as well.
    #[inline(always)]
    pub(crate) fn index(&self) -> usize {
        self.me
    }

    #[cfg(test)]
    pub(crate) fn lock(&self) -> &L {
        &self.lock
    }

    /// Detaches, and leaves nothing that others would have to recover. The last call; the liveness
    /// lock is released afterwards, when this value is dropped.
    pub(crate) fn detach(&self) {
        self.ring.detach(self.me);
    }
}

impl<L> Entry<L> {
    /// What a producer may do.
    #[inline(always)]
    pub(crate) fn producer<'a>(&'a self, guess: &'a CursorGuess<Tail>) -> Producer<'a> {
        Producer { ring: &self.ring, me: self.me, guess }
    }

    /// What a consumer may do with its one thread. Frames in flight are released through the entry,
    /// by any thread.
    #[inline(always)]
    pub(crate) fn consumer<'a>(&'a self, state: &'a TakeState) -> Consumer<'a> {
        Consumer { ring: &self.ring, me: self.me, state }
    }

    /// The frames that are still in the entry's lane, in the order of their positions, and possibly
    /// some that are already released.
    pub(crate) fn frames_in_lane(&self) -> Vec<AdoptedFrame> {
        self.ring.frames_in(self.me)
    }

    /// Records that the entry's lane has its space on the disk.
    pub(crate) fn set_lane_ready(&self) {
        self.ring.entries[self.me].lane_ready.store(1, Ordering::Release);
    }

    /// Counts a rejected frame. Guards may be on any thread: several threads may count here.
    pub(crate) fn count_rejected(&self) {
        self.ring.entries[self.me].own.rejected.fetch_add(1, Ordering::Relaxed);
    }
}

impl OrderRing {
    /// Attaches to entry `me`, whose liveness lock the caller holds. False if residue of a dead
    /// owner is still in it.
    pub(super) fn attach(&self, me: usize, role: EntryRole, pid: u32, since_ns: u64) -> bool {
        let entry = &self.entries[me];
        let word = self.entry_word(me);
        if word.is_dirty() {
            return false;
        }
        // Another participant may since have claimed what the last owner intended: under a living
        // liveness lock it would look like an intent of this one.
        entry.own.claim_intent.store(Intent::NONE.0, Ordering::Release);
        entry.own.take_intent.store(Intent::NONE.0, Ordering::Release);
        entry.pid.store(pid.into(), Ordering::Relaxed);
        entry.since_ns.store(since_ns, Ordering::Relaxed);
        let (own, before) = (&entry.own, &entry.before);
        for (counter, before) in [
            (&own.sent, &before.sent),
            (&own.received, &before.received),
            (&own.redelivered, &before.redelivered),
            (&own.full, &before.full),
            (&own.rejected, &before.rejected),
        ] {
            // Only the owner counts, and the entry is the caller's alone now. If the caller dies
            // here, the next owner repeats it.
            before.store(counter.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        crash_point();
        // DIRTY before the first intent.
        entry.word.store(word.attached(role).0, Ordering::Release);
        true
    }

    /// Detaches from entry `me`, whose liveness lock the caller holds, and rejects every frame that
    /// the participant still holds.
    pub(super) fn detach(&self, me: usize) {
        let word = self.entry_word(me);
        if word.role() == EntryRole::Consumer {
            for slot in 0..self.slots.len() {
                let state = self.state(slot);
                if state.kind() == SlotKind::Held && state.owner() == me {
                    let position = self.position(state, slot);
                    self.reject(HeldSlot { position, redeliveries: state.redeliveries() });
                }
            }
        }
        crash_point();
        self.entries[me].word.store(word.cleaned().0, Ordering::Release);
    }

    /// The frames that are still in `lane`. The caller must hold the liveness lock of the lane's
    /// entry.
    pub(super) fn frames_in(&self, lane: usize) -> Vec<AdoptedFrame> {
        let mut frames = Vec::new();
        for slot in 0..self.slots.len() {
            let state = self.state(slot);
            if state.kind() == SlotKind::Free {
                continue;
            }
            // If the reference belongs to a later position, that frame is in another lane, whose
            // owner may write it meanwhile: all that owners of this lane wrote was written before
            // the caller got its liveness lock. Then this frame is released already.
            let found = Self::frame_ref(&self.slots[slot]);
            if found.lane == lane {
                let position = self.position(state, slot);
                frames.push(AdoptedFrame { position, offset: found.offset, len: found.len });
            }
        }
        frames.sort_unstable_by_key(|frame| frame.position);
        frames
    }
}
