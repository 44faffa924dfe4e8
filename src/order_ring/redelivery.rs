//! Frames that are to be redelivered: each consumer scans for them whenever there may be new ones,
//! oldest first.
//!
//! # The order of the scan
//!
//! *Claim.* A scan that begins at slot `head % slots` and goes up, around the end, meets the slots
//! that were REDELIVER when it began in the order of their positions.
//! *Proof.* A frame that is REDELIVER was taken, so its position is below `head`. Its slot was not
//! freed, so no producer has claimed the position one lap later:
//! `position + slots >= tail >= head`. All of them therefore lie in `[head - slots, head)`, of
//! which the scan visits each slot once, from the lowest position to the highest. ∎
//!
//! A slot that becomes REDELIVER after a scan has passed it raises `redelivery_epoch`, and the next
//! attempt begins a new scan, at the lowest position again (`SYNC redelivery`, in [`super`]).
//! `head` is read after the epoch, so it is no older than the REDELIVER states that the epoch tells
//! of.

use std::cell::Cell;

use super::{HeldSlot, OrderRing};
use crate::layout::order::{SlotKind, SlotState};
use crate::sync::Ordering;

/// The progress of a consumer's scan of the slots.
pub(super) struct RedeliveryScan {
    /// The epoch that was read before the present scan began.
    epoch: Cell<u64>,
    /// The slot that is scanned next; meaningful only while some are left.
    next: Cell<usize>,
    /// The number of slots that the scan has not reached yet.
    left: Cell<usize>,
}

impl RedeliveryScan {
    /// A new consumer always scans, whatever the epoch is.
    pub(super) fn new(ring: &OrderRing) -> Self {
        let scan = Self { epoch: Cell::new(0), next: Cell::new(0), left: Cell::new(0) };
        scan.restart(ring, ring.redelivery_epoch());
        scan
    }

    /// Whether there may be frames to redeliver.
    #[inline(always)]
    pub(super) fn is_due(&self, ring: &OrderRing) -> bool {
        self.left.get() != 0 || ring.redelivery_epoch() != self.epoch.get()
    }

    /// Takes the oldest frame that is to be redelivered, for participant `me`.
    pub(super) fn take(&self, ring: &OrderRing, me: usize) -> Option<HeldSlot> {
        self.find(ring, |slot| ring.take_redelivery(slot, me))
    }

    /// Whether there is a frame to redeliver.
    pub(super) fn can_take(&self, ring: &OrderRing) -> bool {
        self.find(ring, |slot| (ring.state(slot).kind() == SlotKind::Redeliver).then_some(())).is_some()
    }

    /// Finds the first slot for which `check` returns something. The next search begins at that
    /// slot again: that costs nothing, and the frame may be rejected immediately.
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

    /// Begins a scan with the lowest position that may be in use.
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
        // SYNC commit: the participant that made it REDELIVER had acquired the frame.
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
