//! A liveness lock: the kernel lock that proves a participant alive.
//!
//! The lock is held by an open file description of its own. It must end when the participant is gone: not
//! before, whatever descriptors the program closes, and not later, whatever children it has.
//!
//! *Where a mapping keeps the description*, which is known of the filesystems that
//! `filesystem::pins_locks` lists, a mapping of one page does, and the descriptor is closed
//! immediately: no child inherits it for long, and the lock ends exactly when the mapping does,
//! that is when the liveness lock is dropped or the process ends in whatever way. The kernel tears
//! the address space down before it drops the lock, so a free liveness lock means that no thread of
//! the dead process can still store.
//!
//! *Elsewhere* (overlayfs maps another file than the one that was opened and locked; of others it
//! is not known) the descriptor stays open. All threads have left their address space when the
//! kernel closes the descriptors of a process, so that the same holds. Forked children close their
//! copy. A program that closes all its descriptors (`closefrom(3)`) loses its liveness locks there.
//!
//! Which case applies is decided by the filesystem, before anything is closed. A test afterwards of
//! whether the lock is still there would be unreliable: a program that another thread is just
//! starting has a copy of the descriptor until it is executed ([`super::children`]), and this copy
//! would keep the lock during the test.
//!
//! The same copy keeps the kernel lock for that time if the participant ends before:
//! [`LivenessLock::end`] waits for it, so that a peer that tests the lock after a participant's end
//! gets the right answer. When the *process* ends meanwhile, it seems alive until then: a moment,
//! unless the child was made by `clone()` itself and never executes a program.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::children::without_forks;
use super::description::HeldLock;
use super::file::reopen;
use super::filesystem::pins_locks;
use super::fork::ForkGuard;
use super::lock::{Hold, is_locked, try_lock};
use super::map::PrivatePage;

/// Held for as long as the participant is attached.
pub(crate) struct LivenessLock {
    /// Keeps the description on filesystems where a mapping does.
    page: Option<PrivatePage>,
    /// The description itself, on other filesystems.
    _lock: Option<HeldLock>,
    at: i64,
    guard: ForkGuard,
}

/// How long the end of a liveness lock waits for programs that are just being started. Starting one
/// takes about a millisecond.
const MAX_LINGERING: Duration = Duration::from_secs(1);
const BETWEEN_QUESTIONS: Duration = Duration::from_micros(50);

impl LivenessLock {
    /// Takes the liveness lock on lock byte `at`; `None` if a living participant has it. `path` is
    /// the file's name.
    pub(crate) fn take(file: &File, path: &Path, at: i64) -> io::Result<Option<Self>> {
        // A child forked in between would inherit the open descriptor, and with it the lock.
        let guard = ForkGuard::new()?;
        without_forks(|| {
            let Some(description) = lock(file, path, at, Hold::Alone)? else { return Ok(None) };
            let page = match pins_locks(&description) {
                // If the page cannot be mapped, the descriptor is kept instead.
                true => PrivatePage::pin(&description, guard).ok(),
                false => None,
            };
            let lock = page.is_none().then(|| HeldLock::keep(description, at, guard));
            Ok(Some(Self { page, _lock: lock, at, guard }))
        })
    }

    /// Takes a shared lock on the byte; `None` if another description has it exclusively.
    pub(crate) fn share(file: &File, path: &Path, at: i64) -> io::Result<Option<Self>> {
        let guard = ForkGuard::new()?;
        without_forks(|| {
            let description = lock(file, path, at, Hold::Together)?;
            let held = description.map(|description| HeldLock::keep(description, at, guard));
            Ok(held.map(|held| Self { page: None, _lock: Some(held), at, guard }))
        })
    }

    /// Releases the liveness lock, and waits until the kernel reports it free or `is_successor`
    /// returns true. `file` is the queue's own description.
    pub(crate) fn end(self, file: &File, is_successor: impl Fn() -> bool) {
        // In a forked child the lock is the parent's, and stays.
        let (at, may_linger) = (self.at, self.page.is_some() && self.guard.is_intact());
        drop(self);
        if !may_linger {
            return;
        }
        let begin = Instant::now();
        // If the test fails, there is no reason to wait longer.
        while is_locked(file, at).unwrap_or(false) && !is_successor() && begin.elapsed() < MAX_LINGERING {
            std::thread::sleep(BETWEEN_QUESTIONS);
        }
    }
}

/// Opens a new description and takes the lock with it.
fn lock(file: &File, path: &Path, at: i64, hold: Hold) -> io::Result<Option<File>> {
    let description = reopen(file, path)?;
    Ok(try_lock(&description, at, hold)?.then_some(description))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTE: i64 = 1 << 62;

    fn file() -> (File, &'static Path) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        (file, Path::new("/nowhere"))
    }

    #[test]
    fn shares_are_held_together() {
        let (file, path) = file();
        let one = LivenessLock::share(&file, path, BYTE).unwrap().expect("free");
        let other = LivenessLock::share(&file, path, BYTE).unwrap().expect("shared");
        assert!(LivenessLock::take(&file, path, BYTE).unwrap().is_none());
        drop(one);
        assert!(is_locked(&file, BYTE).unwrap());
        drop(other);
        let alone = LivenessLock::take(&file, path, BYTE).unwrap().expect("free again");
        assert!(LivenessLock::share(&file, path, BYTE).unwrap().is_none());
        drop(alone);
    }

    #[test]
    fn a_liveness_lock_excludes_others_until_it_is_dropped() {
        let (file, path) = file();
        let lock = LivenessLock::take(&file, path, BYTE).unwrap().expect("free");
        assert!(LivenessLock::take(&file, path, BYTE).unwrap().is_none());
        assert!(LivenessLock::take(&file, path, BYTE + 1).unwrap().is_some());
        assert!(is_locked(&file, BYTE).unwrap());
        lock.end(&file, || panic!("there is no successor"));
        assert!(!is_locked(&file, BYTE).unwrap());
        assert!(LivenessLock::take(&file, path, BYTE).unwrap().is_some());
    }
}
