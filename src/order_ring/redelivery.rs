//! Frames that are to be delivered again: each consumer scans for them whenever there may be new ones, oldest first.
//!
//! # The order of the scan
//!
//! *Claim.* A scan that begins at slot `head % links` and goes up, around the end, meets what was REDELIVER when it began in the order
//! of positions.
//! *Proof.* A frame that is REDELIVER was taken, so its position is below `head`. Its link was not freed, so nobody has claimed the
//! position one lap later: `position + links >= tail >= head`. All of them therefore lie in `[head - links, head)`, of which the
//! scan visits each slot once, from the lowest position to the highest. ∎
//!
//! What becomes REDELIVER behind a scan's back raises `redelivery_epoch`, and the next attempt begins a new scan, at the lowest position
//! again (`SYNC redelivery`, in [`super`]). `head` is read after the epoch, so it is no older than the REDOs that the epoch tells of.

use std::cell::Cell;

use super::{HeldSlot, OrderRing};
use crate::layout::order::{SlotKind, SlotState};
use crate::sync::Ordering;

/// How far a consumer's scan of the links has come.
pub(crate) struct RedeliveryScan {
    /// The epoch that was read before the present scan began.
    epoch: Cell<u64>,
    /// The slot that comes next; only of meaning while some are left.
    next: Cell<usize>,
    /// OrderRing that it has not come to yet.
    left: Cell<usize>,
}

impl RedeliveryScan {
    /// A new consumer always scans, whatever the epoch is.
    pub(crate) fn new(ring: &OrderRing) -> Self {
        let scan = Self { epoch: Cell::new(0), next: Cell::new(0), left: Cell::new(0) };
        scan.restart(ring, ring.redelivery_epoch());
        scan
    }

    /// Whether there may be frames to hand out again.
    #[inline(always)]
    pub(crate) fn is_due(&self, ring: &OrderRing) -> bool {
        self.left.get() != 0 || ring.redelivery_epoch() != self.epoch.get()
    }

    /// Takes the oldest one for participant `me`.
    #[cold]
    pub(crate) fn take(&self, ring: &OrderRing, me: usize) -> Option<HeldSlot> {
        self.find(ring, |slot| ring.take_redelivery(slot, me))
    }

    /// Whether there is one to take.
    pub(crate) fn can_take(&self, ring: &OrderRing) -> bool {
        self.find(ring, |slot| (ring.state(slot).kind() == SlotKind::Redeliver).then_some(())).is_some()
    }

    /// The first slot that `check` finds something at. The next search begins there once more: that costs nothing, and the
    /// frame may be rejected at once.
    fn find<R>(&self, ring: &OrderRing, check: impl Fn(usize) -> Option<R>) -> Option<R> {
        let epoch = ring.redelivery_epoch();
        if epoch != self.epoch.get() {
            self.restart(ring, epoch);
        }
        while self.left.get() != 0 {
            let slot = self.next.get();
            let found = check(slot);
            if found.is_some() {
                return found;
            }
            self.next.set(ring.index_of(slot as u64 + 1));
            self.left.set(self.left.get() - 1);
        }
        None
    }

    /// Begins with the lowest position that may be in use.
    fn restart(&self, ring: &OrderRing, epoch: u64) {
        self.epoch.set(epoch);
        self.next.set(ring.index_of(ring.head().position()));
        self.left.set(ring.slots.len());
    }
}

impl OrderRing {
    #[inline(always)]
    fn redelivery_epoch(&self) -> u64 {
        // SYNC redelivery
        self.rare.redelivery_epoch.load(Ordering::Acquire)
    }

    fn take_redelivery(&self, slot: usize, me: usize) -> Option<HeldSlot> {
        // SYNC commit: who made it REDELIVER had acquired the frame.
        let state = self.state(slot);
        if state.kind() != SlotKind::Redeliver {
            return None;
        }
        let held = SlotState::held(state.lap(), me, state.redeliveries());
        let won =
            self.slots[slot].state.compare_exchange(state.0, held.0, Ordering::AcqRel, Ordering::Relaxed);
        let position = self.position(state, slot);
        won.is_ok().then(|| HeldSlot { position, redeliveries: state.redeliveries() })
    }
}
