//! A lease: the kernel lock that proves a participant alive.
//!
//! The lock sits on an open file description of its own. A mapping of one page pins that description, so the
//! descriptor itself can be closed: no child inherits it, and the lock goes exactly when the mapping goes, that
//! is when the lease is dropped or the process ends in whatever way. The kernel tears the address space down
//! before it drops the lock, so a free lease means that no thread of the dead process can still store.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::file::reopen;
use super::fork::{ForkGuard, close_in_children, keep_in_children, without_forks};
use super::lock::{Hold, is_locked, try_lock};
use super::map::PrivatePage;

/// Held while the participant lives.
pub(crate) struct Lease {
    _page: Option<PrivatePage>,
    /// Some filesystems (overlayfs) drop the lock at close in spite of the mapping; there it stays open.
    descriptor: Option<File>,
    guard: ForkGuard,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.guard.is_intact() {
            // A forked child has closed it already, and its number may belong to something else by now.
            std::mem::forget(self.descriptor.take());
        } else if let Some(descriptor) = &self.descriptor {
            keep_in_children(descriptor.as_raw_fd());
        }
    }
}

impl Lease {
    /// Takes the lease on lock byte `at`; `None` if somebody alive has it.
    pub(crate) fn take(file: &File, at: i64) -> io::Result<Option<Self>> {
        // A child forked in between would inherit the open descriptor, and with it the lock.
        let guard = ForkGuard::new()?;
        without_forks(|| Self::take_undisturbed(file, at, guard))
    }

    fn take_undisturbed(file: &File, at: i64, guard: ForkGuard) -> io::Result<Option<Self>> {
        let Some(description) = lock(file, at, Hold::Alone)? else { return Ok(None) };
        let page = Some(PrivatePage::pin(&description, guard)?);
        drop(description);
        if is_locked(file, at)? {
            return Ok(Some(Self { _page: page, descriptor: None, guard }));
        }
        let Some(description) = lock(file, at, Hold::Alone)? else { return Ok(None) };
        Ok(Some(Self { _page: page, descriptor: Some(kept(description)), guard }))
    }

    /// Takes a share of the byte; `None` if somebody alive has it alone.
    ///
    /// The descriptor stays open: others' shares would hide that the filesystem drops the lock with it.
    pub(crate) fn share(file: &File, at: i64) -> io::Result<Option<Self>> {
        let guard = ForkGuard::new()?;
        without_forks(|| {
            let description = lock(file, at, Hold::Together)?.map(kept);
            Ok(description.map(|kept| Self { _page: None, descriptor: Some(kept), guard }))
        })
    }
}

/// A description of its own that has the lock.
fn lock(file: &File, at: i64, hold: Hold) -> io::Result<Option<File>> {
    let description = reopen(file)?;
    Ok(try_lock(&description, at, hold)?.then_some(description))
}

/// One that stays open, here only.
fn kept(description: File) -> File {
    close_in_children(description.as_raw_fd());
    description
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTE: i64 = 1 << 62;

    #[test]
    fn shares_are_held_together() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let one = Lease::share(&file, BYTE).unwrap().expect("free");
        let other = Lease::share(&file, BYTE).unwrap().expect("shared");
        assert!(Lease::take(&file, BYTE).unwrap().is_none());
        drop(one);
        assert!(is_locked(&file, BYTE).unwrap());
        drop(other);
        let alone = Lease::take(&file, BYTE).unwrap().expect("free again");
        assert!(Lease::share(&file, BYTE).unwrap().is_none());
        drop(alone);
    }

    #[test]
    fn a_lease_excludes_others_until_it_is_dropped() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let lease = Lease::take(&file, BYTE).unwrap().expect("free");
        assert!(Lease::take(&file, BYTE).unwrap().is_none());
        assert!(Lease::take(&file, BYTE + 1).unwrap().is_some());
        assert!(is_locked(&file, BYTE).unwrap());
        drop(lease);
        assert!(!is_locked(&file, BYTE).unwrap());
        assert!(Lease::take(&file, BYTE).unwrap().is_some());
    }
}
