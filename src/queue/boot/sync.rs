//! Seeing to it that what is there is on the disk; and giving up what is not.

use std::path::Path;
use std::sync::Arc;

use super::AfterPowerLoss;
use crate::error::{OpenError, SyncError};
use crate::queue::open::{QueueFile, find};
use crate::queue::options::OpenOptions;
use crate::queue::{BytesQueue, Kind, Schema, Shared};
use crate::shm::{self, AttachLockError, Warning};

impl<K: Kind> BytesQueue<K> {
    /// Writes all of the queue to the disk and waits for that: messages that were committed before this was called, and what
    /// was taken and released before, survive a power loss from its return on. Nobody else waits meanwhile.
    ///
    /// It costs what the disk costs: a fraction of a millisecond on a good SSD, tens of milliseconds on a hard disk, and more
    /// if much has changed. The whole file is written, not this handle's part of it: when many call it, one by one each waits
    /// for little.
    ///
    /// If participants go on after that, pages go on changing, and the next boot cannot tell what is new from what is torn: it
    /// refuses the file ([`OpenError::Unproven`]) until it is told what to do. It is opened without a word if this was called
    /// last, after the last participant left: then it is sealed, however much is in it.
    ///
    /// # Errors
    /// [`SyncError::InMemory`] for queues in /dev/shm and memfds, which nothing can make survive; [`SyncError::Io`] if the
    /// disk refused: then what it has is not known.
    ///
    /// ```
    /// use ringway::spsc::BytesQueue;
    /// # let dir = tempfile::tempdir_in(".")?;
    /// # let name = dir.path().join("orders");
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create(&name)? }; // on a disk
    /// queue.producer()?.send(b"order 1")?;
    /// match queue.sync() {
    ///     Ok(()) => {} // the order is safe now
    ///     Err(ringway::SyncError::InMemory { .. }) => {} // it never can be
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync(&self) -> Result<(), SyncError> {
        self.shared().sync()
    }
}

/// As [`BytesQueue::sync`], for a queue of any kind and type.
///
/// # Errors
/// As there, and [`SyncError::Open`].
pub fn sync(name: impl AsRef<Path>) -> Result<(), SyncError> {
    open(name.as_ref(), AfterPowerLoss::Refuse).map_err(SyncError::Open)?.sync()
}

/// Drops the messages of a queue, of any kind and type, that was last used before the machine was started again, if nothing
/// proves that all of it reached the disk; says how many there seemed to be. None: nothing is in doubt, and nothing was done.
///
/// As opening it with [`AfterPowerLoss::Discard`], for those who look after a machine and do not know the type. What was
/// dropped is counted in the file, and the file is written to the disk.
///
/// # Errors
/// [`OpenError`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("orders");
/// # drop(unsafe { ringway::spsc::BytesQueue::create(&name)? });
/// assert_eq!(ringway::discard_unproven(&name)?, None); // this machine has not gone down since
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn discard_unproven(name: impl AsRef<Path>) -> Result<Option<u64>, OpenError> {
    let shared = open(name.as_ref(), AfterPowerLoss::Discard)?;
    let dropped = |notice| match notice {
        Warning::Discarded { dropped, .. } => Some(dropped),
        _ => None,
    };
    let dropped = shared.warnings().into_iter().find_map(dropped);
    if dropped.is_some() {
        let path = || shared.path().to_path_buf();
        shm::sync_file(shared.file()).map_err(|source| OpenError::Io {
            path: path(),
            step: "writing the file to the disk",
            source,
        })?;
    }
    Ok(dropped)
}

/// Opens a queue of any type, not to take part.
fn open(name: &Path, after_power_loss: AfterPowerLoss) -> Result<Arc<Shared>, OpenError> {
    let QueueFile { file, checked, .. } = find(name, None)?;
    let open_options = OpenOptions { prefault: false, after_power_loss, ..OpenOptions::default() };
    let path = checked.path.clone();
    let shared = Shared::new(&Arc::new(file), checked, &Schema::bytes(), open_options)
        .map_err(|source| OpenError::Io { path, step: "mapping the header", source })?;
    shared.check_boot(open_options)?;
    Ok(Arc::new(shared))
}

impl Shared {
    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        let path = || self.path().to_path_buf();
        if !self.outlives_boots() {
            return Err(SyncError::InMemory { path: path() });
        }
        let failed = |step| move |source| SyncError::Io { path: path(), step, source };
        // Without participants nothing changes any more, and the next boot will be able to tell.
        match self.seal(u64::MAX) {
            // Who holds the lock for so long attaches or leaves, and seals the file itself when it leaves.
            Ok(_) | Err(AttachLockError::Busy) => {}
            Err(AttachLockError::Io(source)) => return Err(failed("sealing the queue")(source)),
        }
        shm::sync_file(self.file()).map_err(failed("writing the file to the disk"))?;
        // A file whose name is not there is lost all the same.
        shm::sync_directory(self.path()).map_err(failed("writing the file's directory to the disk"))
    }
}
