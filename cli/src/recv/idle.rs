//! How long to wait for messages, and why a wait ended.

use std::time::{Duration, Instant};

use anyhow::Result;
use ringway::RecvError;

use super::missed::Missed;
use crate::interrupt;

/// Why no more messages are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// `--count` messages were received, or the reader of the output has closed it.
    Enough,
    /// The queue is empty.
    Drained,
    /// The queue is closed, and empty.
    Closed,
    /// The queue stayed empty for the time of --timeout.
    TimeUp,
    Interrupted,
}

/// Waits while the queue is empty, as long as the command line allows.
pub(super) struct Idle {
    follow: bool,
    timeout: Option<Duration>,
    since: Option<Instant>,
    /// Broadcast: what was overwritten before it was received.
    missed: Missed,
}

impl Idle {
    pub(super) fn new(follow: bool, timeout: Option<Duration>, missed: Missed) -> Self {
        Self { follow, timeout, since: None, missed }
    }

    /// The queue is not idle: the time of `--timeout` starts again.
    pub(super) fn reset(&mut self) {
        self.since = None;
    }

    /// Messages were overwritten before they were received.
    pub(super) fn miss(&mut self, count: u64) {
        self.missed.add(count);
    }

    /// Returns what `take` finds, or why the wait has ended. `take` waits at most as long as its
    /// argument.
    pub(super) fn wait<M>(
        &mut self,
        mut take: impl FnMut(Duration) -> Result<M, RecvError>,
    ) -> Result<Result<M, Stop>> {
        let mut time_limit = Duration::ZERO;
        loop {
            if interrupt::is_requested() {
                return Ok(Err(Stop::Interrupted));
            }
            self.missed.tell_in_time();
            match take(time_limit) {
                Ok(found) => {
                    self.since = None;
                    return Ok(Ok(found));
                }
                Err(RecvError::Empty | RecvError::Timeout | RecvError::Interrupted) => {}
                Err(RecvError::Lagged(count)) => {
                    self.missed.add(count);
                    continue;
                }
                Err(RecvError::Closed) => return Ok(Err(Stop::Closed)),
                Err(error) => return Err(anyhow::Error::from(error).context("receiving")),
            }
            let since = *self.since.get_or_insert_with(Instant::now);
            let left = match (self.timeout, self.follow) {
                (Some(timeout), _) => timeout.saturating_sub(since.elapsed()),
                (None, true) => interrupt::SLICE,
                (None, false) => return Ok(Err(Stop::Drained)),
            };
            if left.is_zero() {
                return Ok(Err(Stop::TimeUp));
            }
            time_limit = left.min(interrupt::SLICE);
        }
    }
}
