//! Pauses after commands that failed, so that a command that always fails does not run in a tight
//! loop.

use std::time::{Duration, Instant};

/// The first pause. Each failure in a row doubles it.
const FIRST: Duration = Duration::from_millis(100);

pub(super) struct Backoff {
    most: Duration,
    pause: Duration,
    until: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(most: Duration) -> Self {
        Self { most, pause: FIRST.min(most), until: None }
    }

    pub(super) fn failed(&mut self) {
        self.until = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(self.most);
    }

    pub(super) fn succeeded(&mut self) {
        self.pause = FIRST.min(self.most);
    }

    /// How long no command may be started; `None` if one may be started now.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(350));
        assert_eq!(backoff.left(), None);
        for expected in [100, 200, 350, 350] {
            assert_eq!(backoff.pause, Duration::from_millis(expected));
            backoff.failed();
            assert!(backoff.left().is_some_and(|left| left <= Duration::from_millis(expected)));
        }
        backoff.succeeded();
        assert_eq!(backoff.pause, FIRST);
        let mut none = Backoff::new(Duration::ZERO);
        none.failed();
        assert_eq!(none.left(), None);
    }
}
