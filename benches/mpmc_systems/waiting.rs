//! How to wait for a queue that does not wait by itself.

use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;

pub(super) trait Waiting: Sync {
    /// Tries again until it succeeds.
    fn until<R>(attempt: impl FnMut() -> Option<R>) -> R;
}

/// Spins, longer each time, then yields the core to other threads.
pub(super) struct SpinThenYield;

impl Waiting for SpinThenYield {
    #[inline(always)]
    fn until<R>(mut attempt: impl FnMut() -> Option<R>) -> R {
        let backoff = Backoff::new();
        loop {
            match attempt() {
                Some(done) => return done,
                None => backoff.snooze(),
            }
        }
    }
}

/// Sleeps for some microseconds, so that more than one message can come or go, and lets other
/// threads run.
pub(super) struct Pause;

impl Waiting for Pause {
    #[inline(always)]
    fn until<R>(mut attempt: impl FnMut() -> Option<R>) -> R {
        loop {
            match attempt() {
                Some(done) => return done,
                None => pause(),
            }
        }
    }
}

#[cold]
fn pause() {
    const LENGTH: Duration = Duration::from_micros(5);
    std::thread::yield_now();
    let start = Instant::now();
    while start.elapsed() < LENGTH {
        std::hint::spin_loop();
    }
}
