//! Waiting by looking again. Knows nothing of rings: the caller says how to look.
//!
//! Dense traffic and ping-pong want opposite things. When messages keep coming, a consumer that looks again at once
//! takes the cache line away from the producer for every single message; one that stays away for a microsecond
//! finds many and drains them at full speed. When one message is in flight, looking at once is all that counts.
//! [`Patience`] tells the two apart: in dense traffic a consumer that looks at once waits for less than any round
//! trip between cores takes, time after time, and one that stayed away finds several messages.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A wait of at most this many looks is shorter than a round trip between two cores.
const SHORT_WAIT: u64 = 3;
/// So many short waits in a row, and the traffic is taken to be dense.
const DENSE_AFTER: u32 = 16;
/// Staying away pays only if at least so many messages came meanwhile; else the traffic is not dense after all.
const DENSE_BURST: u64 = 4;
/// How long to stay away in dense traffic, in spin hints.
const NAP: u32 = 48;
/// Looks before the processor is offered to others after each further one.
const LOOKS_BEFORE_YIELD: u64 = 20_000;
/// The clock is read once in so many looks; when the processor is offered to others, each time.
const LOOKS_PER_CLOCK: u64 = 64;

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Forever,
    Deadline(Instant),
}

impl Until {
    /// The deadline `timeout` from now; one too far away to be represented counts as never.
    pub(crate) fn after(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Self::Forever, Self::Deadline)
    }

    fn has_come(self) -> bool {
        match self {
            Self::Forever => false,
            Self::Deadline(deadline) => Instant::now() >= deadline,
        }
    }
}

/// Looks until `look` finds something, or the time is up (`None`); `pause` spin hints between two looks.
pub(crate) fn wait<R>(until: Until, pause: u32, mut look: impl FnMut(u64) -> Option<R>) -> Option<R> {
    let mut looks = 0_u64;
    loop {
        if let Some(found) = look(looks) {
            return Some(found);
        }
        looks += 1;
        let patient = looks < LOOKS_BEFORE_YIELD;
        if (!patient || looks.is_multiple_of(LOOKS_PER_CLOCK)) && until.has_come() {
            return None;
        }
        if patient { spin(pause) } else { std::thread::yield_now() }
    }
}

/// How a consumer waits; it learns from the waits before.
#[derive(Default)]
pub(crate) struct Patience {
    short_waits: Cell<u32>,
    /// Where the last wait ended ...
    found_at: Cell<u64>,
    /// ... and the positions that the message found there took.
    found_size: Cell<u64>,
}

impl Patience {
    /// Waits for a message. `position` is how far the consumer has come; `look` returns what it found and how many
    /// positions that takes. The caller has looked once already.
    #[cold]
    pub(crate) fn wait<R>(
        &self,
        until: Until,
        position: u64,
        mut look: impl FnMut() -> Option<(R, u64)>,
    ) -> Option<R> {
        let dense = self.short_waits.get() >= DENSE_AFTER;
        if dense {
            let burst = position.saturating_sub(self.found_at.get()) / self.found_size.get().max(1);
            if burst < DENSE_BURST {
                self.short_waits.set(0);
            } else {
                spin(NAP);
            }
        }
        let mut looked = 0;
        let (found, size) = wait(until, 1, |looks| {
            looked = looks;
            look()
        })?;
        self.found_at.set(position);
        self.found_size.set(size);
        if !dense {
            self.short_waits.set(if looked <= SHORT_WAIT { self.short_waits.get() + 1 } else { 0 });
        }
        Some(found)
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

    #[test]
    fn patience_follows_the_traffic() {
        let patience = Patience::default();
        let mut position = 0;
        let mut round = |burst: u64, looks: u32| {
            let mut left = looks;
            patience.wait(Until::Forever, position, || {
                left = left.wrapping_sub(1);
                (left == u32::MAX).then_some(((), 1))
            });
            position += burst;
            patience.short_waits.get()
        };
        for _ in 0..DENSE_AFTER {
            round(1, 0);
        }
        assert_eq!(round(100, 0), 0, "one message after another: the nap did not pay");
        for _ in 0..DENSE_AFTER {
            round(100, 0);
        }
        assert_eq!(round(100, 0), DENSE_AFTER, "many messages: dense");
        assert_eq!(round(1, 500), DENSE_AFTER);
        assert_eq!(round(1, 500), 0, "ping-pong after a burst is noticed at the second wait");
    }
}
