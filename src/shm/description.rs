//! Open file descriptions that only this process uses, and the locks on them.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::children::{close_in_children, keep_in_children, without_forks};
use super::file::reopen;
use super::fork::ForkGuard;
use super::lock::unlock;

/// An open file description of its own, whose descriptor forked children close.
pub(super) struct PrivateDescription {
    file: ManuallyDrop<File>,
    guard: ForkGuard,
}

impl PrivateDescription {
    /// Opens the file once more; `path` is its name.
    pub(super) fn open(file: &File, path: &Path) -> io::Result<Self> {
        let guard = ForkGuard::new()?;
        without_forks(|| Ok(Self::keep(reopen(file, path)?, guard)))
    }

    /// Wraps `file`. Called within the same `without_forks` section that opened it.
    pub(super) fn keep(file: File, guard: ForkGuard) -> Self {
        close_in_children(file.as_raw_fd());
        Self { file: ManuallyDrop::new(file), guard }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// False in a forked child, which has closed the descriptor.
    pub(super) fn is_own_process(&self) -> bool {
        self.guard.is_intact()
    }
}

impl Drop for PrivateDescription {
    #[allow(unsafe_code, reason = "a descriptor that a child must not close a second time")]
    fn drop(&mut self) {
        // In a forked child the number may belong to another file by now.
        if self.is_own_process() {
            // In this order: once the descriptor is closed, its number may become another file's,
            // which children are to keep.
            keep_in_children(self.file.as_raw_fd());
            // SAFETY: dropped only here, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// A lock on a description of its own. It is released explicitly when it is dropped: a program that
/// another thread is just starting has a copy of the descriptor until it is executed, which would
/// keep the lock after the close.
pub(super) struct HeldLock {
    /// `None` once it was given back.
    description: Option<PrivateDescription>,
    at: i64,
}

impl HeldLock {
    /// Wraps a description that has the lock.
    pub(super) fn of(description: PrivateDescription, at: i64) -> Self {
        Self { description: Some(description), at }
    }

    /// Wraps `file`. Called within the same `without_forks` section that opened and locked it.
    pub(super) fn keep(file: File, at: i64, guard: ForkGuard) -> Self {
        Self::of(PrivateDescription::keep(file, guard), at)
    }
}

impl HeldLock {
    /// The description that has the lock.
    pub(super) fn description(&self) -> &PrivateDescription {
        self.description.as_ref().expect("given back only by value")
    }

    /// Releases the lock, and gives the description back.
    pub(super) fn into_description(mut self) -> PrivateDescription {
        self.unlock();
        self.description.take().expect("given back only by value")
    }

    fn unlock(&self) {
        if let Some(description) = &self.description
            && description.is_own_process()
        {
            // If this fails, the close of the descriptor releases the lock, unless there is a copy.
            let _ = unlock(description.file(), self.at);
        }
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.unlock();
    }
}
