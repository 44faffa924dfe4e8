//! Waiting by looking again. Knows nothing of rings: the caller says how to look.
//!
//! Dense traffic and ping-pong want opposite things. When messages keep coming, a consumer that looks again at once
//! takes the cache line away from the producer for every single message; one that stays away for a microsecond or two
//! finds many and drains them at full speed. When one message is in flight, looking at once is all that counts.
//!
//! [`Patience`] finds out by trying: it stays away once, and if several messages came meanwhile, it goes on doing so
//! until that is no longer so. It tries early when waits are suspiciously short, and now and then in any case, because
//! how long a line takes from core to core differs by an order of magnitude between machines; each try in vain makes
//! the next one rarer, so that in ping-pong hardly any message meets one.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A wait of at most this many looks is shorter than a round trip between two close cores.
const SHORT_WAIT: u64 = 3;
/// So many short waits in a row, and staying away is tried.
const TRY_AFTER_SHORT: u32 = 16;
/// Waits, short or not, between two tries: at first ...
const TRY_AFTER: u32 = 128;
/// ... and at most, after tries in vain.
const TRY_AFTER_MOST: u32 = 1 << 14;
/// Staying away pays if at least so many messages came meanwhile.
const DENSE_BURST: u64 = 4;
/// How long to stay away, in spin hints.
const NAP: u32 = 160;
/// Spin hints before the processor is offered to others for the first time, some microseconds ...
const HINTS_BEFORE_OFFER: u64 = 512;
/// ... and at most between two offers that nobody takes.
const MOST_LOOKS_BETWEEN_OFFERS: u64 = 20_000;
/// An offer that took longer than this was taken: somebody else has run.
const TAKEN: Duration = Duration::from_micros(2);
/// The clock is read once in so many looks; when the processor is offered to others, each time.
const LOOKS_PER_CLOCK: u64 = 64;

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Forever,
    /// So long after the wait begins: nobody looks at the clock who need not wait.
    Within(Duration),
    Deadline(Instant),
}

impl Until {
    /// The deadline `timeout` from now; one too far away to be represented counts as never.
    pub(crate) fn after(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Self::Forever, Self::Deadline)
    }

    /// The wait begins now.
    fn fixed(self) -> Self {
        match self {
            Self::Within(timeout) => Self::after(timeout),
            other => other,
        }
    }

    fn has_come(self) -> bool {
        match self {
            Self::Forever | Self::Within(_) => false,
            Self::Deadline(deadline) => Instant::now() >= deadline,
        }
    }
}

/// Looks until `look` finds something, or the time is up (`None`); `pause` spin hints between two looks.
pub(crate) fn wait<R>(until: Until, pause: u32, mut look: impl FnMut(u64) -> Option<R>) -> Option<R> {
    let until = until.fixed();
    let mut looks = 0_u64;
    let first = (HINTS_BEFORE_OFFER / u64::from(pause)).max(2);
    let mut offers = Offers { next: first, gap: first };
    loop {
        if let Some(found) = look(looks) {
            return Some(found);
        }
        looks += 1;
        let is_offer = looks == offers.next;
        if (is_offer || looks.is_multiple_of(LOOKS_PER_CLOCK)) && until.has_come() {
            return None;
        }
        if is_offer { offers.make(looks) } else { spin(pause) }
    }
}

/// When to offer the processor to others. Where there are more threads than processors, whoever is waited for may need
/// it: that shows when an offer is taken, and then it is offered after each look. Else offers become rare.
struct Offers {
    /// Looks until the next one, from the beginning.
    next: u64,
    gap: u64,
}

impl Offers {
    #[cold]
    fn make(&mut self, looks: u64) {
        let start = Instant::now();
        std::thread::yield_now();
        let is_taken = start.elapsed() > TAKEN;
        self.gap = if is_taken { 1 } else { (self.gap * 2).min(MOST_LOOKS_BETWEEN_OFFERS) };
        self.next = looks + self.gap;
    }
}

/// How a consumer waits; it learns from the waits before.
pub(crate) struct Patience {
    /// Whether the consumer stays away before it looks.
    dense: Cell<bool>,
    /// Short waits in a row.
    short_waits: Cell<u32>,
    /// Waits until staying away is tried ...
    try_in: Cell<u32>,
    /// ... and what that begins with after the next try in vain.
    try_after: Cell<u32>,
    /// Where the last wait ended ...
    found_at: Cell<u64>,
    /// ... and the positions that the message found there took.
    found_size: Cell<u64>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            dense: Cell::new(false),
            short_waits: Cell::new(0),
            try_in: Cell::new(TRY_AFTER),
            try_after: Cell::new(TRY_AFTER),
            found_at: Cell::new(0),
            found_size: Cell::new(0),
        }
    }
}

impl Patience {
    /// Waits for a message. `position` is how far the consumer has come; `look` is told how many looks came before, and
    /// returns what it found and how many positions that takes. The caller has looked once already.
    #[cold]
    pub(crate) fn wait<R>(
        &self,
        until: Until,
        position: u64,
        mut look: impl FnMut(u64) -> Option<(R, u64)>,
    ) -> Option<R> {
        let until = until.fixed();
        self.decide(position);
        if self.dense.get() {
            spin(NAP);
        }
        let mut looked = 0;
        let (found, size) = wait(until, 1, |looks| {
            looked = looks;
            look(looks + 1)
        })?;
        self.found_at.set(position);
        self.found_size.set(size);
        if !self.dense.get() {
            self.short_waits.set(if looked <= SHORT_WAIT { self.short_waits.get() + 1 } else { 0 });
        }
        Some(found)
    }

    /// Whether to stay away before the next look.
    fn decide(&self, position: u64) {
        if self.dense.get() {
            let burst = position.saturating_sub(self.found_at.get()) / self.found_size.get().max(1);
            if burst >= DENSE_BURST {
                // It pays. Should it stop to, the next try comes soon.
                self.try_after.set(TRY_AFTER);
            } else {
                self.dense.set(false);
                self.short_waits.set(0);
                self.try_in.set(self.try_after.get());
                self.try_after.set((self.try_after.get() * 2).min(TRY_AFTER_MOST));
            }
            return;
        }
        self.try_in.set(self.try_in.get() - 1);
        let suspicious = self.short_waits.get() >= TRY_AFTER_SHORT && self.try_after.get() < TRY_AFTER_MOST;
        self.dense.set(suspicious || self.try_in.get() == 0);
    }
}

fn spin(hints: u32) {
    for _ in 0..hints {
        std::hint::spin_loop();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_comes() {
        let start = Instant::now();
        let timeout = Duration::from_millis(20);
        assert!(wait::<()>(Until::after(timeout), 1, |_| None).is_none());
        assert!(start.elapsed() >= timeout);
        assert_eq!(wait(Until::Forever, 1, |looks| (looks == 30_000).then_some(7)), Some(7));
        assert_eq!(wait(Until::after(Duration::MAX), 1, |looks| (looks == 100).then_some(7)), Some(7));
    }

    /// A consumer whose waits are given: how many messages come while it stays away or drains, how many looks it takes.
    struct Consumer {
        patience: Patience,
        position: u64,
    }

    impl Consumer {
        fn new() -> Self {
            Self { patience: Patience::default(), position: 0 }
        }

        /// Waits once; returns whether it stayed away before.
        fn wait(&mut self, burst: impl Fn(bool) -> u64, looks: u32) -> bool {
            let mut left = looks;
            self.patience.wait(Until::Forever, self.position, |_| {
                left = left.wrapping_sub(1);
                (left == u32::MAX).then_some(((), 1))
            });
            let stayed_away = self.patience.dense.get();
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
    fn ping_pong_hardly_ever_meets_a_try() {
        for looks in [0, 30, 300] {
            let mut consumer = Consumer::new();
            let tries = (0..50_000).map(|_| consumer.wait(|_| 1, looks)).filter(|away| *away).count();
            assert!(tries < 30, "{tries} tries at {looks} looks");
        }
    }
}
