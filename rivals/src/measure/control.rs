//! Words through which workers are started, stopped and heard.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crossbeam_utils::CachePadded;

use crate::check::{MOST, Tally};
use crate::shared::Words;

/// How long workers may take to begin.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a worker has to say: when it began or ended, and what it sent or received.
#[derive(Default)]
pub(super) struct Worker {
    pub(super) at_ns: AtomicU64,
    pub(super) count: AtomicU64,
    pub(super) sum: AtomicU64,
}

#[derive(Default)]
pub(super) struct Control {
    pub(super) ready: CachePadded<AtomicU64>,
    go: CachePadded<AtomicU64>,
    stop: CachePadded<AtomicU64>,
    pub(super) producers_done: CachePadded<AtomicU64>,
    pub(super) consumers_done: CachePadded<AtomicU64>,
    pub(super) finished: CachePadded<AtomicU64>,
    pub(super) producers: [CachePadded<Worker>; MOST],
    pub(super) consumers: [CachePadded<Worker>; MOST],
}

#[allow(unsafe_code, reason = "says what it is made of")]
mod words {
    use super::{Control, Words, Worker};

    // SAFETY: atomics, in arrays and padding.
    unsafe impl Words for Worker {}
    // SAFETY: as above.
    unsafe impl Words for Control {}
}

impl Control {
    /// A worker is ready; returns when all may begin.
    pub(super) fn wait_for_go(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
        while self.go.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
    }

    /// Begins as soon as so many workers are ready.
    pub(super) fn begin(&self, workers: usize) -> Result<()> {
        let start = Instant::now();
        while self.ready.load(Ordering::Acquire) < workers as u64 {
            ensure!(start.elapsed() < PATIENCE, "stuck: the workers could not all attach");
            std::thread::sleep(Duration::from_micros(100));
        }
        self.go.store(1, Ordering::Release);
        Ok(())
    }

    pub(super) fn stop(&self) {
        self.stop.store(1, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }

    /// A worker is done; returns when so many are, so that nobody leaves while others need it.
    pub(super) fn wait_for_all(&self, workers: usize) {
        self.finished.fetch_add(1, Ordering::AcqRel);
        while self.finished.load(Ordering::Acquire) < workers as u64 {
            std::thread::yield_now();
        }
    }
}

impl Worker {
    pub(super) fn say(&self, at_ns: u64, tally: Tally) {
        self.at_ns.store(at_ns, Ordering::Relaxed);
        self.count.store(tally.count, Ordering::Relaxed);
        self.sum.store(tally.sum, Ordering::Relaxed);
    }

    pub(super) fn tally(&self) -> Tally {
        Tally { count: self.count.load(Ordering::Relaxed), sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// Of the clock that all processes share.
pub(super) fn now_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("there is such a clock");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}
