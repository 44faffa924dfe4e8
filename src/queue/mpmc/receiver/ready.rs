//! Whether there is something to take, for those who wait for several queues.

use super::{MOST_TURNS, MpmcReceiver};

impl MpmcReceiver {
    /// As a look that takes, but for that. After so many looks.
    pub(super) fn is_ready(&self, looks: u64) -> bool {
        let exact = self.is_closer_look(looks);
        for _ in 0..MOST_TURNS {
            if self.redo.is_due(self.links()) && self.redo.may_take(self.links()) {
                return true;
            }
            match self.links().may_take(exact) {
                Ok(()) => return true,
                Err(nothing) if self.look_again(nothing) => {}
                Err(_) => return false,
            }
        }
        false
    }
}
