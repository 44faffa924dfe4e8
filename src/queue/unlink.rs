//! Removing queues: by name, and with the last handle.

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::path::{Path, PathBuf};

use super::mpmc::letters_name;
use super::open::{QueueFile, find, open_error, resolve};
use super::shared::{CheckedFile, Shared};
use crate::error::{OpenError, UnlinkError};
use crate::layout::{self, Geometry, Rare};
use crate::shm::{self, AttachLock, AttachLockError, LivenessLock};

/// Removes a queue's file. Whoever has it open keeps it until they close it, and nobody attaches any more.
///
/// Only a file that is a ringway queue is removed; anything else is an error and stays. A queue's dead letters are a queue
/// of their own, called `<name>.dead`, and stay: [`unlink_with_letters`] removes both. A queue that is created anew under the
/// same name finds them there, and they must be of its type.
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

/// Removes a queue's file, as [`unlink`] does, and that of its dead-letter queue, `<name>.dead`, with the letters that are in it.
/// Returns whether there was one.
///
/// The queue goes first: if the second step fails, or the process is killed before it, calling this again does the rest. A
/// consumer that goes on with the removed queue, and finds one more dead letter in it, makes a dead-letter queue anew rather than
/// lose it.
///
/// # Errors
/// As [`unlink`]: if neither queue is there, or one of them cannot be removed.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("jobs");
/// let options = ringway::Options::new().max_redeliveries(3);
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

/// Removes a queue's file, as [`unlink`] does, if no live process takes part in it; false if one does.
///
/// Those take part that have a producer or a consumer, or a handle that was opened with
/// [`Options::unlink_on_last_drop`](crate::Options::unlink_on_last_drop). Others that have merely opened the queue do not count:
/// when they attach, they are told that it is gone. Nobody can attach between the look and the removal.
///
/// Where files cannot be made without a name, one that is not complete yet is called `.ringway-<16 digits>.tmp`; a process
/// that is killed meanwhile leaves it. Such a name may be given too: the file is removed if nobody alive is making it.
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

/// Whether the name is one that this library gives to a file which is not complete yet: `.ringway-<16 hexadecimal digits>.tmp`.
/// Only the name is compared; [`is_in_use`] says whether a live process is making that file.
///
/// ```
/// assert!(ringway::is_temporary_name("/dev/shm/.ringway-0123456789abcdef.tmp"));
/// assert!(!ringway::is_temporary_name("/dev/shm/.ringway-my-notes.tmp"));
/// ```
pub fn is_temporary_name(name: impl AsRef<Path>) -> bool {
    shm::is_temporary(name.as_ref())
}

/// The path, if the name is that of a file which is being made, or was to be.
fn temporary(name: &Path) -> Option<PathBuf> {
    resolve(name).ok().filter(|path| shm::is_temporary(path))
}

/// Whether a live process takes part in a queue: has a producer or a consumer, or a handle that was opened with
/// [`Options::unlink_on_last_drop`](crate::Options::unlink_on_last_drop). The kernel says so, at this moment; to remove a queue
/// that nobody needs, use [`unlink_if_unused`], which lets nobody in meanwhile. Of a file called `.ringway-<16 digits>.tmp`
/// this says whether somebody alive is making it.
///
/// # Errors
/// [`OpenError`] if it is no queue, or cannot be looked at.
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

/// Whether anybody alive has a liveness lock or a share of the queue.
fn has_participants(file: &File, geometry: &Geometry) -> io::Result<bool> {
    let entries = geometry.order.map_or(layout::SPSC_ENTRIES, |order| order.participants);
    Ok(shm::is_any_locked(file, layout::LOCK_ENTRY, entries as i64)?
        || shm::is_locked(file, layout::LOCK_OWNERS)?)
}

/// Removes the queue if it may be; false if not.
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

/// The name first: were we killed in between, the file would have no name and no links, which attaching attempts at as well;
/// the other way round, a dead queue would keep its name.
fn take_name(path: &Path, file: &File) -> io::Result<bool> {
    shm::unlink_if_same(path, file)
}

/// Without mapping the file, so that nobody who truncates it does any harm. The word is the kernel's to store: only its
/// lowest byte changes.
fn mark_dead(file: &File) -> io::Result<()> {
    shm::write_word(file, 1, (layout::RARE_OFFSET + offset_of!(Rare, dead)) as u64)
}

impl Shared {
    /// Takes its share if it is to be removed with the last handle.
    pub(super) fn owned(mut self) -> io::Result<Self> {
        if self.open_options().unlink_on_last_drop && !self.is_memfd() {
            let share = LivenessLock::share(self.file(), self.path(), layout::LOCK_OWNERS)?;
            self.set_owner(share.ok_or_else(|| io::Error::other("its lock is held by another program"))?);
        }
        Ok(self)
    }

    /// Whether a queue that is removed with its last handle has been, already.
    pub(super) fn is_taken_away(&self) -> bool {
        self.open_options().unlink_on_last_drop && self.is_unlinked().unwrap_or(false)
    }

    /// Removes the queue if nobody takes part. Whether its name does not lead to it any more.
    pub(super) fn remove_if_unused(&self) -> io::Result<bool> {
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

    /// Gives the share back, and removes the queue if it was the last and nobody takes part.
    fn leave(&mut self) -> io::Result<()> {
        let Some(share) = self.take_owner() else { return Ok(()) };
        let Ok(_lock) = AttachLock::take(self.file(), self.path()) else { return Ok(()) };
        drop(share);
        if !has_participants(self.file(), self.geometry())? && take_name(self.path(), self.file())? {
            mark_dead(self.file())?;
        }
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A child that was forked owns nothing. Should it fail, the queue stays, for the next one or for `gc`.
        if self.guard().is_intact() || self.is_truncated() {
            let _ = self.leave();
        }
    }
}
