//! The attach lock: one process at a time attaches, unlinks, seals or recovers what outlived the machine.
//!
//! It is normally held for microseconds, so that a holder that keeps it for seconds must be stopped, and those who wait
//! give up ([`AttachLockError::Busy`]). But after a reboot the holder may have to read a queue of many gigabytes from a
//! cold disk. So long work *moves on*: the holder takes a lock on one byte after the other of a range
//! ([`AttachLock::move_on`]), which costs it two system calls ten times a second. Those who wait see the byte change, and
//! wait for another [`TIME_LIMIT`] from then on. A holder that is stopped, or whose disk does not answer, moves on no more.
//!
//! A byte shows progress to processes that have nothing in common but the file, needs no word in it, and is gone with its
//! holder however that ends.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::description::{HeldLock, PrivateDescription};
use super::lock::{Hold, first_locked, try_lock, unlock};
use crate::layout::{LOCK_ATTACH, LOCK_PROGRESS, PROGRESS_LOCKS};

/// How long to wait for a holder that does not move on.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// How often a holder moves on, and others look whether it did.
const STEP: Duration = Duration::from_millis(100);

/// Held while a participant attaches, or the queue is unlinked; released when dropped.
pub(crate) struct AttachLock {
    /// `None` once its description was given back.
    lock: Option<HeldLock>,
    /// The byte that is locked to show progress, and when that was.
    moved: Cell<(Option<i64>, Instant)>,
}

/// Why the attach lock was not taken.
#[derive(Debug)]
pub(crate) enum AttachLockError {
    /// Another process has held it for seconds and does not move on: it must be stopped.
    Busy,
    Io(io::Error),
}

impl AttachLock {
    /// Takes the lock. Waits for a bounded time, because a process that is stopped while it
    /// attaches must not stop all others; and longer, while its holder moves on. `path` is the file's name.
    pub(crate) fn take(file: &File, path: &Path) -> Result<Self, AttachLockError> {
        Self::take_within(file, path, TIME_LIMIT)
    }

    fn take_within(file: &File, path: &Path, time_limit: Duration) -> Result<Self, AttachLockError> {
        let description = PrivateDescription::open(file, path).map_err(AttachLockError::Io)?;
        Self::wait(&description, time_limit)?;
        Ok(Self::of(description))
    }

    fn of(description: PrivateDescription) -> Self {
        Self { lock: Some(HeldLock::of(description, LOCK_ATTACH)), moved: Cell::new((None, Instant::now())) }
    }

    /// Locks a description.
    fn wait(description: &PrivateDescription, time_limit: Duration) -> Result<(), AttachLockError> {
        let (mut since, mut asked, mut seen) = (Instant::now(), Instant::now(), None);
        while !try_lock(description.file(), LOCK_ATTACH, Hold::Alone).map_err(AttachLockError::Io)? {
            if asked.elapsed() >= STEP.min(time_limit / 4) {
                asked = Instant::now();
                let at = first_locked(description.file(), LOCK_PROGRESS, PROGRESS_LOCKS);
                let at = at.map_err(AttachLockError::Io)?;
                if at != seen {
                    (since, seen) = (asked, at);
                }
            }
            if since.elapsed() > time_limit {
                return Err(AttachLockError::Busy);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// Tells those who wait for this lock that its holder works. Cheap; called between pieces of long work.
    pub(crate) fn move_on(&self) {
        let (last, at) = self.moved.get();
        if at.elapsed() >= STEP {
            self.take_next(last);
        }
    }

    #[cold]
    fn take_next(&self, last: Option<i64>) {
        let next = last.map_or(0, |last| (last + 1 - LOCK_PROGRESS) % PROGRESS_LOCKS) + LOCK_PROGRESS;
        // If this fails, others give up earlier than they would have to.
        if let Ok(true) = try_lock(self.description().file(), next, Hold::Alone) {
            if let Some(last) = last {
                let _ = unlock(self.description().file(), last);
            }
            self.moved.set((Some(next), Instant::now()));
        }
    }
}

impl AttachLock {
    fn description(&self) -> &PrivateDescription {
        self.lock.as_ref().expect("given back only by value").description()
    }

    fn stop_moving(&self) {
        if let (Some(last), at) = self.moved.get()
            && self.description().is_own_process()
        {
            // If this fails, the close of the descriptor releases it, unless there is a copy.
            let _ = unlock(self.description().file(), last);
            self.moved.set((None, at));
        }
    }

    /// Releases the lock, and gives its description back.
    fn into_description(mut self) -> PrivateDescription {
        self.stop_moving();
        self.lock.take().expect("given back only by value").into_description()
    }
}

impl Drop for AttachLock {
    fn drop(&mut self) {
        if self.lock.is_some() {
            self.stop_moving();
        }
    }
}

/// A description that a handle keeps from its first attach on, so that what the last participant does when it leaves needs
/// nothing new of the system: it may have no descriptor left, or no permission to open the file, by then.
#[derive(Default)]
pub(crate) struct SpareDescription(Mutex<Option<PrivateDescription>>);

impl SpareDescription {
    /// Opens it, if there is none yet. A failure shows if it is needed. Does not wait: the caller may have the attach lock,
    /// for which a thread waits that uses the spare description.
    pub(crate) fn keep(&self, file: &File, path: &Path) {
        let mut spare = match self.0.try_lock() {
            Ok(spare) => spare,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if spare.is_none() {
            *spare = PrivateDescription::open(file, path).ok();
        }
    }

    /// Runs `critical` under the attach lock of the file. Threads that need the spare description do so one by one.
    pub(crate) fn with_lock<R>(
        &self,
        file: &File,
        path: &Path,
        critical: impl FnOnce(&AttachLock) -> R,
    ) -> Result<R, AttachLockError> {
        let error = match AttachLock::take(file, path) {
            Ok(lock) => return Ok(critical(&lock)),
            Err(AttachLockError::Busy) => return Err(AttachLockError::Busy),
            Err(AttachLockError::Io(error)) => error,
        };
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(description) = spare.take() else { return Err(AttachLockError::Io(error)) };
        if let Err(error) = AttachLock::wait(&description, TIME_LIMIT) {
            *spare = Some(description);
            return Err(error);
        }
        let lock = AttachLock::of(description);
        let result = critical(&lock);
        *spare = Some(lock.into_description());
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMPATIENT: Duration = Duration::from_millis(400);

    /// A holder that works, or does not, for four times as long as the other waits.
    fn waits_for_a_holder(works: bool) -> Result<AttachLock, AttachLockError> {
        let (file, path) = (tempfile::tempfile().unwrap(), Path::new("/nowhere"));
        let lock = AttachLock::take(&file, path).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| AttachLock::take_within(&file, path, IMPATIENT));
            let begin = Instant::now();
            while begin.elapsed() < 4 * IMPATIENT {
                if works {
                    lock.move_on();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(lock);
            waiting.join().unwrap()
        })
    }

    #[test]
    fn a_holder_that_works_is_waited_for() {
        assert!(waits_for_a_holder(true).is_ok());
        assert!(matches!(waits_for_a_holder(false), Err(AttachLockError::Busy)));
    }

    #[test]
    fn nothing_is_locked_afterwards() {
        let (file, path) = (tempfile::tempfile().unwrap(), Path::new("/nowhere"));
        let lock = AttachLock::take(&file, path).unwrap();
        for _ in 0..3 {
            let last = lock.moved.get().0;
            lock.take_next(last);
            assert_ne!(lock.moved.get().0, last);
        }
        assert_eq!(first_locked(&file, LOCK_PROGRESS, PROGRESS_LOCKS).unwrap(), lock.moved.get().0);
        drop(lock);
        assert_eq!(first_locked(&file, LOCK_PROGRESS, PROGRESS_LOCKS).unwrap(), None);
    }

    #[test]
    fn keeping_the_spare_does_not_wait_for_its_user() {
        let spare = std::sync::Arc::new(SpareDescription::default());
        let in_use = spare.0.lock().unwrap();
        let (done, is_done) = std::sync::mpsc::channel();
        let other = std::sync::Arc::clone(&spare);
        std::thread::spawn(move || {
            other.keep(&tempfile::tempfile().unwrap(), Path::new("/nowhere"));
            let _ = done.send(());
        });
        assert_eq!(is_done.recv_timeout(Duration::from_secs(10)), Ok(()));
        drop(in_use);
    }
}
