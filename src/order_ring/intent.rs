//! Intents: which positions the owner of an entry is about to claim or to take. They tell what
//! recovery may touch; see "Why recovery knows what it may touch" in [`super`].

use super::{IS_RECOVERABLE, OrderRing};
use crate::layout::OwnerWords;
use crate::layout::order::{Intent, SlotKind};
use crate::sync::{AtomicU64, Ordering};

/// What an intent is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntentKind {
    Claim,
    Take,
}

impl IntentKind {
    #[inline(always)]
    fn word(self, own: &OwnerWords) -> &AtomicU64 {
        match self {
            Self::Claim => &own.claim_intent,
            Self::Take => &own.take_intent,
        }
    }

    /// The state of a slot whose position was won, and that its winner has not moved yet.
    fn unmoved(self) -> SlotKind {
        match self {
            Self::Claim => SlotKind::Free,
            Self::Take => SlotKind::Full,
        }
    }
}

impl OrderRing {
    /// Stores into the caller's entry which positions it is about to claim or take, or that there
    /// are none.
    #[inline(always)]
    pub(super) fn store_intent(own: &OwnerWords, kind: IntentKind, intent: Intent) {
        if IS_RECOVERABLE {
            kind.word(own).store(intent.0, Ordering::Release);
        }
    }

    pub(super) fn intent(&self, index: usize, kind: IntentKind) -> Intent {
        // SYNC intent
        Intent(kind.word(&self.entries[index].own).load(Ordering::Acquire))
    }

    /// The entries whose intent covers the position, each read when the iterator comes to it: its
    /// owner's liveness lock is to be tested after that.
    pub(super) fn covering(&self, position: u64, kind: IntentKind) -> impl Iterator<Item = usize> + '_ {
        (0..self.entries.len()).filter(move |index| self.intent(*index, kind).positions().contains(&position))
    }

    /// The positions of the entry's intent whose slots were not moved.
    pub(super) fn unmoved(&self, index: usize, kind: IntentKind) -> impl Iterator<Item = u64> + '_ {
        self.intent(index, kind).positions().filter(move |position| {
            let state = self.state_at(*position);
            (state.kind(), state.lap()) == (kind.unmoved(), self.lap(*position))
        })
    }
}
