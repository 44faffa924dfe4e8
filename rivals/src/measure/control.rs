//! Words through which workers are started, stopped and report.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crossbeam_utils::CachePadded;
use workload::Tally;

use crate::check::MOST;
use crate::shared::Words;

/// How long workers may take to begin.
const TIME_LIMIT: Duration = Duration::from_secs(8);

/// What a worker reports: when it began or ended, and what it sent or received.
#[derive(Default)]
pub(super) struct Worker {
    pub(super) at_ns: AtomicU64,
    pub(super) count: AtomicU64,
    pub(super) sum: AtomicU64,
}

#[derive(Default)]
pub(super) struct Control {
    ready: CachePadded<AtomicU64>,
    go: CachePadded<AtomicU64>,
    begun: CachePadded<AtomicU64>,
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
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    /// Starts the given number of workers as soon as all are ready, and stops them after that time.
    pub(super) fn conduct(&self, workers: usize, length: Duration) -> Result<()> {
        wait_for("attach", workers, &self.ready)?;
        self.go.store(1, Ordering::Release);
        // Where there are more workers than cores, or the cores are busy, a worker may not run for
        // long.
        wait_for("begin", workers, &self.begun)?;
        std::thread::sleep(length);
        self.stop.store(1, Ordering::Relaxed);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }

    /// A worker is done; returns when all are, so that no worker leaves while others need it.
    pub(super) fn wait_for_all(&self, workers: usize) {
        self.finished.fetch_add(1, Ordering::AcqRel);
        while self.finished.load(Ordering::Acquire) < workers as u64 {
            std::thread::yield_now();
        }
    }
}

fn wait_for(what: &str, workers: usize, count: &AtomicU64) -> Result<()> {
    let start = Instant::now();
    while count.load(Ordering::Acquire) < workers as u64 {
        ensure!(start.elapsed() < TIME_LIMIT, "stuck: the workers could not all {what}");
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
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
