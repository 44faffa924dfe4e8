//! How long the sleeps of one wait are.

use std::time::Duration;

use super::Attempt;

/// The timeout of the first sleep; it doubles with each further sleep, up to what the waiter
/// allows. Short ones come first because the participant that should have notified may have died.
/// But none is shorter than the kernel's tick: an earlier timer has to be set in hardware, and
/// cancelled when the sleeper is woken, which makes a wake take twice as long or more.
const FIRST_SLEEP: Duration = Duration::from_millis(10);
/// The first and the longest sleep while a participant whose process may be exiting blocks what is waited for:
/// a death notifies no sleeper.
const FIRST_BLOCKED_SLEEP: Duration = Duration::from_micros(50);
pub(super) const MAX_BLOCKED_SLEEP: Duration = Duration::from_millis(1);

/// The timeouts of the sleeps of one wait.
pub(super) struct Sleeps {
    /// The next one ...
    idle: Duration,
    /// ... and the next one while a participant whose process may be exiting blocks what is waited for.
    blocked: Duration,
    pub(super) have_been: bool,
}

impl Default for Sleeps {
    fn default() -> Self {
        Self { idle: FIRST_SLEEP, blocked: FIRST_BLOCKED_SLEEP, have_been: false }
    }
}

impl Sleeps {
    /// The attempt between arming and a sleep.
    pub(super) fn attempt_when_armed(&self) -> Attempt {
        if self.have_been { Attempt::WithDeadPeerScan } else { Attempt::BeforePark }
    }

    fn timeout(&mut self, is_blocked: bool) -> &mut Duration {
        if is_blocked { &mut self.blocked } else { &mut self.idle }
    }

    /// The timeout of the sleep that begins now, `most` at most.
    pub(super) fn next(&mut self, is_blocked: bool, most: Duration) -> Duration {
        self.have_been = true;
        let timeout = self.timeout(is_blocked);
        *timeout = (*timeout).min(most);
        *timeout
    }

    /// The sleep has timed out: the next one is twice as long.
    pub(super) fn lengthen(&mut self, is_blocked: bool, most: Duration) {
        let timeout = self.timeout(is_blocked);
        *timeout = (*timeout * 2).min(most);
    }

    /// The sleeper was notified. If the next attempt finds nothing all the same, a participant that
    /// is about to die may block it.
    pub(super) fn restart(&mut self, most: Duration) {
        (self.idle, self.blocked) = (FIRST_SLEEP.min(most), FIRST_BLOCKED_SLEEP);
    }

    /// The last sleep was not a blocked one: the next blocked one is short again.
    pub(super) fn forget_blocked(&mut self) {
        self.blocked = FIRST_BLOCKED_SLEEP;
    }
}
