//! Sleeping on several words at once: `futex_waitv(2)`, Linux 5.16.
//!
//! Without that call, and for more words than it takes, groups of words are slept on in turn, a
//! millisecond each. All words are read between two turns, so no notification is missed, but one
//! may take effect a millisecond late.
#![allow(unsafe_code, reason = "futexes have no wrapper")]

use std::ptr;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use super::{EventCount, Key, Waitable, Woken, futex};
use crate::sync::{AtomicU32, Ordering, PrivateWord};

/// The number of words that can be slept on together (FUTEX_WAITV_MAX).
pub(crate) const MAX_WATCHED: usize = 128;
/// How long each group is slept on, if there are several.
const TURN: Duration = Duration::from_millis(1);
/// An endless sleep is a sequence of sleeps of this length.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The number of the call on all machines but alpha.
const SYS_FUTEX_WAITV: libc::c_long = 449;
/// A word of 32 bits that processes may share.
const FUTEX2_SIZE_U32: u32 = 2;

/// `struct futex_waitv` of linux/futex.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// A word that is slept on as long as it has the expected value.
#[derive(Clone, Copy)]
pub(crate) struct Watched<'a> {
    pub(crate) word: &'a AtomicU32,
    pub(crate) expected: u32,
}

impl Watched<'_> {
    fn has_changed(&self) -> bool {
        self.word.load(Ordering::Acquire) != self.expected
    }

    fn waiter(&self) -> Waiter {
        let address = self.word.as_ptr() as u64;
        Waiter { value: self.expected.into(), address, flags: FUTEX2_SIZE_U32, reserved: 0 }
    }
}

/// Sleeps until one of the words has changed or is woken, but no longer than `timeout`.
pub(crate) fn watch(watched: &[Watched<'_>], timeout: Duration) -> Woken {
    if !has_waitv() {
        in_turn(watched, 1, timeout)
    } else if watched.len() > MAX_WATCHED {
        in_turn(watched, MAX_WATCHED, timeout)
    } else {
        at_once(watched, timeout)
    }
}

/// Whether the kernel has the call and permits it.
fn has_waitv() -> bool {
    const UNKNOWN: u64 = 0;
    const YES: u64 = 1;
    const NO: u64 = 2;
    static KNOWN: PrivateWord = PrivateWord::new(UNKNOWN);
    if KNOWN.load(Ordering::Relaxed) == UNKNOWN {
        // No waiters: that is EINVAL, unless the kernel (ENOSYS) or a filter (EPERM) refuses the
        // call itself.
        let refused = waitv(&[], Duration::ZERO);
        KNOWN.store(if refused == Err(Errno::EINVAL) { YES } else { NO }, Ordering::Relaxed);
    }
    KNOWN.load(Ordering::Relaxed) == YES
}

/// Sleeps on all of them together, or in turn if the kernel refuses that now.
fn at_once(watched: &[Watched<'_>], timeout: Duration) -> Woken {
    let none = Waiter { value: 0, address: 0, flags: 0, reserved: 0 };
    let mut waiters = [none; MAX_WATCHED];
    for (waiter, watched) in waiters.iter_mut().zip(watched) {
        *waiter = watched.waiter();
    }
    match waitv(&waiters[..watched.len()], timeout) {
        // EAGAIN: one of them has changed already.
        Ok(_) | Err(Errno::EAGAIN) => Woken::Notified,
        Err(Errno::ETIMEDOUT) => Woken::TimedOut,
        Err(Errno::EINTR) => Woken::Interrupted,
        Err(_) => in_turn(watched, 1, timeout),
    }
}

fn waitv(waiters: &[Waiter], timeout: Duration) -> Result<libc::c_long, Errno> {
    const NO_FLAGS: libc::c_long = 0;
    // This call takes the time of the end, not a duration.
    let now: Duration = clock_gettime(ClockId::CLOCK_MONOTONIC)?.into();
    let end = now + timeout.min(LONGEST);
    let end = libc::timespec {
        tv_sec: end.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: end.subsec_nanos().into(),
    };
    // SAFETY: `waiters` are laid out as the kernel expects them, and like `end` outlive the call,
    // which only reads them. The words that they refer to are live and aligned: `Watched` borrows
    // them.
    let woken = unsafe {
        libc::syscall(
            SYS_FUTEX_WAITV,
            waiters.as_ptr(),
            waiters.len(),
            NO_FLAGS,
            ptr::from_ref(&end),
            libc::CLOCK_MONOTONIC,
        )
    };
    Errno::result(woken)
}

/// Sleeps on groups of `group` words, one after the other.
fn in_turn(watched: &[Watched<'_>], group: usize, timeout: Duration) -> Woken {
    let began = Instant::now();
    for group in watched.chunks(group).cycle() {
        if watched.iter().any(Watched::has_changed) {
            return Woken::Notified;
        }
        let left = timeout.saturating_sub(began.elapsed());
        let turn = if watched.len() == group.len() { left } else { left.min(TURN) };
        let woken = match group {
            _ if left.is_zero() => return Woken::TimedOut,
            [alone] => futex::wait(alone.word, alone.expected, turn.min(LONGEST)),
            group => at_once(group, turn),
        };
        if woken != Woken::TimedOut {
            return woken;
        }
    }
    Woken::TimedOut
}

/// Several eventcounts: a sleep ends when any of them is notified.
pub(crate) struct EventSet<'a>(pub(crate) &'a [EventCount]);

impl Waitable for EventSet<'_> {
    type Key = Vec<Key>;

    /// One barrier for all of them.
    fn arm(&self) -> Vec<Key> {
        let (keys, armed): (Vec<_>, Vec<_>) = self.0.iter().map(EventCount::register).unzip();
        EventCount::barrier_after_register(&self.0.iter().zip(armed).collect::<Vec<_>>());
        keys
    }

    fn sleep(&self, keys: Vec<Key>, timeout: Duration) -> Woken {
        let watched: Vec<_> = self.0.iter().zip(keys).map(|(event, key)| event.watched(key)).collect();
        watch(&watched, timeout)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    type Way = fn(&[Watched<'_>], Duration) -> Woken;

    /// Does what `watch` does if the kernel has no `futex_waitv`.
    fn one_by_one(watched: &[Watched<'_>], timeout: Duration) -> Woken {
        in_turn(watched, 1, timeout)
    }

    const WAYS: [Way; 2] = [watch, one_by_one];

    fn watched(words: &[AtomicU32]) -> Vec<Watched<'_>> {
        words.iter().map(|word| Watched { word, expected: 0 }).collect()
    }

    #[test]
    fn a_change_before_the_sleep_is_noticed() {
        for way in WAYS {
            for count in [1, 2, MAX_WATCHED, 2 * MAX_WATCHED + 3] {
                let words: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
                words[count - 1].store(1, Ordering::Release);
                assert_eq!(way(&watched(&words), LONG), Woken::Notified, "{count} words");
            }
        }
    }

    #[test]
    fn any_notification_wakes() {
        for way in WAYS {
            for count in [1, 2, MAX_WATCHED, MAX_WATCHED + 1] {
                for notified in [0, count / 2, count - 1] {
                    let words: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
                    let (words, (done, is_done)) = (&words, mpsc::channel());
                    thread::scope(|scope| {
                        scope.spawn(move || done.send(way(&watched(words), LONG)).unwrap());
                        words[notified].store(1, Ordering::Release);
                        // This has to work whether or not the thread sleeps already.
                        futex::wake(&words[notified], 1);
                        assert_eq!(
                            is_done.recv_timeout(LONG / 2),
                            Ok(Woken::Notified),
                            "{notified} of {count}"
                        );
                    });
                }
            }
        }
    }

    #[test]
    fn a_timeout_expires_and_is_never_early() {
        for way in WAYS {
            for count in [1, 2, MAX_WATCHED + 1] {
                let words: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
                let (timeout, start) = (Duration::from_millis(7), Instant::now());
                assert_eq!(way(&watched(&words), timeout), Woken::TimedOut);
                assert!(start.elapsed() >= timeout, "{count} words: {:?}", start.elapsed());
            }
        }
    }
}
