//! Tells how many messages a consumer of a broadcast queue has missed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::output::complain;
use crate::text::counted;

/// The minimum time between two lines: a consumer that is too slow misses messages all the time.
const PAUSE: Duration = Duration::from_secs(1);

/// Messages that were missed, and not told yet; the rest is told when this is dropped.
pub(super) struct Missed {
    queue: PathBuf,
    is_quiet: bool,
    count: u64,
    told: Option<Instant>,
}

impl Missed {
    pub(super) fn new(queue: PathBuf, is_quiet: bool) -> Self {
        Self { queue, is_quiet, count: 0, told: None }
    }

    pub(super) fn add(&mut self, count: u64) {
        self.count = self.count.saturating_add(count);
        self.tell_in_time();
    }

    /// Tells what was missed, if that is due.
    pub(super) fn tell_in_time(&mut self) {
        if self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if self.count > 0 && !self.is_quiet {
            let missed = counted(self.count, "message");
            complain!("{}: missed {missed}, overwritten before they were received", self.queue.display());
            self.told = Some(Instant::now());
        }
        self.count = 0;
    }
}

impl Drop for Missed {
    fn drop(&mut self) {
        self.tell();
    }
}
