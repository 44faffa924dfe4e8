//! Waiting for a role: a standby that takes over when its predecessor has ended.
//!
//! A standby polls. It does not park on an eventcount of the queue: those are notified of messages
//! and room, a notification wakes one waiter, and a standby must not take it from a participant.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use super::kind::Kind;
use super::{BytesConsumer, BytesProducer, BytesQueue};
use crate::error::AttachError;

/// The first and the longest pause between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl<K: Kind> BytesQueue<K> {
    /// Attaches as the queue's consumer like [`consumer`](Self::consumer), waiting for at most
    /// `timeout` until that is possible: SPSC, until the living consumer has ended in whatever way;
    /// MPMC, until a registry entry is free.
    ///
    /// The end of the predecessor is noticed within 20 ms. A process that waits here costs the
    /// participants nothing.
    ///
    /// # Errors
    /// As [`consumer`](Self::consumer): `RoleTaken` or `TooManyParticipants` when the time is up.
    /// `Interrupted` if a signal handler ran meanwhile.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let active = queue.consumer()?;
    /// let standby = queue.clone();
    /// let takes_over = std::thread::spawn(move || standby.consumer_timeout(Duration::from_secs(10)).map(|_| ()));
    /// drop(active);
    /// takes_over.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer_timeout(&self, timeout: Duration) -> Result<BytesConsumer<K>, AttachError> {
        within(timeout, || self.consumer())
    }

    /// Attaches as the queue's producer like [`producer`](Self::producer), waiting for at most
    /// `timeout` until that is possible: see [`consumer_timeout`](Self::consumer_timeout).
    ///
    /// # Errors
    /// As [`producer`](Self::producer): `RoleTaken` or `TooManyParticipants` when the time is up.
    /// `Interrupted` if a signal handler ran meanwhile.
    pub fn producer_timeout(&self, timeout: Duration) -> Result<BytesProducer<K>, AttachError> {
        within(timeout, || self.producer())
    }
}

fn within<R>(timeout: Duration, attach: impl Fn() -> Result<R, AttachError>) -> Result<R, AttachError> {
    // None: later than the clock can represent.
    let deadline = Instant::now().checked_add(timeout);
    let mut pause = FIRST_PAUSE;
    loop {
        let taken = match attach() {
            Err(
                error @ (AttachError::RoleTaken { .. }
                | AttachError::TooManyParticipants { .. }
                | AttachError::TooManyOfRole { .. }),
            ) => error,
            other => return other,
        };
        let left = deadline.map_or(pause, |deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Err(taken);
        }
        match clock_nanosleep(
            ClockId::CLOCK_MONOTONIC,
            ClockNanosleepFlags::empty(),
            &TimeSpec::from(pause.min(left)),
        ) {
            Err(Errno::EINTR) => return Err(AttachError::Interrupted),
            _ => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}
