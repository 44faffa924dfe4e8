//! How long to wait before the next epoch.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The first delay.
const MIN: Duration = Duration::from_millis(50);
/// The longest one.
const MAX: Duration = Duration::from_secs(5);

/// Delays that double, with a random part, so that many bridges do not come back to a server at the same moment.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// An epoch got somewhere: the next delay is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next delay: between half of the doubled one and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = MAX.min(MIN.saturating_mul(1 << self.failures.min(16)));
        self.failures += 1;
        // Every state has keys of its own.
        let random = RandomState::new().hash_one(self.failures);
        doubled / 2 + (doubled / 2).mul_f64(random as f64 / u64::MAX as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::default();
        assert!((MIN / 2..=MIN).contains(&backoff.next()));
        let last = (0..40).map(|_| backoff.next()).last().unwrap();
        assert!((MAX / 2..=MAX).contains(&last), "{last:?}");
        backoff.reset();
        assert!(backoff.next() <= MIN);
    }
}
