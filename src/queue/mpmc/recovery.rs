//! Giving back what dead participants have left.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::probe::KernelProbe;
use crate::error::RecoverError;
use crate::order_ring::{EntrySet, OrderRing, Recovered};
use crate::queue::BytesQueue;
use crate::queue::kind::Mpmc;
use crate::queue::open::{QueueFile, find};
use crate::queue::options::OpenOptions;
use crate::queue::space::header_not_mapped;
use crate::queue::{Schema, Shared};
use crate::shm::RecoveryLock;

/// What [`recover`](BytesQueue::recover) found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Participants that had died and that nobody had cleaned up after yet.
    pub deaths: u64,
    /// Positions that they had claimed and not committed: consumers pass them now.
    pub tombstones: u64,
    /// Messages that they held, or were about to: they come again (at most once: those they held are dropped).
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

impl BytesQueue<Mpmc> {
    /// Looks for dead participants and gives back what they have left, now.
    ///
    /// Nobody needs to call this: whoever is held up by a dead one does it, and consumers that have nothing to do look
    /// around now and then. It is for the impatient, and for tests.
    ///
    /// # Errors
    /// [`RecoverError::Busy`] if another process is just recovering this queue.
    pub fn recover(&self) -> Result<Recovery, RecoverError> {
        let shared = self.shared();
        if !shared.guard().is_intact() {
            return Err(match shared.is_truncated() {
                true => RecoverError::Truncated { path: shared.path().to_path_buf() },
                false => RecoverError::Forked,
            });
        }
        // This process may never have attached.
        shared.events().take_part();
        let io = |source| RecoverError::Io { path: shared.path().to_path_buf(), source };
        let lock = shared.recovery_lock().map_err(io)?;
        match shared.recover(&shared.ring(), &lock, None) {
            Ok(Some(done)) => {
                shared.end_use();
                Ok(done.into())
            }
            Ok(None) => Err(RecoverError::Busy { path: shared.path().to_path_buf() }),
            Err(source) => Err(io(source)),
        }
    }
}

/// Looks for dead participants of a queue of any type, and gives back what they have left: as
/// [`BytesQueue::recover`], for who attempts after a machine and does not know the type.
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
/// assert_eq!(ringway::recover(&name)?.deaths, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recover(name: impl AsRef<Path>) -> Result<Recovery, RecoverError> {
    let QueueFile { file, checked, .. } = find(name.as_ref(), None).map_err(RecoverError::Open)?;
    if checked.geometry.order.is_none() {
        return Ok(Recovery::default());
    }
    let (path, needed) = (checked.path.clone(), checked.geometry.lane_offset);
    let open_options = OpenOptions { prefault: false, ..OpenOptions::default() };
    let shared = Shared::new(&Arc::new(file), checked, &Schema::bytes(), open_options)
        .map_err(|source| RecoverError::Open(header_not_mapped(path, needed, source)))?;
    // What nothing proves is not to be moved about.
    shared.check_boot(open_options).map_err(RecoverError::Open)?;
    BytesQueue::<Mpmc>::from_shared(Arc::new(shared)).recover()
}

/// What a participant does when it wants to know whether another one lives.
pub(super) const ASKING: &str = "asking for locks of other participants";

impl Shared {
    /// One pass, over `suspects` or everybody, unless another thread or process is at it.
    #[cold]
    pub(super) fn recover(
        &self,
        ring: &OrderRing,
        lock: &RecoveryLock,
        suspects: Option<&EntrySet>,
    ) -> io::Result<Option<Recovered>> {
        let probe = KernelProbe::new(self);
        let done = lock.run(self.file(), self.path(), || ring.recover(&probe, suspects))?;
        if done.is_some_and(|done| done.deaths > 0) {
            self.events().notify_all();
        }
        probe.answered(done)
    }
}
