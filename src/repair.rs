//! Putting a queue in order from outside, whatever its type: what `ringway doctor --repair` and `ringway gc` do.
//!
//! Queues need neither: participants recover what they meet, and a file that nobody uses harms nobody. These are for
//! people who look after a machine.
#![allow(unsafe_code, reason = "places shared words in the mapped header")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::error::{InspectError, OpenError, RecoverError, UnlinkError};
use crate::inspect::{FileLeases, Inspector};
use crate::lane::Ref;
use crate::layout::{
    CURSORS_OFFSET, ENTRY_CONSUMER, Geometry, LOCK_ENTRY, RARE_OFFSET, REGISTRY_OFFSET, Rare,
};
use crate::links::Links;
use crate::queue::Recovery;
use crate::shm::{self, Access, AttachLock, AttachLockError, Mapping};
use crate::sync::Ordering;

/// Looks for dead participants of a queue of any type, and gives back what they have left. As
/// [`BytesQueue::recover`](crate::BytesQueue::recover), for who does not know the type.
///
/// An SPSC queue has nothing to recover: whoever attaches next goes on where the dead one stopped.
///
/// # Errors
/// [`RecoverError`]; the queue is as it was.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("orders");
/// # let queue = unsafe { ringway::mpmc::BytesQueue::create(&name)? };
/// assert_eq!(ringway::repair::recover(&name)?.deaths, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recover(name: impl AsRef<Path>) -> Result<Recovery, RecoverError> {
    let (path, file, geometry) = open(name.as_ref()).map_err(RecoverError::Open)?;
    let Some(order) = geometry.order else { return Ok(Recovery::default()) };
    let io = |source| RecoverError::Io { path: path.clone(), source };
    let header = Header::map(&file, &geometry).map_err(io)?;
    let links = Links::new(
        header.words(RARE_OFFSET),
        header.words(CURSORS_OFFSET),
        header.many_words(order.links_offset as usize, order.links as usize),
        header.many_words(REGISTRY_OFFSET, order.participants as usize),
        order.policy,
    );
    match shm::with_recovery_lock(&file, || links.recover(&FileLeases(&file))).map_err(io)? {
        Some(done) => Ok(done.into()),
        None => Err(RecoverError::Busy { path: path.clone() }),
    }
}

/// Removes a queue's file unless somebody alive takes part. Returns whether it was removed.
///
/// Nobody can attach while this looks: it holds the lock that attaching takes. A process that has the queue open but takes
/// no part is no reason to keep the file; it finds out when it attaches
/// ([`AttachError::Unlinked`](crate::AttachError::Unlinked)). Messages in the queue are lost.
///
/// # Errors
/// [`UnlinkError`]; the file stays.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("orders");
/// let queue = unsafe { ringway::spsc::BytesQueue::create(&name)? };
/// let producer = queue.producer()?;
/// assert!(!ringway::repair::remove_unused(&name)?);
/// drop(producer);
/// assert!(ringway::repair::remove_unused(&name)?);
/// assert!(!name.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn remove_unused(name: impl AsRef<Path>) -> Result<bool, UnlinkError> {
    let (path, file, geometry) = open(name.as_ref()).map_err(UnlinkError::Open)?;
    let io = |step| {
        let path = path.clone();
        move |source| UnlinkError::Io { path, step, source }
    };
    let _lock = AttachLock::take(&file).map_err(|error| match error {
        AttachLockError::Busy => UnlinkError::Busy { path: path.clone() },
        AttachLockError::Io(source) => io("locking the file")(source),
    })?;
    let last = geometry.order.map_or(ENTRY_CONSUMER as u64 + 1, |order| order.participants);
    for entry in 0..last as i64 {
        if shm::is_locked(&file, LOCK_ENTRY + entry).map_err(io("asking who takes part"))? {
            return Ok(false);
        }
    }
    let header = Header::map(&file, &geometry).map_err(io("mapping the header"))?;
    // The name first, as in `unlink`.
    if !shm::unlink_if_same(&path, &file).map_err(io("removing the file"))? {
        return Ok(false);
    }
    header.words::<Rare>(RARE_OFFSET).dead.store(1, Ordering::Release);
    Ok(true)
}

/// The file for reading and writing, checked: it is the one that was looked at.
fn open(name: &Path) -> Result<(PathBuf, File, Geometry), OpenError> {
    let inspector = Inspector::open(name).map_err(|error| match error {
        InspectError::Open(error) => error,
        InspectError::Io { path, step, source } => OpenError::Io { path, step, source },
    })?;
    let path = inspector.path().to_path_buf();
    let file = shm::open(&path).map_err(|error| crate::queue::open_error(&path, error))?;
    match inspector.is_same_file(&file) {
        Ok(true) => Ok((path, file, *inspector.geometry())),
        Ok(false) => Err(OpenError::Unlinked { path }),
        Err(source) => Err(OpenError::Io { path, step: "looking at the file", source }),
    }
}

/// Everything before the lanes, mapped.
struct Header(Arc<Mapping>);

impl Header {
    fn map(file: &File, geometry: &Geometry) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Mapping::new(file, 0, geometry.lane_offset, Access::ReadWrite)?)))
    }

    fn words<T: Send + Sync + 'static>(&self, offset: usize) -> Ref<T> {
        let words: NonNull<T> = self.0.at(offset, size_of::<T>()).cast();
        assert!(words.is_aligned(), "header sections are aligned");
        let keep: Arc<Mapping> = Arc::clone(&self.0);
        // SAFETY: in bounds (`at` checks) and aligned (checked above); the types placed here consist of atomics only, for
        // which any bytes are valid; the mapping lives as long as `keep`.
        unsafe { Ref::new(words, keep) }
    }

    fn many_words<T: Send + Sync + 'static>(&self, offset: usize, count: usize) -> Ref<[T]> {
        let first: NonNull<T> = self.0.at(offset, count * size_of::<T>()).cast();
        assert!(first.is_aligned(), "header sections are aligned");
        let keep: Arc<Mapping> = Arc::clone(&self.0);
        // SAFETY: as in `words`, for all of them.
        unsafe { Ref::new(NonNull::slice_from_raw_parts(first, count), keep) }
    }
}
