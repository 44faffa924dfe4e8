//! The futex calls, on words that several processes share (no FUTEX_PRIVATE_FLAG).

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The eventcount was notified, during the sleep or before it.
    Notified,
    /// The sleep timeout has ended.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

#[cfg(not(loom))]
mod kernel {
    #![allow(unsafe_code, reason = "futexes have no wrapper")]

    use std::ptr;
    use std::time::Duration;

    use nix::errno::Errno;

    use super::Woken;
    use crate::sync::AtomicU32;

    /// The longest sleep of a process that may not use futexes.
    const WITHOUT_FUTEX: Duration = Duration::from_millis(1);

    /// Sleeps as long as `word` is `expected`, for at most `duration` (CLOCK_MONOTONIC).
    pub(crate) fn wait(word: &AtomicU32, expected: u32, duration: Duration) -> Woken {
        let timeout = libc::timespec {
            tv_sec: duration.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: duration.subsec_nanos().into(),
        };
        // SAFETY: `word` is a live, aligned 32-bit word and `timeout` outlives the call; the kernel
        // only reads them.
        let woken = unsafe {
            libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, ptr::from_ref(&timeout))
        };
        match Errno::result(woken) {
            // EAGAIN: the word has changed already.
            Ok(_) | Err(Errno::EAGAIN) => Woken::Notified,
            Err(Errno::ETIMEDOUT) => Woken::TimedOut,
            Err(Errno::EINTR) => Woken::Interrupted,
            // A sandbox, say, does not allow it. Attempting again immediately, with a barrier each
            // time, would bring all processes to a stop.
            Err(_) => {
                std::thread::sleep(duration.min(WITHOUT_FUTEX));
                Woken::TimedOut
            }
        }
    }

    /// Wakes up to `count` of those that sleep on `word`; returns how many.
    pub(crate) fn wake(word: &AtomicU32, count: u32) -> u32 {
        let count = count.min(i32::MAX as u32);
        // SAFETY: the kernel uses the address of `word` to find sleepers, and does not touch it.
        let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
        woken.max(0) as u32
    }
}

/// Sleepers of a model really sleep, forever if they are not woken: loom calls that a deadlock.
/// This lock orders what the kernel's lock on a futex orders.
#[cfg(loom)]
mod kernel {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::time::Duration;

    use loom::sync::{Condvar, Mutex};

    use super::Woken;
    use crate::sync::{AtomicU32, Ordering};

    loom::lazy_static! {
        /// The sleepers, by the address of the word, longest first.
        static ref SLEEPERS: Mutex<VecDeque<(usize, Arc<Condvar>)>> = Mutex::new(VecDeque::new());
    }

    fn address(word: &AtomicU32) -> usize {
        std::ptr::from_ref(word).addr()
    }

    pub(crate) fn wait(word: &AtomicU32, expected: u32, _slice: Duration) -> Woken {
        let mut sleepers = SLEEPERS.lock().unwrap();
        if word.load(Ordering::Relaxed) == expected {
            let me = Arc::new(Condvar::new());
            sleepers.push_back((address(word), Arc::clone(&me)));
            while sleepers.iter().any(|(_, sleeper)| Arc::ptr_eq(sleeper, &me)) {
                sleepers = me.wait(sleepers).unwrap();
            }
        }
        Woken::Notified
    }

    pub(crate) fn wake(word: &AtomicU32, count: u32) -> u32 {
        let mut sleepers = SLEEPERS.lock().unwrap();
        let mut woken = 0;
        while woken < count
            && let Some(at) = sleepers.iter().position(|(sleeps_on, _)| *sleeps_on == address(word))
            && let Some((_, sleeper)) = sleepers.remove(at)
        {
            sleeper.notify_one();
            woken += 1;
        }
        woken
    }
}

pub(crate) use kernel::{wait, wake};
