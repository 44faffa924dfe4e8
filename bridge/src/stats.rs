//! Counters of one link, which metrics are made from. Diagnostic only: none of them decides anything.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::engine::Cause;

/// A number that many read and one task or thread changes.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Returns it.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a link, of either direction, has done and is doing.
#[derive(Debug, Default)]
pub struct Stats {
    /// Messages carried: stored by the server (out), committed to the queue (in).
    pub messages: Counter,
    /// Their bytes.
    pub bytes: Counter,
    /// Messages taken and not acknowledged.
    pub in_flight: Counter,
    /// Milliseconds since the oldest of those was taken, when last looked at by the link.
    pub oldest_unacked_ms: Counter,
    /// Messages that the server had already.
    pub duplicates: Counter,
    /// Messages that were delivered before, and came again.
    pub redelivered: Counter,
    /// Messages taken out of order that a consumer other than the bridge had returned.
    pub foreign: Counter,
    /// Acknowledged messages that the server lost.
    pub lost_tail: Counter,
    /// Messages that were too large for the other side.
    pub too_large: Counter,
    /// Epochs that began.
    pub epochs: Counter,
    /// Ends of epochs, by [`Cause`].
    ends: [Counter; Cause::ALL.len()],
    /// Whether an epoch is going on.
    connected: AtomicBool,
    /// Whether the link has failed.
    failed: AtomicBool,
}

impl Stats {
    /// Counts an end of an epoch.
    pub fn count_end(&self, cause: Cause) {
        self.ends[cause as usize].add(1);
    }

    /// How many epochs ended for this cause.
    #[must_use]
    pub fn ends(&self, cause: Cause) -> u64 {
        self.ends[cause as usize].get()
    }

    /// Records whether an epoch is going on.
    pub fn set_connected(&self, is_connected: bool) {
        self.connected.store(is_connected, Ordering::Relaxed);
    }

    /// Records that the link has failed.
    pub fn set_failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether the link has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether an epoch is going on.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}
