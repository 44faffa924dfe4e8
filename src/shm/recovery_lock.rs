//! The recovery lock, under which one process at a time removes the residue of dead participants.
//!
//! # Why a survivor needs nothing new
//!
//! A participant must be able to recover for as long as it lives: with no descriptor left, no
//! memory, no `/proc`, another root, another user, in a sandbox that forbids opening files. So the
//! description that the lock is taken on is opened when a process first attaches through a handle,
//! and kept. Taking and releasing the lock is one `fcntl` each.
//!
//! # Why there is one recovery at a time
//!
//! The kernel tells descriptions apart, not threads, so there are two exclusions:
//!
//! - *Between threads that share the handle*: a mutex, which is taken first and released last. No
//!   thread waits for it.
//! - *Between handles, of this process or others*: the kernel's lock. Each handle has a description
//!   of its own.
//!
//! # Why the lock ends when its holder is done, or dead
//!
//! Children of this process may hold copies of the descriptor ([`super::children`]), and a copy keeps a lock.
//!
//! - *The holder is done, or panics*: it unlocks explicitly, which ends the lock on the
//!   description, however many copies there are. If the kernel refuses that, the descriptor is
//!   closed, and another one is opened for the next recovery.
//! - *The holder is killed*: the lock ends with the last copy. A forked child has closed its own
//!   before any code of it runs. A program that is just being started (`posix_spawn`) has closed it
//!   when it is executed: other processes find the lock taken for that moment, as if the recovery
//!   went on. Only a child that was made by `clone()` itself and never executes a program keeps the
//!   lock for as long as it lives, if its parent was killed inside a recovery; a process that waits
//!   gets the error that the lock is taken (`Busy`).
//! - *A forked child* never takes the lock: its handles do nothing, and its copy is closed.
//!
//! If a recovery was killed at any point, the next one begins anew: [`crate::order_ring`] says why
//! that is right.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, TryLockError};

use super::description::PrivateDescription;
use super::lock::{Hold, try_lock, unlock};
use crate::layout::LOCK_RECOVERY;

/// The recovery lock as one handle takes it.
pub(crate) struct RecoveryLock {
    /// `None` after an unlock that failed.
    description: Mutex<Option<PrivateDescription>>,
}

impl RecoveryLock {
    /// Opens the description; `path` is the file's name.
    pub(crate) fn open(file: &File, path: &Path) -> io::Result<Self> {
        Ok(Self { description: Mutex::new(Some(PrivateDescription::open(file, path)?)) })
    }

    /// Runs `critical` under the lock; `None` if another thread or process has it. Needs no new
    /// resource of the system, unless an unlock has failed before.
    pub(crate) fn run<R>(
        &self,
        file: &File,
        path: &Path,
        critical: impl FnOnce() -> R,
    ) -> io::Result<Option<R>> {
        let mut slot = match self.description.try_lock() {
            Ok(slot) => slot,
            // A recovery that panicked has released the lock; another one may begin anew.
            Err(TryLockError::Poisoned(slot)) => slot.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        if slot.is_none() {
            *slot = Some(PrivateDescription::open(file, path)?);
        }
        let Some(description) = &*slot else { return Ok(None) };
        if !try_lock(description.file(), LOCK_RECOVERY, Hold::Alone)? {
            return Ok(None);
        }
        let _unlock = Unlock(&mut slot);
        Ok(Some(critical()))
    }
}

/// Releases the lock, also when the recovery panics.
struct Unlock<'a>(&'a mut Option<PrivateDescription>);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        let is_unlocked = self.0.as_ref().is_none_or(|description| {
            !description.is_own_process() || unlock(description.file(), LOCK_RECOVERY).is_ok()
        });
        if !is_unlocked {
            *self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lock::is_locked;
    use super::*;

    #[test]
    fn it_is_taken_once_and_given_back_also_after_a_panic() {
        let file = tempfile::tempfile().unwrap();
        let path = Path::new("/nowhere");
        let open = || RecoveryLock::open(&file, path).unwrap();
        let (one, other) = (open(), open());
        let run = |lock: &RecoveryLock| lock.run(&file, path, || ()).unwrap();
        one.run(&file, path, || {
            assert!(run(&one).is_none(), "another thread");
            assert!(run(&other).is_none(), "another handle");
            assert!(is_locked(&file, LOCK_RECOVERY).unwrap());
        })
        .unwrap()
        .expect("it was free");
        assert!(!is_locked(&file, LOCK_RECOVERY).unwrap());
        let panics = std::panic::AssertUnwindSafe(|| one.run(&file, path, || panic!("a recovery panics")));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert!(run(&other).is_some() && run(&one).is_some());
    }
}
