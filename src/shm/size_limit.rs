//! Limits on the size of files (`ulimit -f`, `RLIMIT_FSIZE`).
//!
//! The kernel answers a call that would make a file longer than that with EFBIG, and sends SIGXFSZ,
//! which ends the process unless it is handled. This module blocks the signal in the calling thread
//! during such calls, and then consumes it: it is sent to the thread that makes the call. A handler
//! of the program's own sees none.
#![allow(unsafe_code, reason = "signal masks")]

use std::mem::MaybeUninit;

/// Runs calls that may make a file longer. If they exceed the limit, they fail with EFBIG, and
/// nothing else happens.
pub(super) fn without_signal<R>(calls: impl FnOnce() -> R) -> R {
    let Some(held) = HeldBack::new() else { return calls() };
    let done = calls();
    drop(held);
    done
}

/// The largest file size that this process may create; `None`: no limit.
pub(crate) fn file_size_limit() -> Option<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: there is room for one.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: the call has filled it.
    let limit = unsafe { limit.assume_init() };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Blocks the signal in this thread until this is dropped.
struct HeldBack {
    signals: libc::sigset_t,
    before: libc::sigset_t,
    /// The signal was already pending before; it belongs to the program.
    is_others: bool,
}

impl HeldBack {
    /// `None` if the mask cannot be changed, which the kernel never refuses.
    fn new() -> Option<Self> {
        let mut signals = empty();
        // SAFETY: an initialised set.
        unsafe { libc::sigaddset(&raw mut signals, libc::SIGXFSZ) };
        let (mut before, mut pending) = (empty(), empty());
        // SAFETY: initialised sets.
        let blocked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, &raw mut before) };
        // SAFETY: as above.
        unsafe { libc::sigpending(&raw mut pending) };
        // SAFETY: as above.
        let is_others = unsafe { libc::sigismember(&raw const pending, libc::SIGXFSZ) } == 1;
        (blocked == 0).then_some(Self { signals, before, is_others })
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        if !self.is_others {
            let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: an initialised set, no information about the signal is asked for, and the
            // time is valid. It fails if there is no signal.
            unsafe { libc::sigtimedwait(&raw const self.signals, std::ptr::null_mut(), &raw const now) };
        }
        // SAFETY: the set that was in force before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}

fn empty() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: there is room for a set, which the call initialises.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: as above.
    unsafe { set.assume_init() }
}
