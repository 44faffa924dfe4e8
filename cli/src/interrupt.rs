//! SIGINT, SIGTERM and SIGHUP: the first one asks a command to end, the second one ends it.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// The number of the signal that requested the end; 0 before.
static REQUESTED: AtomicI32 = AtomicI32::new(0);

/// An interrupt is noticed no later than after this time.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

extern "C" fn requested(signal: libc::c_int) {
    if REQUESTED.swap(signal, Ordering::Relaxed) != 0 {
        // SAFETY: _exit may be called in a signal handler; the kernel releases what the process holds.
        unsafe { libc::_exit(128 + signal) };
    }
}

/// Installs the handlers: from now on SIGINT, SIGTERM and SIGHUP are recorded, and interrupt a
/// blocking read or write.
pub(crate) fn watch() -> Result<()> {
    let action = SigAction::new(SigHandler::Handler(requested), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler accesses an atomic and nothing else.
        let before = unsafe { sigaction(signal, &action) }.context("registering a signal handler")?;
        // nohup: the user wants this command to survive the terminal.
        if signal == Signal::SIGHUP && matches!(before.handler(), SigHandler::SigIgn) {
            // SAFETY: restores the disposition that was there before.
            unsafe { sigaction(signal, &before) }.context("registering a signal handler")?;
        }
    }
    Ok(())
}

/// Whether an interrupt was requested.
pub(crate) fn is_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed) != 0
}

/// The signal that requested the end.
pub(crate) fn signal() -> Option<Signal> {
    Signal::try_from(REQUESTED.load(Ordering::Relaxed)).ok()
}

/// Sleeps until the deadline, or until an interrupt is requested; returns true if one is.
pub(crate) fn sleep_until(then: Instant) -> bool {
    while !is_requested() {
        let left = then.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(SLICE));
    }
    true
}

/// Waits until there is input to read (or its end); returns false if an interrupt is requested
/// first.
pub(crate) fn wait_readable(input: &impl AsFd) -> Result<bool> {
    while !is_requested() {
        let mut polled = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::from(SLICE.as_millis() as u16)) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error).context("waiting for input"),
        }
    }
    Ok(false)
}
