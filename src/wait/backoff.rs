//! How a consumer spins: immediately, or after a backoff.
//!
//! Dense traffic and ping-pong want opposite things. When messages keep coming, a consumer that
//! polls again immediately takes the cache line away from the producer for every single message;
//! one that backs off for a microsecond or two finds many and drains them at full speed. When one
//! message is in flight, only an immediate poll counts.
//!
//! [`AdaptiveBackoff`] finds out by probing: it backs off once, and if several messages came
//! meanwhile, it goes on doing so until that is no longer so. It probes early when waits are
//! suspiciously short, and now and then in any case, because the time that a line takes from core
//! to core differs by an order of magnitude between machines. Each futile probe makes the next one
//! rarer, so that in ping-pong hardly any message meets one.

use std::cell::Cell;

use super::{Attempt, Ended, Parking, Until, spin, wait};

/// A wait of at most this many attempts is shorter than a round trip between two close cores.
const SHORT_WAIT: u64 = 3;
/// After this many short waits in a row, backoff is probed.
const PROBE_AFTER_SHORT_WAITS: u32 = 16;
/// Waits, short or not, between two probes: at first ...
const PROBE_AFTER: u32 = 128;
/// ... and at most, after futile probes.
const MAX_PROBE_AFTER: u32 = 1 << 14;
/// Backoff pays if at least this many messages came meanwhile.
const DENSE_BURST: u64 = 4;
/// The length of a backoff, in spin hints.
const BACKOFF_SPINS: u32 = 160;
/// If this many messages came, producers hardly ever stop. A consumer that follows them closely
/// reads lines that are still in their nearest cache, which can make them half as fast ...
const FLOOD: u64 = 64;
/// ... so that it backs off for longer: some ten microseconds at most.
const FLOOD_BACKOFF_SPINS: u32 = 4 * BACKOFF_SPINS;

/// How a consumer waits; it learns from earlier waits.
pub(crate) struct AdaptiveBackoff {
    /// Whether the consumer backs off before it attempts.
    dense: Cell<bool>,
    /// Short waits in a row.
    short_waits: Cell<u32>,
    /// Waits until the next probe ...
    probe_in: Cell<u32>,
    /// ... and the initial value of that count after the next futile probe.
    probe_after: Cell<u32>,
    /// The position at which the last wait ended ...
    found_at: Cell<u64>,
    /// ... and the number of positions that the message found there occupied.
    found_size: Cell<u64>,
}

impl Default for AdaptiveBackoff {
    fn default() -> Self {
        Self {
            dense: Cell::new(false),
            short_waits: Cell::new(0),
            probe_in: Cell::new(PROBE_AFTER),
            probe_after: Cell::new(PROBE_AFTER),
            found_at: Cell::new(0),
            found_size: Cell::new(0),
        }
    }
}

impl AdaptiveBackoff {
    /// Waits for a message. `position` is how far the consumer has come; `attempt` is passed the
    /// number of earlier attempts, and returns what it found and the number of positions that it
    /// occupies. The caller has made one attempt already.
    #[cold]
    pub(crate) fn wait<R>(
        &self,
        until: Until,
        parking: &Parking<'_>,
        position: u64,
        mut attempt: impl FnMut(Attempt) -> Option<(R, u64)>,
    ) -> Result<R, Ended> {
        let until = until.fixed();
        self.decide(position);
        if self.dense.get() {
            spin(self.backoff_spins(position));
        }
        let mut last = Attempt::FIRST;
        let (found, size) = wait(until, 1, parking, |which| {
            last = which;
            attempt(which.after_one())
        })?;
        self.found_at.set(position);
        self.found_size.set(size);
        if !self.dense.get() {
            let is_short = matches!(last, Attempt::Spin(failed) if failed <= SHORT_WAIT);
            self.short_waits.set(if is_short { self.short_waits.get() + 1 } else { 0 });
        }
        Ok(found)
    }

    /// The length of the next backoff, in spin hints.
    fn backoff_spins(&self, position: u64) -> u32 {
        if self.burst(position) >= FLOOD { FLOOD_BACKOFF_SPINS } else { BACKOFF_SPINS }
    }

    /// The approximate number of messages since the last wait.
    fn burst(&self, position: u64) -> u64 {
        position.saturating_sub(self.found_at.get()) / self.found_size.get().max(1)
    }

    /// Decides whether to back off before the next attempt.
    fn decide(&self, position: u64) {
        if self.dense.get() {
            if self.burst(position) >= DENSE_BURST {
                // It pays. If it stops paying, the next probe comes soon.
                self.probe_after.set(PROBE_AFTER);
            } else {
                self.dense.set(false);
                self.short_waits.set(0);
                self.probe_in.set(self.probe_after.get());
                self.probe_after.set((self.probe_after.get() * 2).min(MAX_PROBE_AFTER));
            }
            return;
        }
        self.probe_in.set(self.probe_in.get() - 1);
        let suspicious =
            self.short_waits.get() >= PROBE_AFTER_SHORT_WAITS && self.probe_after.get() < MAX_PROBE_AFTER;
        self.dense.set(suspicious || self.probe_in.get() == 0);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::park::EventCount;
    use crate::shared_ref::Ref;
    use crate::wait::{WaitConfig, WaitStrategy};

    /// A consumer whose waits are given: the number of messages that come while it backs off or
    /// drains, and the number of attempts that it makes.
    struct Consumer {
        backoff: AdaptiveBackoff,
        position: u64,
    }

    impl Consumer {
        fn new() -> Self {
            Self { backoff: AdaptiveBackoff::default(), position: 0 }
        }

        /// Waits once; returns whether it backed off before.
        fn wait(&mut self, burst: impl Fn(bool) -> u64, attempts: u32) -> bool {
            let mut left = attempts;
            let (event, wait_config) =
                (EventCount::new(Ref::on_heap(std::sync::Arc::default())), WaitConfig::default());
            wait_config.set(WaitStrategy::Spin);
            let parking =
                Parking { event: &event, wait_config: &wait_config, max_sleep: std::time::Duration::MAX };
            let found = self.backoff.wait(Until::Forever, &parking, self.position, |_| {
                left = left.wrapping_sub(1);
                (left == u32::MAX).then_some(((), 1))
            });
            assert_eq!(found, Ok(()));
            let stayed_away = self.backoff.dense.get();
            self.position += burst(stayed_away);
            stayed_away
        }
    }

    #[test]
    fn dense_traffic_is_noticed_by_short_waits_and_by_trying() {
        let many_when_away = |away| if away { 50 } else { 1 };
        let mut close = Consumer::new();
        assert!((0..100).map(|_| close.wait(many_when_away, 0)).filter(|away| *away).count() > 70);
        let mut far = Consumer::new();
        assert!((0..1000).map(|_| far.wait(many_when_away, 30)).filter(|away| *away).count() > 800);
        assert!(far.wait(|_| 1, 30), "as long as it pays");
        assert!(!far.wait(|_| 1, 30), "and no longer");
    }

    #[test]
    fn a_flood_is_stayed_away_from_for_longer() {
        let mut consumer = Consumer::new();
        for (burst, backoff_spins) in
            [(FLOOD - 1, BACKOFF_SPINS), (FLOOD, FLOOD_BACKOFF_SPINS), (DENSE_BURST, BACKOFF_SPINS)]
        {
            consumer.wait(|_| burst, 30);
            assert_eq!(consumer.backoff.backoff_spins(consumer.position), backoff_spins, "{burst}");
        }
    }

    #[test]
    fn ping_pong_hardly_ever_meets_a_try() {
        for attempts in [0, 30, 300] {
            let mut consumer = Consumer::new();
            let tries = (0..50_000).map(|_| consumer.wait(|_| 1, attempts)).filter(|away| *away).count();
            assert!(tries < 30, "{tries} tries at {attempts} attempts");
        }
    }
}
