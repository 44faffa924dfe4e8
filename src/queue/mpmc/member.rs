//! A participant: a registry entry and the lease on it.

use std::sync::Arc;
use std::time::Duration;

use super::leases::KernelLeases;
use crate::error::AttachError;
use crate::layout::LOCK_ENTRY;
use crate::layout::order::{EntryRole, EntryWord};
use crate::links::{EntrySet, Links};
use crate::queue::Shared;
use crate::queue::boot::Stay;
use crate::queue::dying::retry_while_dying;
use crate::queue::trouble::Trouble;
use crate::shm::fork::ForkGuard;
use crate::shm::{AttachLock, Lease, Notice, RecoveryLock};
use crate::sync::Ordering;

/// An entry will be free soon if its owner is leaving, who gives up the entry first and its lease a moment later, or if
/// another process is recovering: so long to wait for that ...
const SOON: Duration = Duration::from_micros(50);
/// Participants that are all asked about when another one attaches.
const FEW: usize = 64;
/// ... and so often, if there is no other entry.
const MOST_TRIES: u32 = 500;

/// A registry entry that is ours. Dropping it gives back the entry and what it still holds.
pub(super) struct Member {
    pub(super) links: Links,
    pub(super) me: usize,
    guard: ForkGuard,
    /// Kept, so that recovering needs nothing new, whatever this process has or may do later.
    recovery: Arc<RecoveryLock>,
    trouble: Trouble,
    /// So late that the entry is clean when it goes ...
    _stay: Stay,
    /// ... and before the queue, whose last owner removes it if no lease is left.
    shared: Arc<Shared>,
}

impl Member {
    /// Waits a moment for a participant that is about to end, if there is no other entry.
    pub(super) fn attach(shared: Arc<Shared>, role: EntryRole) -> Result<Self, AttachError> {
        retry_while_dying(|| Self::try_attach(Arc::clone(&shared), role))
    }

    fn try_attach(shared: Arc<Shared>, role: EntryRole) -> Result<Self, AttachError> {
        let lock = shared.lock_for_attach()?;
        let recovery = shared.recovery_lock();
        let recovery = recovery.map_err(shared.attach_failed("opening the file for the recovery lock"))?;
        let links = shared.links();
        links.check().map_err(|damage| AttachError::Damaged(shared.damaged(damage)))?;
        let (me, lease) = Self::enter(&shared, &links, role, &lock, &recovery)?;
        let entries = links.entries.clone();
        let is_successor = move || EntryWord(entries[me].word.load(Ordering::Acquire)).is_dirty();
        let stay = Stay::new(lease, Arc::clone(&shared), is_successor);
        let (guard, trouble) = (shared.guard(), Trouble::default());
        Ok(Self { links, me, guard, shared, recovery, trouble, _stay: stay })
    }

    /// Takes the first entry that is free. The attach lock keeps others from trying at the same time.
    fn enter(
        shared: &Shared,
        links: &Links,
        role: EntryRole,
        _lock: &AttachLock,
        recovery: &RecoveryLock,
    ) -> Result<(usize, Lease), AttachError> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let since_ns = since.map_or(0, |time| time.as_nanos() as u64);
        // At first those who hold something, whose messages the new participant may be waiting for; then everybody, for an entry.
        let mut suspects = Self::suspects(links);
        for _ in 0..MOST_TRIES {
            // What the dead hold is found now, and their entries are free again.
            let recovered = shared.recover(links, recovery, suspects.as_ref());
            let mut is_anyone_leaving = false;
            for me in links.candidates(role) {
                let lease = Lease::take(shared.file(), shared.path(), LOCK_ENTRY + me as i64)
                    .map_err(shared.attach_failed("taking the lease"))?;
                match lease {
                    // False: a participant has died with it since the look at the candidates.
                    Some(lease) if links.enter(me, role, std::process::id(), since_ns) => {
                        if let Err(error) = recovered {
                            // It can take part; what it cannot do is said again where it is missed.
                            let reason = format!("recovering: {error}");
                            shared.add_notice(Notice::RecoveryFailed { reason });
                        }
                        return Ok((me, lease));
                    }
                    Some(_) => {}
                    None => is_anyone_leaving = true,
                }
            }
            match recovered {
                _ if suspects.take().is_some() || is_anyone_leaving => {}
                Ok(None) => {}
                Ok(Some(_)) => break,
                Err(source) => return Err(shared.attach_failed("recovering from dead participants")(source)),
            }
            std::thread::sleep(SOON);
        }
        Err(AttachError::NoEntry { path: shared.path().to_path_buf(), participants: links.entries.len() })
    }

    /// Where there are many participants: those who hold something, or may. To ask the kernel about all of them takes time that
    /// grows with the square of their number.
    fn suspects(links: &Links) -> Option<EntrySet> {
        let dirty = (0..links.entries.len()).filter(|index| links.entry_word(*index).is_dirty());
        (dirty.count() > FEW).then(|| links.involved())
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
        KernelLeases::new(&self.shared)
    }

    /// What keeps it from seeing to the dead.
    pub(super) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// Gives back what these have left, if they are dead. True if that was done: looking again may help then.
    #[cold]
    pub(super) fn recover_from(&self, dead: &EntrySet) -> bool {
        match self.shared.recover(&self.links, &self.recovery, Some(dead)) {
            Ok(Some(_)) => {
                self.trouble.clear();
                true
            }
            Ok(None) => {
                self.trouble.note_busy();
                false
            }
            Err(source) => {
                self.trouble.note(&self.shared, "recovering", source);
                false
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.is_own_process() {
            self.links.leave(self.me);
        }
    }
}
