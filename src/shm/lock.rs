//! Open-file-description locks on single bytes far after the data.
//!
//! POSIX `F_SETLK` locks vanish when *any* descriptor of the file closes, and pids are reused and
//! wrong across namespaces; OFD locks belong to one open file description and end with it, whatever
//! kills the process.
//!
//! They end with the *last* descriptor of that description, of which children may hold copies
//! ([`super::children`]). So each lock is released explicitly, and the close of a descriptor
//! matters only when the process dies.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

fn byte(kind: libc::c_int, byte: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

/// Whether other descriptions may hold the same lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Alone,
    /// Shared with other descriptions.
    Together,
}

/// Takes the lock for this description; false if another description has it.
pub(super) fn try_lock(file: &File, at: i64, hold: Hold) -> io::Result<bool> {
    let kind = match hold {
        Hold::Alone => libc::F_WRLCK,
        Hold::Together => libc::F_RDLCK,
    };
    let lock = byte(kind, at);
    match retried(|| fcntl(file, FcntlArg::F_OFD_SETLK(&lock))) {
        Ok(()) => Ok(true),
        // Linux says EACCES only for other reasons.
        Err(Errno::EAGAIN) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Releases the lock.
pub(super) fn unlock(file: &File, at: i64) -> io::Result<()> {
    let lock = byte(libc::F_UNLCK, at);
    retried(|| fcntl(file, FcntlArg::F_OFD_SETLK(&lock))).map_err(failed)
}

/// Whether another description holds the lock. `file` must be a description that holds no lock itself.
pub(crate) fn is_locked(file: &File, at: i64) -> io::Result<bool> {
    is_any_locked(file, at, 1)
}

/// Whether another description holds a lock on any of `count` bytes from `at` on; see [`is_locked`].
pub(crate) fn is_any_locked(file: &File, at: i64, count: i64) -> io::Result<bool> {
    first_locked(file, at, count).map(|first| first.is_some())
}

/// The first of `count` bytes from `at` on that another description has locked; see [`is_locked`].
pub(super) fn first_locked(file: &File, at: i64, count: i64) -> io::Result<Option<i64>> {
    let mut lock = byte(libc::F_WRLCK, at);
    lock.l_len = count;
    retried(|| fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))).map_err(failed)?;
    Ok((lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_start))
}

/// Retry limit for calls that report an interruption, which none of these should do.
const MAX_TRIES: u32 = 8;

fn retried(mut call: impl FnMut() -> nix::Result<libc::c_int>) -> nix::Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        match call() {
            Err(Errno::EINTR) if tries < MAX_TRIES => {}
            done => return done.map(drop),
        }
    }
}

/// Names the missing resource where the system's own text would not.
fn failed(error: Errno) -> io::Error {
    let reason = match error {
        Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP => {
            "this system has no open-file-description locks (F_OFD_SETLK), by which participants are known to be alive; Linux \
             has had them since 3.15, but some sandboxes that stand in for the kernel lack them: run the process outside of \
             that, or with a runtime that uses the machine's own kernel"
        }
        Errno::ENOLCK => {
            "the kernel has no memory for another file lock, or this process may hold no more of them (RLIMIT_LOCKS)"
        }
        Errno::EPERM => "a sandbox forbids file locks (fcntl with F_OFD_SETLK and F_OFD_GETLK); allow them",
        other => return other.into(),
    };
    io::Error::new(io::Error::from(error).kind(), format!("{reason} ({error})"))
}
