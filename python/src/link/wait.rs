//! How long a call waits, and handlers of signals meanwhile.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::{exit, signals};

/// The longest slice of a wait that is not the library's: a signal that arrives just before the
/// thread falls asleep is noticed this late.
const SLICE: Duration = Duration::from_millis(40);

/// The same of a thread that handles no signals: Python handles them in its main thread only.
const SLICE_ELSEWHERE: Duration = Duration::from_secs(2);

/// How long a call waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    No,
    /// `None`: for ever.
    Until(Option<Instant>),
}

impl Wait {
    /// As `block` and `timeout` (in seconds) of the standard library's queues say.
    pub(crate) fn new(block: bool, timeout: Option<f64>) -> PyResult<Self> {
        match (block, timeout) {
            (false, _) => Ok(Self::No),
            (true, None) => Ok(Self::Until(None)),
            (true, Some(seconds)) if seconds.is_nan() => {
                Err(pyo3::exceptions::PyValueError::new_err("`timeout` must be a number of seconds, not nan"))
            }
            (true, Some(seconds)) if seconds <= 0.0 => Ok(Self::No),
            (true, Some(seconds)) => {
                let timeout = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
                // A deadline that cannot be represented never comes.
                Ok(Self::Until(Instant::now().checked_add(timeout)))
            }
        }
    }

    /// The next slice; `None` if the time is up.
    fn slice(self) -> Option<Duration> {
        match self {
            Self::No => None,
            Self::Until(None) => Some(longest()),
            Self::Until(Some(deadline)) => {
                let left = deadline.checked_duration_since(Instant::now())?;
                (!left.is_zero()).then_some(left.min(longest()))
            }
        }
    }

    /// Repeats `attempt`, which waits in the library until the given deadline, until it finds
    /// something or the time is up; at least once. A handler of a signal that raises ends it: `attempt` finds
    /// nothing then.
    pub(crate) fn complete<R>(
        self,
        py: Python<'_>,
        mut attempt: impl FnMut(Option<Instant>) -> PyResult<Option<R>>,
    ) -> PyResult<Option<R>> {
        let Self::Until(deadline) = self else { return Ok(None) };
        loop {
            if let Some(found) = attempt(deadline)? {
                return Ok(Some(found));
            }
            signals::raise(py)?;
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(None);
            }
        }
    }

    /// Repeats `attempt`, which waits for at most a slice, until it finds something or the time is
    /// up; runs handlers of signals in between.
    pub(crate) fn repeat<R>(
        self,
        py: Python<'_>,
        mut attempt: impl FnMut(Duration) -> PyResult<Option<R>>,
    ) -> PyResult<Option<R>> {
        while let Some(slice) = self.slice() {
            if let Some(found) = attempt(slice)? {
                return Ok(Some(found));
            }
            py.check_signals()?;
        }
        Ok(None)
    }
}

fn longest() -> Duration {
    if exit::is_main_thread() { SLICE } else { SLICE_ELSEWHERE }
}
