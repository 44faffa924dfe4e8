//! Participants that were killed a moment ago.
//!
//! `kill` returns before the process that it kills has ended: the kernel tears it down by itself, and gives its locks back when
//! its memory is gone, which takes some milliseconds. Who kills a consumer and starts the next one without waiting for the
//! first (`waitpid`, `wait`) finds it alive. So attaching asks again for a while before it says that there is no place.

use std::time::{Duration, Instant};

use crate::error::AttachError;

/// How long to ask again; a process with little memory takes 2 ms.
const MOST: Duration = Duration::from_millis(50);
/// How long to wait before the second attempt; each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_micros(500);

/// Tries to attach until it works, or has found all places taken for a while.
pub(super) fn retry_while_dying<R>(
    mut attach: impl FnMut() -> Result<R, AttachError>,
) -> Result<R, AttachError> {
    let mut until = None;
    let mut pause = FIRST_PAUSE;
    loop {
        match attach() {
            Err(AttachError::RoleTaken { .. } | AttachError::TooManyParticipants { .. })
                if Instant::now() < *until.get_or_insert_with(|| Instant::now() + MOST) =>
            {
                std::thread::sleep(pause);
                pause *= 2;
            }
            done => return done,
        }
    }
}
