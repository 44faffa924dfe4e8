//! Whether there is something to take, for callers that wait for several queues.

use super::{MpmcReceiver, RETRY_LIMIT};

impl MpmcReceiver {
    /// Like `attempt`, but takes nothing. `attempts` have failed before.
    pub(super) fn is_ready(&self, attempts: u64) -> bool {
        let exact = self.begin_attempt(attempts);
        for _ in 0..RETRY_LIMIT {
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
