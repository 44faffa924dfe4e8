//! How to wait for a queue that does not wait by itself, or must not.

use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;
use serde::{Deserialize, Serialize};

/// A way to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// Try again immediately.
    Spin,
    /// Try again, later each time, and yield the core to other threads: for more workers than
    /// cores.
    Yield,
    /// Sleep for some microseconds, so that more than one message can come or go, and let other
    /// threads run.
    Pause,
    /// As the system itself does in its blocking calls.
    Own,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Yield => "yield",
            Self::Pause => "pause",
            Self::Own => "own",
        }
    }
}

/// One wait.
pub(crate) struct Waiter {
    way: Way,
    backoff: Backoff,
}

impl Waiter {
    #[inline(always)]
    pub(crate) fn new(way: Way) -> Self {
        Self { way, backoff: Backoff::new() }
    }

    /// After a failed attempt.
    #[inline(always)]
    pub(crate) fn wait(&mut self) {
        if self.way == Way::Spin {
            std::hint::spin_loop();
        } else {
            self.wait_longer();
        }
    }

    #[cold]
    fn wait_longer(&mut self) {
        if self.way == Way::Yield {
            self.backoff.snooze();
        } else {
            pause();
        }
    }
}

/// Tries again until it succeeds.
#[inline(always)]
pub(crate) fn until<R>(way: Way, mut attempt: impl FnMut() -> Option<R>) -> R {
    let mut waiter = Waiter::new(way);
    loop {
        match attempt() {
            Some(done) => return done,
            None => waiter.wait(),
        }
    }
}

fn pause() {
    const LENGTH: Duration = Duration::from_micros(5);
    std::thread::yield_now();
    let start = Instant::now();
    while start.elapsed() < LENGTH {
        std::hint::spin_loop();
    }
}
