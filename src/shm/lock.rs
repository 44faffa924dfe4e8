//! Open-file-description locks on single bytes far behind the data.
//!
//! POSIX `F_SETLK` locks vanish when *any* descriptor of the file closes, and pids are reused and wrong across
//! namespaces; OFD locks belong to one open file description and go with it, whatever kills the process.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::file::reopen;
use super::fork::without_forks;
use crate::layout::{LOCK_ATTACH, LOCK_RECOVERY};

fn byte(kind: libc::c_int, byte: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

/// Whether others may hold the same lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Alone,
    /// With others that hold it together.
    Together,
}

/// Takes the lock for this description; false if another description has it.
pub(super) fn try_lock(file: &File, at: i64, hold: Hold) -> io::Result<bool> {
    let kind = match hold {
        Hold::Alone => libc::F_WRLCK,
        Hold::Together => libc::F_RDLCK,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte(kind, at))) {
        Ok(_) => Ok(true),
        // Linux says EACCES only for other reasons.
        Err(Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Gives the lock back. Should this fail, the close of the descriptor does it.
pub(super) fn unlock(file: &File, at: i64) {
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&byte(libc::F_UNLCK, at)));
}

/// Whether some other description holds the lock. Ask through a description that holds no lock itself.
pub(crate) fn is_locked(file: &File, at: i64) -> io::Result<bool> {
    is_any_locked(file, at, 1)
}

/// The same, of so many bytes from there.
pub(crate) fn is_any_locked(file: &File, at: i64, count: i64) -> io::Result<bool> {
    let mut lock = byte(libc::F_WRLCK, at);
    lock.l_len = count;
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

/// Runs `critical` under the recovery lock; `None` if somebody else has it. The lock goes with this process, whatever
/// kills it: no child has its description, since nobody forks meanwhile, which also keeps other threads of this process
/// waiting for their turn.
pub(crate) fn with_recovery_lock<R>(file: &File, critical: impl FnOnce() -> R) -> io::Result<Option<R>> {
    without_forks(|| {
        let description = reopen(file)?;
        Ok(try_lock(&description, LOCK_RECOVERY, Hold::Alone)?.then(critical))
    })
}

/// Held while somebody attaches, or unlinks the queue; released when dropped.
pub(crate) struct AttachLock {
    description: File,
}

impl Drop for AttachLock {
    fn drop(&mut self) {
        // Not left to the close of the descriptor: a child that was forked meanwhile has it too.
        unlock(&self.description, LOCK_ATTACH);
    }
}

/// Why the attach lock was not taken.
#[derive(Debug)]
pub(crate) enum AttachLockError {
    /// Somebody has held it for seconds: it is held for microseconds, unless its holder is stopped.
    Busy,
    Io(io::Error),
}

impl AttachLock {
    const PATIENCE: Duration = Duration::from_secs(5);

    /// Waits a bounded time: a process that is stopped while it attaches must not stop everybody else.
    pub(crate) fn take(file: &File) -> Result<Self, AttachLockError> {
        let description = reopen(file).map_err(AttachLockError::Io)?;
        let start = Instant::now();
        while !try_lock(&description, LOCK_ATTACH, Hold::Alone).map_err(AttachLockError::Io)? {
            if start.elapsed() > Self::PATIENCE {
                return Err(AttachLockError::Busy);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(Self { description })
    }
}
