//! Writing a queue to the disk; and dropping messages that are unproven.

use std::path::Path;
use std::sync::Arc;

use super::AfterPowerLoss;
use crate::error::{OpenError, SyncError};
use crate::queue::file::handle_options::HandleOptions;
use crate::queue::file::open::{QueueFile, find};
use crate::queue::{BytesQueue, Kind, Schema, Shared};
use crate::shm::{self, AttachLockError, Warning};

impl<K: Kind> BytesQueue<K> {
    /// Writes all of the queue to the disk and waits for that. From its return on, messages that were
    /// committed before the call survive a power loss, and messages that were taken and released
    /// before the call stay released. No other participant waits meanwhile.
    ///
    /// The cost is that of the disk: a fraction of a millisecond on a good SSD, tens of
    /// milliseconds on a hard disk, and more if much has changed. The whole file is written, not
    /// this handle's part of it: when many handles call it one after the other, each waits for
    /// little.
    ///
    /// If participants continue after that, pages continue to change, and the next boot cannot tell
    /// new ones from torn ones: it refuses the file ([`OpenError::Unproven`]) until an option says
    /// what to do. The file is opened without a warning if the last call of this function came
    /// after the last participant detached: then it is sealed, whatever its size.
    ///
    /// # Errors
    /// [`SyncError::InMemory`] for queues in /dev/shm and memfds, which cannot survive;
    /// [`SyncError::Io`] if the disk refused: then it is unknown what the disk holds.
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

/// Writes a queue of any kind and type to the disk, like [`BytesQueue::sync`].
///
/// # Errors
/// As [`BytesQueue::sync`], and [`SyncError::Open`].
///
/// ```
/// # let dir = tempfile::tempdir_in(".")?;
/// # let name = dir.path().join("orders");
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(&name)? };
/// match ringway::sync(&name) {
///     Ok(()) => {} // all messages are safe now
///     Err(ringway::SyncError::InMemory { .. }) => {} // they never can be
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sync(name: impl AsRef<Path>) -> Result<(), SyncError> {
    open(name.as_ref(), AfterPowerLoss::Refuse).map_err(SyncError::Open)?.sync()
}

/// Drops the messages of a queue, of any kind and type, that was last used before the machine was
/// started again, if nothing proves that all of it reached the disk. Returns how many there seemed
/// to be; none if nothing is in doubt: then nothing was done.
///
/// The same as opening it with [`AfterPowerLoss::Discard`], for administrators who do not know the
/// type. The number of dropped messages is added to a counter in the file, and the file is written
/// to the disk.
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
    let dropped = |warning| match warning {
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

/// Opens a queue of any type, without attaching.
fn open(name: &Path, after_power_loss: AfterPowerLoss) -> Result<Arc<Shared>, OpenError> {
    let QueueFile { file, checked, .. } = find(name, None)?;
    let handle_options =
        HandleOptions { prefault: Some(false), after_power_loss, ..HandleOptions::default() };
    let path = checked.path.clone();
    let shared = Shared::new(&Arc::new(file), checked, &Schema::bytes(), handle_options)
        .map_err(|source| OpenError::Io { path, step: "mapping the header", source })?;
    shared.check_boot(handle_options)?;
    Ok(Arc::new(shared))
}

impl Shared {
    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        let path = || self.path().to_path_buf();
        if !self.outlives_boots() {
            return Err(SyncError::InMemory { path: path() });
        }
        let failed = |step| move |source| SyncError::Io { path: path(), step, source };
        // Without participants nothing changes any more, and the next boot will be able to prove
        // that.
        match self.seal(u64::MAX) {
            // A process that holds the lock for that long attaches or detaches, and seals the file
            // itself when it detaches.
            Ok(_) | Err(AttachLockError::Busy) => {}
            Err(AttachLockError::Io(source)) => return Err(failed("sealing the queue")(source)),
        }
        shm::sync_file(self.file()).map_err(failed("writing the file to the disk"))?;
        // A file whose directory entry is not on the disk is lost all the same.
        shm::sync_directory(self.path()).map_err(failed("writing the file's directory to the disk"))
    }
}
