//! A system call that failed, and what it was for.

use std::io;

/// What the system said, and what was being done.
#[derive(Debug)]
pub(crate) struct StepError {
    pub(crate) step: &'static str,
    pub(crate) source: io::Error,
}

/// Says what was being done, for when it fails.
pub(super) fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> StepError {
    move |source| StepError { step, source: source.into() }
}
