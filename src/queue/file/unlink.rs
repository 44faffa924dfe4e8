//! Removing queues: by name, and with the last handle.

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::path::{Path, PathBuf};

use super::letters_name::letters_name;
use super::open::{QueueFile, find, open_error, resolve};
use super::shared::{CheckedFile, Shared};
use crate::error::{OpenError, UnlinkError};
use crate::layout::{self, Geometry, Rare};
use crate::shm::{self, AttachLock, AttachLockError, LivenessLock};

/// Removes a queue's file. Processes that have it open keep it until they close it, and no process
/// can attach any more.
///
/// Only a file that is a ringway queue is removed; anything else is an error and stays. A queue's
/// dead letters are a queue of their own, called `<name>.dead`, and stay: [`unlink_with_letters`]
/// removes both. A queue that is created anew under the same name finds them there, and they must
/// be of its type.
///
/// # Errors
/// [`UnlinkError`]; the file stays.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("queue");
/// # drop(unsafe { ringway::spsc::BytesQueue::create(&name)? });
/// ringway::unlink(&name)?;
/// assert!(!name.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unlink(name: impl AsRef<Path>) -> Result<(), UnlinkError> {
    remove(name.as_ref(), |_, _| Ok(true)).map(drop)
}

/// Removes a queue's file, like [`unlink`], and that of its dead-letter queue, `<name>.dead`, with
/// the dead letters in it. Returns whether there was a dead-letter queue.
///
/// The queue is removed first: if the second step fails, or the process is killed before it,
/// calling this again does the rest. A consumer that continues with the removed queue, and finds
/// one more dead letter in it, creates a dead-letter queue anew rather than lose it.
///
/// # Errors
/// As [`unlink`]: if neither queue is there, or one of them cannot be removed.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("jobs");
/// let options = ringway::CreateOptions::new().max_redeliveries(3);
/// // SAFETY: every process that can write this file uses ringway.
/// let queue = unsafe { ringway::mpmc::BytesQueue::create_with(&name, &options)? };
/// let letters = queue.dead_letters()?;
/// assert!(ringway::unlink_with_letters(&name)?);
/// assert!(!name.exists() && !letters.path().exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unlink_with_letters(name: impl AsRef<Path>) -> Result<bool, UnlinkError> {
    let queue = unlink(name.as_ref());
    if !matches!(queue, Ok(()) | Err(UnlinkError::Open(OpenError::NotFound { .. }))) {
        return queue.map(|()| false);
    }
    match unlink(letters_name(name.as_ref())) {
        Err(UnlinkError::Open(OpenError::NotFound { .. })) => queue.map(|()| false),
        letters => letters.map(|()| true),
    }
}

/// Removes a queue's file, like [`unlink`], if no live process is attached to it; returns false if
/// one is.
///
/// A process is attached if it has a producer or a consumer, or a handle that was opened with
/// [`OpenOptions::unlink_on_last_drop`](crate::OpenOptions::unlink_on_last_drop). Processes that have
/// merely opened the queue do not count: their next attempt to attach fails, because the queue is
/// gone. No process can attach between the check and the removal.
///
/// Where files cannot be created without a name, a file that is not complete yet is called
/// `.ringway-<16 digits>.tmp`; a process that is killed meanwhile leaves it. Such a name may be
/// given too: the file is removed if no live process is creating it.
///
/// # Errors
/// As [`unlink`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("queue");
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(&name)? };
/// let producer = queue.producer()?;
/// assert!(!ringway::unlink_if_unused(&name)?);
/// drop(producer);
/// assert!(ringway::unlink_if_unused(&name)?);
/// assert!(!name.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unlink_if_unused(name: impl AsRef<Path>) -> Result<bool, UnlinkError> {
    if let Some(path) = temporary(name.as_ref()) {
        return shm::remove_leftover(&path).map_err(|source| UnlinkError::Open(open_error(&path, source)));
    }
    remove(name.as_ref(), |file, geometry| Ok(!has_participants(file, geometry)?))
}

/// Returns whether the name is one that this library gives to a file which is not complete yet:
/// `.ringway-<16 hexadecimal digits>.tmp`. Only the name is compared; [`is_in_use`] tells whether a
/// live process is creating that file.
///
/// ```
/// assert!(ringway::is_temporary_name("/dev/shm/.ringway-0123456789abcdef.tmp"));
/// assert!(!ringway::is_temporary_name("/dev/shm/.ringway-my-notes.tmp"));
/// ```
pub fn is_temporary_name(name: impl AsRef<Path>) -> bool {
    shm::is_temporary(name.as_ref())
}

/// The path, if the name is that of a file which is being created, or was to be.
fn temporary(name: &Path) -> Option<PathBuf> {
    resolve(name).ok().filter(|path| shm::is_temporary(path))
}

/// Returns whether a live process is attached to a queue: has a producer or a consumer, or a handle
/// that was opened with [`OpenOptions::unlink_on_last_drop`](crate::OpenOptions::unlink_on_last_drop). The
/// answer comes from the kernel and holds at this moment; to remove a queue that is not in use,
/// call [`unlink_if_unused`], which lets no process attach meanwhile. For a file called
/// `.ringway-<16 digits>.tmp`, this returns whether a live process is creating it.
///
/// # Errors
/// [`OpenError`] if the file is no queue, or cannot be read.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("queue");
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(&name)? };
/// assert!(!ringway::is_in_use(&name)?);
/// let consumer = queue.consumer()?;
/// assert!(ringway::is_in_use(&name)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_in_use(name: impl AsRef<Path>) -> Result<bool, OpenError> {
    if let Some(path) = temporary(name.as_ref()) {
        return shm::is_being_made(&path).map_err(|source| open_error(&path, source));
    }
    let QueueFile { file, checked, .. } = find(name.as_ref(), None)?;
    has_participants(&file, &checked.geometry).map_err(|source| OpenError::Io {
        path: checked.path,
        step: "scanning for participants",
        source,
    })
}

/// Whether a live process has a liveness lock or a share of the queue.
fn has_participants(file: &File, geometry: &Geometry) -> io::Result<bool> {
    let entries = geometry.order.map_or(layout::SPSC_ENTRIES, |order| order.participants);
    Ok(shm::is_any_locked(file, layout::LOCK_ENTRY, entries as i64)?
        || shm::is_locked(file, layout::LOCK_OWNERS)?)
}

/// Removes the queue if that is allowed; returns false if not.
fn remove(
    name: &Path,
    may_go: impl FnOnce(&File, &Geometry) -> io::Result<bool>,
) -> Result<bool, UnlinkError> {
    let QueueFile { file, checked, .. } = find(name, None).map_err(UnlinkError::Open)?;
    let CheckedFile { path, is_memfd, geometry, .. } = checked;
    if is_memfd {
        let reason =
            "it is a memfd queue, which has no name to remove; it goes with the last process that has it";
        return Err(UnlinkError::Open(OpenError::InvalidName {
            reason: format!("{}: {reason}", path.display()),
        }));
    }
    let io = |step| {
        let path = path.clone();
        move |source| UnlinkError::Io { path, step, source }
    };
    let _lock = AttachLock::take(&file, &path).map_err(|error| match error {
        AttachLockError::Busy => UnlinkError::Busy { path: path.clone() },
        AttachLockError::Io(source) => io("locking the file")(source),
    })?;
    if !may_go(&file, &geometry).map_err(io("scanning for participants"))? {
        return Ok(false);
    }
    take_name(&path, &file).map_err(io("removing the file"))?;
    mark_dead(&file).map_err(io("marking the file as unlinked"))?;
    Ok(true)
}

/// The name first: if this process is killed in between, the file has no name and no hard links,
/// which attaching checks as well; the other way round, a dead queue would keep its name.
fn take_name(path: &Path, file: &File) -> io::Result<bool> {
    shm::unlink_if_same(path, file)
}

/// Without mapping the file, so that a process that truncates it does no harm. The kernel stores
/// the word: only its lowest byte changes.
fn mark_dead(file: &File) -> io::Result<()> {
    shm::write_word(file, 1, (layout::RARE_OFFSET + offset_of!(Rare, dead)) as u64)
}

impl Shared {
    /// Takes a share of the queue if it is to be removed with the last handle.
    pub(in crate::queue) fn owned(mut self) -> io::Result<Self> {
        if self.handle_options().unlink_on_last_drop && !self.is_memfd() {
            let share = LivenessLock::share(self.file(), self.path(), layout::LOCK_OWNERS)?;
            self.keep_spare();
            self.set_owner(share.ok_or_else(|| io::Error::other("its lock is held by another program"))?);
        }
        Ok(self)
    }

    /// Whether a queue that is removed with its last handle has already been removed.
    pub(in crate::queue) fn is_taken_away(&self) -> bool {
        self.handle_options().unlink_on_last_drop && self.is_unlinked().unwrap_or(false)
    }

    /// Removes the queue if no process is attached. Returns whether its name does not lead to it
    /// any more.
    pub(in crate::queue) fn remove_if_unused(&self) -> io::Result<bool> {
        let _lock = AttachLock::take(self.file(), self.path()).map_err(|error| match error {
            AttachLockError::Busy => io::Error::other("another process has been attaching to it for seconds"),
            AttachLockError::Io(source) => source,
        })?;
        if has_participants(self.file(), self.geometry())? {
            return Ok(false);
        }
        if take_name(self.path(), self.file())? {
            mark_dead(self.file())?;
        }
        Ok(true)
    }

    /// Releases the share, and removes the queue if it was the last one and no process is attached.
    fn leave(&mut self) -> io::Result<()> {
        let Some(share) = self.take_owner() else { return Ok(()) };
        let left = self.with_attach_lock(|_lock| {
            drop(share);
            if !has_participants(self.file(), self.geometry())? && take_name(self.path(), self.file())? {
                mark_dead(self.file())?;
            }
            Ok(())
        });
        match left {
            Ok(done) => done,
            Err(AttachLockError::Busy) => Ok(()),
            Err(AttachLockError::Io(source)) => Err(source),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A forked child owns nothing. If this fails, the queue stays, for the next handle or for
        // `gc`.
        if self.guard().is_intact() || self.is_truncated() {
            let _ = self.leave();
        }
    }
}
