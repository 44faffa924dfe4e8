//! Retry limits of loops over shared words.
//!
//! Such a loop ends because another participant has moved on, or because a word has the expected
//! value. Corrupt words must not turn it into a livelock: each loop has a limit, far above what any
//! contention needs.

/// How many times a loop goes round at most.
#[derive(Clone, Copy)]
pub(crate) struct RetryLimit(u32);

impl RetryLimit {
    /// Not even one round.
    #[cfg(all(test, not(loom)))]
    pub(crate) const NONE: Self = Self(0);

    /// Whether this many rounds are enough.
    #[inline(always)]
    pub(crate) fn is_reached(self, rounds: u32) -> bool {
        rounds >= self.0
    }

    #[inline(always)]
    pub(crate) fn rounds(self) -> std::ops::Range<u32> {
        0..self.0
    }
}

/// A claim or a take whose CAS another participant wins. Positions that a take has skipped stay
/// skipped: the next call continues after them.
pub(crate) const CURSOR: RetryLimit = RetryLimit(1 << 20);

/// A call that recovers from dead participants, moves dead letters, or passes tombstones or frames
/// whose checksum does not fit, and then claims or takes again.
pub(crate) const CALL: RetryLimit = RetryLimit(1 << 12);

/// The CAS that arms an eventcount.
pub(crate) const EVENT: RetryLimit = RetryLimit(1 << 16);
