//! A failed system call, and its purpose.

use std::io;

/// The system's error, and what was being done.
#[derive(Debug)]
pub(crate) struct StepError {
    pub(crate) step: &'static str,
    pub(crate) source: io::Error,
}

/// Adds to an error what was being done.
pub(super) fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> StepError {
    move |source| StepError { step, source: source.into() }
}
