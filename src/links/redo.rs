//! Frames that are to be handed out again: each consumer looks for them whenever there may be new ones.

use std::cell::Cell;

use super::{Held, Links};
use crate::layout::order::{LinkKind, LinkState};
use crate::sync::Ordering;

/// How far a consumer's look through the links has come.
pub(crate) struct RedoScan {
    /// The epoch that was read before the present look through all links began.
    epoch: Cell<u64>,
    /// Links that it has not come to yet.
    left: Cell<usize>,
}

impl RedoScan {
    /// A new consumer always looks, whatever the epoch is.
    pub(crate) fn new(links: &Links) -> Self {
        Self { epoch: Cell::new(links.redo_epoch()), left: Cell::new(links.links.len()) }
    }

    /// Whether there may be frames to hand out again.
    #[inline(always)]
    pub(crate) fn is_due(&self, links: &Links) -> bool {
        self.left.get() != 0 || links.redo_epoch() != self.epoch.get()
    }

    /// Takes one for participant `me`.
    #[cold]
    pub(crate) fn take(&self, links: &Links, me: usize) -> Option<Held> {
        self.begin(links);
        while let Some(slot) = self.left.get().checked_sub(1) {
            let held = links.take_redo(slot, me);
            if held.is_some() {
                // The same link again next time: this costs nothing, and it may be rejected at once.
                return held;
            }
            self.left.set(slot);
        }
        None
    }

    /// Whether there is one to take.
    pub(crate) fn may_take(&self, links: &Links) -> bool {
        self.begin(links);
        while let Some(slot) = self.left.get().checked_sub(1) {
            if links.state(slot).kind() == LinkKind::Redo {
                return true;
            }
            self.left.set(slot);
        }
        false
    }

    /// Looks through all links from now on, if there may be something new.
    fn begin(&self, links: &Links) {
        let epoch = links.redo_epoch();
        if epoch != self.epoch.get() {
            self.epoch.set(epoch);
            self.left.set(links.links.len());
        }
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
