//! Handlers of signals run while a thread waits in the library.
//!
//! The handler that the system calls only sets a flag of the interpreter's, which can be asked for
//! with the GIL only. So the library calls `check` at least every 40 ms of a wait, and when a signal
//! ends a sleep: it takes the GIL for a moment, as a thread that returned from the wait would. A
//! wait ends if a handler raised; else it goes on.

use std::cell::RefCell;

use pyo3::prelude::*;

use crate::exit;

thread_local! {
    /// What a handler raised in the wait of this thread that has just ended.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// For the waits of this thread: `None` if it handles no signals.
pub(crate) fn check_here() -> Option<fn() -> bool> {
    exit::is_main_thread().then_some(check as fn() -> bool)
}

/// Runs the handlers of signals that have arrived. True: one raised, and the wait ends. Handlers run
/// in the main thread only; other threads do not take the GIL for it.
pub(crate) fn check() -> bool {
    if !exit::is_main_thread() {
        return false;
    }
    // An interpreter that has ended, or does not attach threads now, runs no handlers.
    let Some(Err(error)) = Python::try_attach(|py| py.check_signals()) else { return false };
    RAISED.set(Some(error));
    true
}

/// Raises what a handler raised in the wait that has just ended, or raises now.
pub(crate) fn raise(py: Python<'_>) -> PyResult<()> {
    match RAISED.take() {
        Some(error) => Err(error),
        None => py.check_signals(),
    }
}
