//! What others are told when a participant comes and goes.

use std::ops::Deref;

use super::shared::{Bells, Shared};
use crate::shm::fork::ForkGuard;

/// A participant's bells. Dropped behind its lease, they wake whoever sleeps: it may have held what others want, or been
/// the last of its role.
pub(super) struct Attached {
    bells: Bells,
    guard: ForkGuard,
}

impl Attached {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { bells: shared.bells().clone(), guard: shared.guard() }
    }
}

impl Deref for Attached {
    type Target = Bells;

    #[inline(always)]
    fn deref(&self) -> &Bells {
        &self.bells
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if self.guard.is_intact() {
            self.bells.notify_everybody();
        }
    }
}
