//! Recovery: removing the residue of dead participants.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::mapping::MappedRing;
use crate::error::RecoverError;
use crate::order_ring::broadcast::BroadcastRing;
use crate::order_ring::{EntrySet, OrderRing, Recovered, Registry};
use crate::queue::BytesQueue;
use crate::queue::KernelProbe;
use crate::queue::file::handle_options::HandleOptions;
use crate::queue::file::open::{QueueFile, find};
use crate::queue::file::space::header_not_mapped;
use crate::queue::kind::MpmcKind;
use crate::queue::{Schema, Shared};
use crate::shm::RecoveryLock;

/// What [`recover`](BytesQueue::recover) found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Participants that had died and that no earlier recovery had found.
    pub deaths: u64,
    /// Positions that dead participants had claimed and not committed: consumers skip them now.
    pub tombstones: u64,
    /// Messages that dead participants held, or were about to: they are redelivered (at most once:
    /// those they held are dropped).
    pub requeued: u64,
    /// Registry entries that are free again.
    pub entries_freed: u64,
}

impl From<Recovered> for Recovery {
    fn from(done: Recovered) -> Self {
        let Recovered { deaths, tombstones, requeued, cleaned } = done;
        Self { deaths, tombstones, requeued, entries_freed: cleaned }
    }
}

impl<K: MpmcKind> BytesQueue<K> {
    /// Finds dead participants and removes their residue, now.
    ///
    /// Calling this is not necessary: a participant that is blocked by a dead one recovers by
    /// itself, and idle consumers scan for dead peers from time to time. The call is for callers
    /// that do not want to wait, and for tests.
    ///
    /// # Errors
    /// [`RecoverError::Busy`] if another process is recovering this queue at this moment.
    pub fn recover(&self) -> Result<Recovery, RecoverError> {
        self.shared().recover_now::<OrderRing>()
    }
}

/// Finds dead participants of a queue of any type, and removes their residue: like
/// [`BytesQueue::recover`], for administrators who do not know the type.
///
/// An SPSC queue has nothing to recover: the next participant continues where the dead one stopped.
///
/// # Errors
/// [`RecoverError`]; the queue is unchanged.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("orders");
/// # let queue = unsafe { ringway::mpmc::BytesQueue::create(&name)? };
/// assert_eq!(ringway::recover(&name)?.deaths, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recover(name: impl AsRef<Path>) -> Result<Recovery, RecoverError> {
    let QueueFile { file, checked, .. } = find(name.as_ref(), None).map_err(RecoverError::Open)?;
    if checked.geometry.order.is_none() {
        return Ok(Recovery::default());
    }
    let (path, needed) = (checked.path.clone(), checked.geometry.lane_offset);
    let handle_options = HandleOptions { prefault: Some(false), ..HandleOptions::default() };
    let shared = Shared::new(&Arc::new(file), checked, &Schema::bytes(), handle_options)
        .map_err(|source| RecoverError::Open(header_not_mapped(path, needed, source)))?;
    // Contents that are in doubt are not moved about.
    shared.check_boot(handle_options).map_err(RecoverError::Open)?;
    match shared.geometry().broadcast() {
        Some(_) => shared.recover_now::<BroadcastRing>(),
        None => shared.recover_now::<OrderRing>(),
    }
}

/// The step, in error messages, of checking whether another participant is alive.
pub(in crate::queue) const ASKING: &str = "asking for locks of other participants";

impl Shared {
    /// Finds dead participants and removes their residue, now; and seals the file if no handle uses it.
    pub(in crate::queue) fn recover_now<R: MappedRing>(&self) -> Result<Recovery, RecoverError> {
        let done = self.recover_once::<R>()?;
        self.end_use();
        Ok(done)
    }

    /// The same for callers that repeat it: what was sealed, or could not be, is not read again if
    /// nothing was recovered.
    pub(in crate::queue) fn recover_repeatedly<R: MappedRing>(&self) -> Result<Recovery, RecoverError> {
        let done = self.recover_once::<R>()?;
        if done != Recovery::default() {
            self.end_use();
        }
        Ok(done)
    }

    fn recover_once<R: MappedRing>(&self) -> Result<Recovery, RecoverError> {
        if !self.guard().is_intact() {
            return Err(match self.is_truncated() {
                true => RecoverError::Truncated { path: self.path().to_path_buf() },
                false => RecoverError::Forked,
            });
        }
        // This process may never have attached.
        self.events().take_part();
        let io = |source| RecoverError::Io { path: self.path().to_path_buf(), source };
        let lock = self.recovery_lock().map_err(io)?;
        match self.recover(&R::of(self), &lock, None) {
            Ok(Some(done)) => Ok(done.into()),
            Ok(None) => Err(RecoverError::Busy { path: self.path().to_path_buf() }),
            Err(source) => Err(io(source)),
        }
    }

    /// One pass, over `suspects` or over all participants, unless another thread or process is
    /// recovering.
    #[cold]
    pub(in crate::queue) fn recover(
        &self,
        ring: &impl Registry,
        lock: &RecoveryLock,
        suspects: Option<&EntrySet>,
    ) -> io::Result<Option<Recovered>> {
        let probe = KernelProbe::new(self.file());
        let done = lock.run(self.file(), self.path(), || ring.recover(&probe, suspects))?;
        if done.is_some_and(|done| done != Recovered::default()) {
            self.events().notify_all();
        }
        probe.answered(done)
    }
}
