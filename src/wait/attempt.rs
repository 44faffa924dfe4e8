//! Which attempt of a wait one is: how exact it has to be.

/// One attempt of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// While the waiter polls. This many attempts have failed before.
    Spin(u64),
    /// Before a sleep, and the first one after it: the most exact attempt at the queue, since no
    /// notification repeats what it misses.
    BeforePark,
    /// As `BeforePark`, and with a dead-peer scan: a participant may have died. Not used before the
    /// first sleep of a call: where each message is slept for, reading the time would take as long
    /// as all else.
    WithDeadPeerScan,
}

impl Attempt {
    /// The first attempt of a call.
    pub(crate) const FIRST: Self = Self::Spin(0);

    /// Whether it is one of those before and after sleeps.
    #[inline(always)]
    pub(crate) fn is_before_park(self) -> bool {
        !matches!(self, Self::Spin(_))
    }

    /// Whether it is exact: one in `one_in` is, and each before or after a sleep.
    #[inline(always)]
    pub(crate) fn is_exact(self, one_in: u64) -> bool {
        match self {
            Self::Spin(failed) => failed.is_multiple_of(one_in),
            Self::BeforePark | Self::WithDeadPeerScan => true,
        }
    }

    /// The attempt, where the caller made another one before the wait.
    #[inline(always)]
    pub(crate) fn after_one(self) -> Self {
        match self {
            Self::Spin(failed) => Self::Spin(failed + 1),
            other => other,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Attempt;

    #[test]
    fn attempts_around_a_sleep_are_exact() {
        for attempt in [Attempt::BeforePark, Attempt::WithDeadPeerScan] {
            assert!(attempt.is_before_park() && attempt.is_exact(32));
            assert_eq!(attempt.after_one(), attempt);
        }
        assert!(!Attempt::FIRST.is_before_park());
        let exact = (0..100).map(Attempt::Spin).filter(|attempt| attempt.is_exact(32));
        assert_eq!(exact.collect::<Vec<_>>(), [0, 32, 64, 96].map(Attempt::Spin));
        assert_eq!(Attempt::FIRST.after_one(), Attempt::Spin(1));
    }
}
