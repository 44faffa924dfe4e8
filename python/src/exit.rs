//! Threads that wait without the GIL while the interpreter ends, and children of fork.
//!
//! Up to Python 3.13 a thread that takes the GIL of an interpreter that is ending is ended by
//! `pthread_exit`, which unwinds through frames of Rust and aborts the process. So before the
//! interpreter ends, an `atexit` function closes the way back: a thread that returns from a wait
//! later than that sleeps until the process is gone (as 3.14 does it). What it had received comes
//! again for others, since its process ends without having released it.
//!
//! `RETURNING` is the number of threads between the check and the GIL. The function waits for them
//! without the GIL; so once it returns, none will ask for the GIL any more.
#![allow(unsafe_code, reason = "handlers around forks")]

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

static EXITING: AtomicBool = AtomicBool::new(false);
static EXIT_THREAD: AtomicU64 = AtomicU64::new(0);
static RETURNING: AtomicUsize = AtomicUsize::new(0);

/// How many forks lie between this process and the one that loaded the module.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Threads on their way back take the GIL as soon as they get it.
const MAX_RETURN: Duration = Duration::from_secs(5);

/// Runs `act` without the GIL.
pub(crate) fn detached<R: Send>(py: Python<'_>, act: impl FnOnce() -> R + Send) -> R {
    let result = py.detach(|| {
        let result = act();
        begin_return();
        result
    });
    RETURNING.fetch_sub(1, Ordering::SeqCst);
    result
}

fn begin_return() {
    RETURNING.fetch_add(1, Ordering::SeqCst);
    if EXITING.load(Ordering::SeqCst) && EXIT_THREAD.load(Ordering::SeqCst) != own_thread() {
        RETURNING.fetch_sub(1, Ordering::SeqCst);
        loop {
            std::thread::park();
        }
    }
}

/// Called by `atexit`, after the functions that were registered later than the import of this
/// module.
#[pyfunction]
pub(crate) fn _interpreter_exits(py: Python<'_>) {
    EXIT_THREAD.store(own_thread(), Ordering::SeqCst);
    EXITING.store(true, Ordering::SeqCst);
    py.detach(|| {
        let begin = Instant::now();
        while RETURNING.load(Ordering::SeqCst) > 0 && begin.elapsed() < MAX_RETURN {
            std::thread::sleep(Duration::from_micros(100));
        }
    });
}

fn own_thread() -> u64 {
    // SAFETY: has no requirements.
    unsafe { libc::pthread_self() as u64 }
}

/// Whether this is the thread whose number is that of its process. After a fork in another thread,
/// that one is the child's main thread, and Python's.
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: has no requirements.
    let (thread, process) = (unsafe { libc::gettid() }, std::process::id());
    thread as u32 == process
}

/// The number of this process: handles that were made under another number are an ancestor's.
#[inline]
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // The threads that were on their way back are the parent's.
    RETURNING.store(0, Ordering::Relaxed);
}

/// Has `generation` counted up in each child from now on.
pub(crate) fn watch_forks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler stores to two atomics, which every child may do.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}
