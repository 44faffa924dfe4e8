//! The waiters' word of an eventcount: flags, and a count of arrivals. The protocol is in
//! `crate::park`.

/// A value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiters(pub(crate) u64);

impl Waiters {
    /// A participant may sleep.
    pub(crate) const ARMED: u64 = 1;
    /// Wakers must fence: a participant is attached that cannot make them fence.
    pub(crate) const NEED_FENCE: u64 = 2;
    /// The queue is closed, or about to be. Only in the eventcount for messages.
    pub(crate) const CLOSED: u64 = 4;
    /// Wakers fence, until the fences of one of them have met no sleeper for long enough.
    pub(crate) const FENCING: u64 = 8;
    /// There was a heavy barrier since FENCING was set: a fence is enough for a participant that
    /// arms now.
    pub(crate) const BARRIER_DONE: u64 = 16;
    /// Above the flags: the number of times that a participant has armed.
    const ARRIVAL: u64 = 1 << 8;

    /// Whether the queue is closed.
    #[inline(always)]
    pub(crate) const fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }

    /// Whether a participant may sleep.
    #[inline(always)]
    pub(crate) const fn is_armed(self) -> bool {
        self.0 & Self::ARMED != 0
    }

    /// Whether a notification is more than the load that found this.
    #[inline(always)]
    pub(crate) const fn concerns_wakers(self) -> bool {
        self.0 & (Self::ARMED | Self::NEED_FENCE | Self::FENCING) != 0
    }

    /// Whether wakers fence until sleeps become rare.
    pub(crate) const fn is_fencing(self) -> bool {
        self.0 & Self::FENCING != 0
    }

    /// Whether a fence is enough for a participant that arms now.
    pub(crate) const fn is_barrier_done(self) -> bool {
        self.0 & Self::BARRIER_DONE != 0
    }

    /// One more participant has armed.
    pub(crate) const fn with_arrival(self) -> Self {
        Self(self.0.wrapping_add(Self::ARRIVAL) | Self::ARMED | Self::FENCING)
    }

    /// No participant sleeps.
    pub(crate) const fn without_sleepers(self) -> Self {
        Self(self.0 & !Self::ARMED)
    }

    /// Wakers do not fence for possible sleepers.
    pub(crate) const fn without_fencing(self) -> Self {
        Self(self.0 & !(Self::FENCING | Self::BARRIER_DONE))
    }

    /// A fence is enough from now on.
    pub(crate) const fn with_barrier_done(self) -> Self {
        Self(self.0 | Self::BARRIER_DONE)
    }

    /// Whether nothing but BARRIER_DONE has changed.
    #[cfg(all(feature = "async", not(loom)))]
    pub(crate) const fn is_same_arming(self, other: Self) -> bool {
        (self.0 ^ other.0) & !Self::BARRIER_DONE == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_counted_above_the_flags() {
        let flags = Waiters::NEED_FENCE | Waiters::CLOSED | Waiters::BARRIER_DONE;
        let armed = Waiters(flags).with_arrival();
        assert!(armed.is_armed() && armed.is_fencing() && armed.is_closed() && armed.is_barrier_done());
        assert_eq!(armed.0 % Waiters::ARRIVAL, flags | Waiters::ARMED | Waiters::FENCING);
        assert_ne!(armed.with_arrival(), armed, "each arming is another value");
        assert_eq!(Waiters(u64::MAX).with_arrival().0, 0xff, "the count wraps, and no flag is lost");
        assert_eq!(
            armed.without_fencing().without_sleepers().0 % Waiters::ARRIVAL,
            flags & !Waiters::BARRIER_DONE
        );
    }
}
