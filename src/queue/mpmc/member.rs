//! A participant: a registry entry and the lease on it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::AttachError;
use crate::layout::LOCK_ENTRY;
use crate::layout::order::{EntryRole, EntryWord};
use crate::links::{Leases, Links};
use crate::queue::Shared;
use crate::queue::boot::Stay;
use crate::shm::fork::ForkGuard;
use crate::shm::{AttachLock, Lease, RecoveryLock, is_locked};
use crate::sync::Ordering;

/// What the kernel says about who lives. It asks through the queue's descriptor, which holds no lock.
pub(super) struct KernelLeases<'a>(pub(super) &'a Shared);

impl Leases for KernelLeases<'_> {
    fn is_held(&self, index: usize) -> bool {
        // False-dead corrupts, false-alive only delays.
        is_locked(self.0.file(), LOCK_ENTRY + index as i64).unwrap_or(true)
    }
}

/// An entry will be free soon if its owner is leaving, who gives up the entry first and its lease a moment later, or if
/// another process is recovering: so long to wait for that ...
const SOON: Duration = Duration::from_micros(50);
/// ... and so often, if there is no other entry.
const MOST_TRIES: u32 = 500;

/// A registry entry that is ours. Dropping it gives back the entry and what it still holds.
pub(super) struct Member {
    pub(super) links: Links,
    pub(super) me: usize,
    guard: ForkGuard,
    /// Kept, so that recovering needs nothing new, whatever this process has or may do later.
    _recovery: Arc<RecoveryLock>,
    /// So late that the entry is clean when it goes ...
    _stay: Stay,
    /// ... and before the queue, whose last owner removes it if no lease is left.
    shared: Arc<Shared>,
}

impl Member {
    pub(super) fn attach(shared: Arc<Shared>, role: EntryRole) -> Result<Self, AttachError> {
        let lock = shared.lock_for_attach()?;
        let recovery = shared.recovery_lock();
        let recovery = recovery.map_err(shared.attach_failed("opening the file for the recovery lock"))?;
        let links = shared.links();
        links.check().map_err(|damage| AttachError::Damaged(shared.damaged(damage)))?;
        let found = Self::enter(&shared, &links, role, &lock)?;
        let Some((me, lease)) = found else {
            return Err(AttachError::NoEntry {
                path: shared.path().to_path_buf(),
                participants: links.entries.len(),
            });
        };
        let entries = links.entries.clone();
        let is_successor = move || EntryWord(entries[me].word.load(Ordering::Acquire)).is_dirty();
        let stay = Stay::new(lease, Arc::clone(&shared), is_successor);
        Ok(Self { links, me, guard: shared.guard(), shared, _recovery: recovery, _stay: stay })
    }

    /// Takes the first entry that is free. The attach lock keeps others from trying at the same time.
    fn enter(
        shared: &Shared,
        links: &Links,
        role: EntryRole,
        _lock: &AttachLock,
    ) -> Result<Option<(usize, Lease)>, AttachError> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let since_ns = since.map_or(0, |time| time.as_nanos() as u64);
        for _ in 0..MOST_TRIES {
            // What the dead hold is found now, and their entries are free again.
            let is_recovery_busy = matches!(shared.recover(links), Ok(None));
            let mut is_somebody_leaving = false;
            for me in links.candidates(role) {
                let lease = Lease::take(shared.file(), shared.path(), LOCK_ENTRY + me as i64)
                    .map_err(shared.attach_failed("taking the lease"))?;
                match lease {
                    // False: somebody has died with it since the look at the candidates.
                    Some(lease) if links.enter(me, role, std::process::id(), since_ns) => {
                        return Ok(Some((me, lease)));
                    }
                    Some(_) => {}
                    None => is_somebody_leaving = true,
                }
            }
            if !is_recovery_busy && !is_somebody_leaving {
                break;
            }
            std::thread::sleep(SOON);
        }
        Ok(None)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// False in a forked child.
    #[inline(always)]
    pub(super) fn is_own_process(&self) -> bool {
        self.guard.is_intact()
    }

    pub(super) fn leases(&self) -> KernelLeases<'_> {
        KernelLeases(&self.shared)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.is_own_process() {
            self.links.leave(self.me);
        }
    }
}
