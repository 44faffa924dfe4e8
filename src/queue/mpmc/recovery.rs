//! Giving back what dead participants have left.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::member::KernelLeases;
use crate::error::RecoverError;
use crate::links::{Leases, Links, Recovered};
use crate::queue::BytesQueue;
use crate::queue::kind::Mpmc;
use crate::queue::opening::{Found, find};
use crate::queue::options::Handling;
use crate::queue::space::header_not_mapped;
use crate::queue::{Schema, Shared};
use crate::sync::Ordering;

/// What [`recover`](BytesQueue::recover) found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Participants that had died and that nobody had cleaned up after yet.
    pub deaths: u64,
    /// Positions that they had claimed and not committed: consumers pass them now.
    pub tombstones: u64,
    /// Messages that they held, or were about to: they come again (at most once: those they held are dropped).
    pub returned: u64,
    /// Registry entries that are free again.
    pub entries_freed: u64,
}

impl From<Recovered> for Recovery {
    fn from(done: Recovered) -> Self {
        let Recovered { deaths, tombstones, returned, cleaned } = done;
        Self { deaths, tombstones, returned, entries_freed: cleaned }
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
        shared.bells().take_part();
        match shared.recover(&shared.links()) {
            Ok(Some(done)) => {
                shared.end_use();
                Ok(done.into())
            }
            Ok(None) => Err(RecoverError::Busy { path: shared.path().to_path_buf() }),
            Err(source) => Err(RecoverError::Io { path: shared.path().to_path_buf(), source }),
        }
    }
}

/// Looks for dead participants of a queue of any type, and gives back what they have left: as
/// [`BytesQueue::recover`], for who looks after a machine and does not know the type.
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
    let Found { file, checked, .. } = find(name.as_ref(), None).map_err(RecoverError::Open)?;
    if checked.geometry.order.is_none() {
        return Ok(Recovery::default());
    }
    let (path, needed) = (checked.path.clone(), checked.geometry.lane_offset);
    let handling = Handling { prefault: false, ..Handling::default() };
    let shared = Shared::new(&Arc::new(file), checked, &Schema::bytes(), handling)
        .map_err(|source| RecoverError::Open(header_not_mapped(path, needed, source)))?;
    // What nothing proves is not to be moved about.
    shared.check_boot(handling).map_err(RecoverError::Open)?;
    BytesQueue::<Mpmc>::from_shared(Arc::new(shared)).recover()
}

impl Shared {
    /// One pass, unless somebody else is at it.
    #[cold]
    pub(super) fn recover(&self, links: &Links) -> io::Result<Option<Recovered>> {
        let lock = self.recovery_lock()?;
        let done = lock.run(self.file(), self.path(), || links.recover(&KernelLeases(self)))?;
        if done.is_some_and(|done| done.deaths > 0) {
            self.bells().notify_everybody();
        }
        Ok(done)
    }

    /// Looks whether a few participants are still alive, if nobody has done so for a while; recovers if one is not.
    #[cold]
    pub(super) fn look_around(&self, links: &Links) {
        /// Nanoseconds between two looks, whoever takes them.
        const INTERVAL: u64 = 1_000_000;
        /// Participants a look.
        const AT_ONCE: usize = 8;
        let Some(now) = monotonic_ns() else { return };
        let stamp = &links.rare.look_around;
        let last = stamp.load(Ordering::Relaxed);
        // A stamp from the future comes from another clock (a container's): it counts as old.
        let is_recent = now.checked_sub(last).is_some_and(|passed| passed < INTERVAL);
        if is_recent || stamp.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let entries = links.entries.len();
        let first = links.rare.look_around_next.load(Ordering::Relaxed) as usize % entries;
        let in_turn = (first..entries).chain(0..first);
        // Words are read from memory; the kernel is asked about few.
        let mut asked = in_turn.filter(|index| links.entry_word(*index).is_dirty()).take(AT_ONCE);
        let leases = KernelLeases(self);
        let mut next = first;
        let found = asked.find(|index| {
            next = index + 1;
            !leases.is_held(*index)
        });
        links.rare.look_around_next.store(next as u64, Ordering::Relaxed);
        if found.is_some() {
            // Should it fail, the next look finds the same.
            let _ = self.recover(links);
        }
    }
}

fn monotonic_ns() -> Option<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).ok()?;
    Some(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
