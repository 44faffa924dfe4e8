//! Frames that are to be handed out again: each consumer scans for them whenever there may be new ones, oldest first.
//!
//! # The order of the scan
//!
//! *Claim.* A scan that begins at slot `head % links` and goes up, around the end, meets what was REDO when it began in the order
//! of positions.
//! *Proof.* A frame that is REDO was taken, so its position is below `head`. Its link was not freed, so nobody has claimed the
//! position one lap later: `position + links >= tail >= head`. All of them therefore lie in `[head - links, head)`, of which the
//! scan visits each slot once, from the lowest position to the highest. ∎
//!
//! What becomes REDO behind a scan's back raises `redo_epoch`, and the next attempt begins a new scan, at the lowest position
//! again (`SYNC redo`, in [`super`]). `head` is read after the epoch, so it is no older than the REDOs that the epoch tells of.

use std::cell::Cell;

use super::{Held, Links};
use crate::layout::order::{LinkKind, LinkState};
use crate::sync::Ordering;

/// How far a consumer's scan of the links has come.
pub(crate) struct RedoScan {
    /// The epoch that was read before the present scan began.
    epoch: Cell<u64>,
    /// The slot that comes next; only of meaning while some are left.
    next: Cell<usize>,
    /// Links that it has not come to yet.
    left: Cell<usize>,
}

impl RedoScan {
    /// A new consumer always scans, whatever the epoch is.
    pub(crate) fn new(links: &Links) -> Self {
        let scan = Self { epoch: Cell::new(0), next: Cell::new(0), left: Cell::new(0) };
        scan.restart(links, links.redo_epoch());
        scan
    }

    /// Whether there may be frames to hand out again.
    #[inline(always)]
    pub(crate) fn is_due(&self, links: &Links) -> bool {
        self.left.get() != 0 || links.redo_epoch() != self.epoch.get()
    }

    /// Takes the oldest one for participant `me`.
    #[cold]
    pub(crate) fn take(&self, links: &Links, me: usize) -> Option<Held> {
        self.find(links, |slot| links.take_redo(slot, me))
    }

    /// Whether there is one to take.
    pub(crate) fn may_take(&self, links: &Links) -> bool {
        self.find(links, |slot| (links.state(slot).kind() == LinkKind::Redo).then_some(())).is_some()
    }

    /// The first slot that `check` finds something at. The next search begins there once more: that costs nothing, and the
    /// frame may be rejected at once.
    fn find<R>(&self, links: &Links, check: impl Fn(usize) -> Option<R>) -> Option<R> {
        let epoch = links.redo_epoch();
        if epoch != self.epoch.get() {
            self.restart(links, epoch);
        }
        while self.left.get() != 0 {
            let slot = self.next.get();
            let found = check(slot);
            if found.is_some() {
                return found;
            }
            self.next.set(links.slot(slot as u64 + 1));
            self.left.set(self.left.get() - 1);
        }
        None
    }

    /// Begins with the lowest position that may be in use.
    fn restart(&self, links: &Links, epoch: u64) {
        self.epoch.set(epoch);
        self.next.set(links.slot(links.head().position()));
        self.left.set(links.links.len());
    }
}

impl Links {
    #[inline(always)]
    fn redo_epoch(&self) -> u64 {
        // SYNC redo
        self.rare.redo_epoch.load(Ordering::Acquire)
    }

    fn take_redo(&self, slot: usize, me: usize) -> Option<Held> {
        // SYNC commit: who made it REDO had acquired the frame.
        let state = self.state(slot);
        if state.kind() != LinkKind::Redo {
            return None;
        }
        let held = LinkState::held(state.lap(), me, state.redeliveries());
        let won =
            self.links[slot].state.compare_exchange(state.0, held.0, Ordering::AcqRel, Ordering::Relaxed);
        let position = self.position(state, slot);
        won.is_ok().then(|| Held { position, redeliveries: state.redeliveries() })
    }
}
