//! A participant: a registry entry and the liveness lock on it.

use std::sync::Arc;
use std::time::Duration;

use super::mapping::MappedRing;
use super::recovery::ASKING;
use crate::error::{AttachError, Role};
use crate::layout::LOCK_ENTRY;
use crate::layout::order::EntryRole;
use crate::order_ring::{Entry, EntryLock, EntrySet, LivenessProbe as _, OrderRing, Registry};
use crate::queue::KernelProbe;
use crate::queue::Shared;
use crate::queue::file::boot::Stay;
use crate::queue::file::exiting::retry_while_exiting;
use crate::queue::recovery_failures::RecoveryFailures;
use crate::shm::fork::ForkGuard;
use crate::shm::{AttachLock, LivenessLock, RecoveryLock, Warning};

/// How long to wait for an entry that will be free soon. This is the case if its owner is
/// detaching, since it gives up the entry first and its liveness lock a moment later, or if another
/// process is recovering.
const SOON: Duration = Duration::from_micros(50);
/// Up to this number of participants, all are checked when another one attaches.
const FEW: usize = 64;
/// Retry limit of that wait, if there is no other entry.
const RETRY_LIMIT: u32 = 500;

/// The liveness lock of a registry entry, as the kernel gives it.
struct KernelLock {
    lock: LivenessLock,
    entry: usize,
}

impl KernelLock {
    /// `None` if a living participant has it.
    fn take(shared: &Shared, entry: usize) -> std::io::Result<Option<Self>> {
        let lock = LivenessLock::take(shared.file(), shared.path(), LOCK_ENTRY + entry as i64)?;
        Ok(lock.map(|lock| Self { lock, entry }))
    }
}

impl EntryLock for KernelLock {
    fn entry(&self) -> usize {
        self.entry
    }
}

/// A registry entry of this process. Dropping it releases the entry and what it still holds.
pub(in crate::queue) struct Participant<R: Registry = OrderRing> {
    guard: ForkGuard,
    /// Kept open, so that recovery needs no new resources, whatever this process has or may do
    /// later.
    recovery: Arc<RecoveryLock>,
    failures: RecoveryFailures,
    /// Dropped this late, so that the entry is clean by then ...
    entry: Entry<Stay, R>,
    /// ... and before the queue, whose last owner removes it if no liveness lock is left.
    shared: Arc<Shared>,
}

impl<R: MappedRing> Participant<R> {
    /// If there is no other entry, waits a moment for a participant that is about to end.
    pub(in crate::queue) fn attach(shared: Arc<Shared>, role: EntryRole) -> Result<Self, AttachError> {
        retry_while_exiting(|| Self::try_attach(Arc::clone(&shared), role))
    }

    fn try_attach(shared: Arc<Shared>, role: EntryRole) -> Result<Self, AttachError> {
        let lock = shared.lock_for_attach()?;
        let recovery = shared.recovery_lock();
        let recovery = recovery.map_err(shared.attach_failed("opening the file for the recovery lock"))?;
        let ring = R::of(&shared);
        ring.check().map_err(|corruption| AttachError::Corrupted(shared.corrupted(corruption)))?;
        let entry = Self::take_entry(&shared, &ring, role, &lock, &recovery)?;
        let me = entry.index();
        let is_successor = move || ring.order().entry_word(me).is_dirty();
        let consumer = (role == EntryRole::Consumer).then_some(me);
        let stay = |held: KernelLock| Stay::new(held.lock, Arc::clone(&shared), consumer, is_successor);
        let (entry, guard) = (entry.map_lock(stay), shared.guard());
        Ok(Self { guard, recovery, failures: RecoveryFailures::default(), entry, shared })
    }

    /// Takes the first free entry. The attach lock keeps other processes from trying at the same
    /// time.
    fn take_entry(
        shared: &Shared,
        ring: &R,
        role: EntryRole,
        _lock: &AttachLock,
        recovery: &RecoveryLock,
    ) -> Result<Entry<KernelLock, R>, AttachError> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let since_ns = since.map_or(0, |time| time.as_nanos() as u64);
        // First the participants that hold something, since the new one may be waiting for their
        // messages; then all, for an entry.
        let mut suspects = Self::suspects(ring);
        let mut is_recovery_busy = false;
        for _ in 0..RETRY_LIMIT {
            // Finds what dead participants hold, and frees their entries.
            let recovered = shared.recover(ring, recovery, suspects.as_ref());
            let mut is_anyone_leaving = false;
            for me in ring.candidates(role) {
                let lock =
                    KernelLock::take(shared, me).map_err(shared.attach_failed("taking the liveness lock"))?;
                let Some(lock) = lock else {
                    is_anyone_leaving = true;
                    continue;
                };
                // `None`: a participant has died with it since the candidates were read.
                if let Some(entry) = Entry::attach(ring, lock, role, std::process::id(), since_ns) {
                    if let Err(error) = recovered {
                        // It can attach; what it cannot do is reported again where it is missed.
                        let reason = format!("recovering: {error}");
                        shared.add_warning(Warning::RecoveryFailed { reason });
                    }
                    return Ok(entry);
                }
            }
            is_recovery_busy = matches!(recovered, Ok(None));
            match recovered {
                _ if suspects.take().is_some() || is_anyone_leaving => {}
                Ok(None) => {}
                Ok(Some(_)) => break,
                Err(source) => return Err(shared.attach_failed("recovering from dead participants")(source)),
            }
            std::thread::sleep(SOON);
        }
        if is_recovery_busy && !Self::is_everybody_alive(shared, ring)? {
            return Err(AttachError::RecoveryBusy { path: shared.path().to_path_buf() });
        }
        let (path, entries) = (shared.path().to_path_buf(), ring.order().entry_count());
        match ring.capacity(role) {
            participants if participants == entries => {
                Err(AttachError::TooManyParticipants { path, participants })
            }
            places => Err(AttachError::TooManyOfRole { path, role: Role::from(role), places }),
        }
    }

    fn is_everybody_alive(shared: &Shared, ring: &R) -> Result<bool, AttachError> {
        let probe = KernelProbe::new(shared.file());
        let is_alive = (0..ring.order().entry_count()).all(|entry| probe.is_alive(entry));
        probe.answered(is_alive).map_err(shared.attach_failed(ASKING))
    }

    /// Where there are many participants: those that hold something, or may. Asking the kernel
    /// about all of them takes time that grows with the square of their number.
    fn suspects(ring: &R) -> Option<EntrySet> {
        let dirty =
            (0..ring.order().entry_count()).filter(|index| ring.order().entry_word(*index).is_dirty());
        (dirty.count() > FEW).then(|| ring.involved())
    }

    #[inline(always)]
    pub(in crate::queue) fn entry(&self) -> &Entry<Stay, R> {
        &self.entry
    }

    #[inline(always)]
    pub(in crate::queue) fn ring(&self) -> &R {
        self.entry.ring()
    }

    pub(in crate::queue) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// False in a forked child.
    #[inline(always)]
    pub(in crate::queue) fn is_own_process(&self) -> bool {
        self.guard.is_intact()
    }

    pub(in crate::queue) fn probe(&self) -> KernelProbe<'_> {
        KernelProbe::new(self.shared.file())
    }

    /// What keeps this process from recovering after dead participants.
    pub(in crate::queue) fn recovery_failures(&self) -> &RecoveryFailures {
        &self.failures
    }

    /// Ends an examination in which `probe` was asked and found the participants in `dead`: recovers
    /// from them, and from those for which that failed before.
    ///
    /// A failure is noted as the participant's recovery failure. It ends when recovery works, or when none is
    /// dead for whose sake it failed, and the kernel has answered a question: an examination that had
    /// nothing to ask shows nothing.
    #[cold]
    pub(in crate::queue) fn conclude(&self, probe: &KernelProbe<'_>, mut dead: EntrySet) -> Concluded {
        let unrecovered = self.failures.unrecovered();
        for index in unrecovered.iter() {
            if self.ring().order().entry_word(index).is_dirty() && !probe.is_alive(index) {
                dead.insert(index);
            }
        }
        let answered = probe.answered(());
        let has_recovered = !dead.is_empty() && self.recover_from(&dead);
        let has_answers = answered.is_ok();
        match answered {
            Err(source) => self.failures.note(&self.shared, ASKING, source, &EntrySet::EMPTY),
            Ok(()) if dead.is_empty() && (probe.has_asked() || !unrecovered.is_empty()) => {
                self.failures.clear();
            }
            Ok(()) => {}
        }
        Concluded { has_answers, has_recovered }
    }

    fn recover_from(&self, dead: &EntrySet) -> bool {
        match self.shared.recover(self.ring(), &self.recovery, Some(dead)) {
            Ok(Some(_)) => {
                self.failures.clear();
                true
            }
            Ok(None) => {
                self.failures.note_busy(dead);
                false
            }
            Err(source) => {
                self.failures.note(&self.shared, "recovering", source, dead);
                false
            }
        }
    }
}

/// The end of an examination of other participants.
pub(in crate::queue) struct Concluded {
    /// Whether the kernel has answered each question.
    pub(in crate::queue) has_answers: bool,
    /// Whether dead participants were found and recovered from.
    pub(in crate::queue) has_recovered: bool,
}

impl<R: Registry> Drop for Participant<R> {
    fn drop(&mut self) {
        if self.guard.is_intact() {
            self.entry.detach();
        }
    }
}
