//! Words through which a run's workers, threads or processes, are started, stopped and report.
#![allow(unsafe_code, reason = "atomics in a shared mapping")]

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use memmap2::{MmapOptions, MmapRaw};
use workload::Tally;

use super::shape::MOST;

/// What a worker reports: when it began or ended, and what it sent or received.
#[derive(Default)]
pub(super) struct Worker {
    pub(super) at_ns: AtomicU64,
    pub(super) count: AtomicU64,
    pub(super) sum: AtomicU64,
}

#[derive(Default)]
pub(super) struct Words {
    pub(super) ready: CachePadded<AtomicU64>,
    pub(super) go: CachePadded<AtomicU64>,
    pub(super) stop: CachePadded<AtomicU64>,
    pub(super) producers_done: CachePadded<AtomicU64>,
    pub(super) consumers_done: CachePadded<AtomicU64>,
    pub(super) producers: [CachePadded<Worker>; MOST],
    pub(super) consumers: [CachePadded<Worker>; MOST],
}

/// The words, in memory that children share.
pub(super) struct Control(MmapRaw);

impl Control {
    pub(super) fn new() -> Self {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        file.set_len(size_of::<Words>() as u64).unwrap();
        Self(MmapOptions::new().map_raw(&file).unwrap())
    }

    /// A worker is ready; returns when all may begin.
    pub(super) fn wait_for_go(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
        while self.go.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
    }

    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }
}

impl std::ops::Deref for Control {
    type Target = Words;

    fn deref(&self) -> &Words {
        // SAFETY: the mapping is page-aligned, of this length, lives as long as `self`, and is only
        // ever used as these words, which are atomics, good when zeroed.
        unsafe { &*self.0.as_ptr().cast() }
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
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}
