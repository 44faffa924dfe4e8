//! Whether there is something to take, for callers that wait for several queues.

use super::MpmcReceiver;
use crate::retry;
use crate::wait::Attempt;

impl MpmcReceiver {
    /// Like `attempt`, but takes nothing.
    pub(super) fn is_ready(&self, which: Attempt) -> bool {
        self.prepare_scan(which);
        let exact = Self::is_exact(which);
        for _ in retry::CALL.rounds() {
            if self.consumer().is_redelivery_due() && self.consumer().can_take_redelivery() {
                return true;
            }
            match self.ring().can_take(exact) {
                Ok(()) => return true,
                Err(nothing) if self.should_retry(nothing) => {}
                Err(_) => return false,
            }
        }
        false
    }
}
