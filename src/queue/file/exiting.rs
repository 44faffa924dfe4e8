//! Participants that were killed a moment ago.
//!
//! `kill` returns before the process that it kills has ended: the kernel tears the process down
//! asynchronously, and releases its locks when its memory is gone, which takes some milliseconds. A
//! program that kills a consumer and starts the next one without waiting for the first (`waitpid`,
//! `wait`) finds it alive. So attaching retries for a while before it fails for lack of a free role
//! or entry.

use std::time::{Duration, Instant};

use crate::error::AttachError;

/// How long to retry; a process with little memory takes 2 ms to end.
const MOST: Duration = Duration::from_millis(50);
/// The pause before the second attempt; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_micros(500);

/// Repeats `attach` until it succeeds, or has found the role or all entries taken for a while.
pub(in crate::queue) fn retry_while_exiting<R>(
    mut attach: impl FnMut() -> Result<R, AttachError>,
) -> Result<R, AttachError> {
    let mut until = None;
    let mut pause = FIRST_PAUSE;
    loop {
        match attach() {
            Err(
                AttachError::RoleTaken { .. }
                | AttachError::TooManyParticipants { .. }
                | AttachError::TooManyOfRole { .. }
                | AttachError::RecoveryBusy { .. },
            ) if Instant::now() < *until.get_or_insert_with(|| Instant::now() + MOST) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            done => return done,
        }
    }
}
