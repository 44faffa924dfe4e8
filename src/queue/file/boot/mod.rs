//! What outlives the machine: in which boot a file was used, whether all of it reached the disk,
//! and what is done if that is unproven.
//!
//! The kernel writes a file's pages to the disk in its own time, one by one. After a power loss the
//! disk holds some pages in their last state, and others in an earlier one, in a combination that
//! may never have been in memory. A killed process is a different matter: its stores are in the
//! page cache, which every process sees, whatever the disk holds.
//!
//! # The words
//!
//! Only files on filesystems that outlive a reboot have them; in files in memory (tmpfs, ramfs,
//! memfd) they are zero.
//!
//! - `boot`: the boot in which a participant last attached. Its first word decides. 0: none ever
//!   did.
//! - `seal`: while there are no participants, a hash of everything that decides which messages are
//!   delivered ([`contents`]); 0: there is none, 1: it is about to be given up.
//!
//! # The protocol
//!
//! All of it happens under the attach lock.
//!
//! *Attaching* ([`Shared::begin_use`]), unless `boot` is this one and `seal` is 0: store `boot`,
//! store 1 into `seal`, **flush the header's page to the disk**, store 0 into `seal`.
//!
//! *Detaching* ([`Shared::end_use`]): release the liveness lock; if no other is held, store the
//! hash into `seal`. Nothing is flushed.
//!
//! *Opening* ([`Shared::check_boot`]): if `boot` is this one or 0: continue. Else, if `seal` is the
//! hash of the contents: continue. Else the file is refused, or taken, or emptied, as
//! [`AfterPowerLoss`] says.
//!
//! # Why a file that is taken without a warning has everything that was in it
//!
//! *`boot` is this one.* A file that reached this boot through the disk has another value, or 0:
//! this boot's id did not exist before the boot began. So a participant attached in this boot,
//! after a check of what was there before; since then only the page cache counts. That holds for
//! disks that stay attached for as long as the machine runs: the contents of a disk that was
//! detached by force meanwhile, or of a copy of a disk in use, cannot be told from the page cache.
//!
//! *`boot` is 0.* No participant ever completed its attach, since that flushes another value, with
//! 1 or 0 as the seal; and the words of a new file are written before it has its name. There never
//! was a message.
//!
//! *`seal` is the hash.* The seal was stored by a last participant, for the contents at that time.
//! If another one attached after that, its flush was done before it sent or took anything, so that
//! the value of `seal` (which lies in one sector with `boot`) that the disk holds later is 1, 0, or
//! a later seal. So the seal that is there is that of the last use, and the contents are those that
//! this use left. It does not matter which process wrote which pages, nor that participants were
//! killed before: the hash is of the contents in memory.
//!
//! # A participant that cannot read the boot id
//!
//! It opens the file unchecked, with a warning, and breaks the seal as every other does. It leaves
//! `boot` as it is, unless that is 0: then it stores [`UNKNOWN`], which is the id of no boot,
//! because the file is no longer one that was never used.
//!
//! *If `boot` is this one*, it stays true: only the page cache has counted since then. To overwrite
//! it would put a file in doubt whose other participants were killed in this boot. *If `boot` is an
//! earlier one or `UNKNOWN`*, no later boot has that id. So the file stays one of another boot,
//! which needs a seal; and the only seal that can be found is one that was stored by a last
//! participant after this one attached, as above.
//!
//! # What a kill leaves
//!
//! A participant that is killed at any instruction of attaching leaves `boot` and `seal` in a state
//! in which the same boot continues without a warning, since `boot` is stored first and alone
//! decides; the next participant that attaches finds 1 in `seal`, or another boot, and flushes
//! again. A participant that is killed while it detaches leaves 0: the file is not sealed, and is
//! refused after the next reboot, though all of it may be there. A new file (`boot` 0, `seal` 0)
//! gets its 1 first: after a kill at that point, it still is a file that was never used.
//!
//! # Costs
//!
//! None in memory. On a disk: attaching reads two words; the first participant that attaches after
//! the last has detached flushes a page, which takes milliseconds; the last participant that
//! detaches reads what is still in the queue, at about 4 GB/s, up to [`MAX_SEALED`] bytes.

mod contents;
mod inspection;
mod policy;
mod record;
mod remedy;
mod salvage;
#[cfg(all(test, not(loom)))]
mod simulation;
mod stay;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fs::File;
use std::io;

use self::contents::Contents;
use self::record::{Record, words_of};
use self::remedy::{Remade, Remedy, remake};
use super::handle_options::HandleOptions;
use crate::error::{OpenError, Unproven};
use crate::layout::{ENTRY_PRODUCER, Geometry, LOCK_ENTRY, SPSC_ENTRIES};
use crate::queue::Shared;
use crate::shm::{self, AttachLock, AttachLockError, Warning};
use crate::sync::Ordering;

pub(crate) use inspection::inspect;
pub use inspection::{Boot, Survival};
pub use policy::AfterPowerLoss;
pub(in crate::queue) use stay::Stay;
pub use sync::{discard_unproven, sync};

/// A participant that detaches does not read more than this: some ten milliseconds.
const MAX_SEALED: u64 = 64 << 20;
/// Attaching is flushing the header: the seal is invalid, and the old one may still be on the disk.
const BREAKING: u64 = 1;
/// In place of the boot, and the id of none: the first participant could not read it.
const UNKNOWN: u64 = u64::MAX;

fn has_participants(file: &File, geometry: &Geometry) -> io::Result<bool> {
    let entries = geometry.order.map_or(SPSC_ENTRIES, |order| order.participants);
    shm::is_any_locked(file, LOCK_ENTRY + ENTRY_PRODUCER as i64, entries as i64)
}

/// Why the contents of the file are unproven; none if they are proven. Under the attach lock.
fn doubt(contents: &Contents<'_>, record: &Record) -> io::Result<Option<Unproven>> {
    if record.seal <= BREAKING {
        return Ok(Some(Unproven::InUse));
    }
    let hash = contents.hash(u64::MAX)?;
    Ok((hash != Some(record.seal)).then_some(Unproven::Changed))
}

/// The result of an attempt to seal the file.
enum Sealing {
    Sealed,
    /// In use: the last participant that detaches seals it.
    InUse,
    /// It contains too much, or invalid values.
    Unreadable,
}

impl Shared {
    /// Checks whether the file has outlived its machine, and treats it as the options say.
    pub(in crate::queue) fn check_boot(&self, handle_options: HandleOptions) -> Result<(), OpenError> {
        if !self.outlives_boots() {
            return Ok(());
        }
        let failed = |step| {
            let path = self.path().to_path_buf();
            move |source| OpenError::Io { path, step, source }
        };
        let reading = || failed("reading which boot the queue was used in");
        let now = match shm::boot_id() {
            Ok(boot) => words_of(boot),
            Err(error) => {
                self.add_warning(Warning::UnknownBoot { reason: error.to_string() });
                return Ok(());
            }
        };
        if Record::read(self.file()).map_err(reading())?.is_of(now) {
            return Ok(());
        }
        // Rare: once a boot. Other processes may be doing the same, or attach meanwhile.
        let lock = AttachLock::take(self.file(), self.path()).map_err(|error| match error {
            AttachLockError::Busy => failed("locking the file")(io::ErrorKind::TimedOut.into()),
            AttachLockError::Io(source) => failed("locking the file")(source),
        })?;
        let record = Record::read(self.file()).map_err(reading())?;
        // A live participant proves that the file is in use in this boot, also if it could not read
        // which boot that is.
        if record.is_of(now) || has_participants(self.file(), self.geometry()).map_err(reading())? {
            return Ok(());
        }
        let on_progress = || lock.move_on();
        let contents = Contents { file: self.file(), geometry: self.geometry(), on_progress: &on_progress };
        let doubt = doubt(&contents, &record);
        let Some(found) = doubt.map_err(failed("reading what is in the queue"))? else { return Ok(()) };
        let has_checksums = self.geometry().trailer != 0;
        let remedy = match handle_options.after_power_loss {
            AfterPowerLoss::Discard => Remedy::Empty(has_checksums.then(|| self.uuid())),
            _ if has_checksums => Remedy::Check(self.uuid()),
            AfterPowerLoss::Keep => Remedy::Salvage,
            AfterPowerLoss::Refuse => {
                return Err(OpenError::Unproven { path: self.path().to_path_buf(), found });
            }
        };
        let remade = remake(&contents, now, remedy);
        let Remade { kept, dropped } = remade.map_err(failed("dropping what nothing proves"))?;
        self.add_warning(match remedy {
            Remedy::Salvage => Warning::KeptUnproven { found, kept, dropped },
            Remedy::Empty(_) | Remedy::Check(_) => Warning::Discarded { found, dropped, kept },
        });
        Ok(())
    }

    /// Before a participant attaches: from now on the disk does not say that all of the file is
    /// there. `_lock` is this queue's.
    pub(in crate::queue) fn begin_use(&self, _lock: &AttachLock) -> io::Result<()> {
        if !self.outlives_boots() {
            return Ok(());
        }
        self.keep_spare();
        let rare = self.rare();
        // Relaxed, all of them: the attach lock orders them, and the kernel's system calls.
        let (boot, seal) = (rare.boot[0].load(Ordering::Relaxed), rare.seal.load(Ordering::Relaxed));
        let now = match shm::boot_id() {
            Ok(boot) => words_of(boot),
            Err(error) => {
                self.add_warning(Warning::UnknownBoot { reason: error.to_string() });
                match boot {
                    0 => [UNKNOWN; 2],
                    // See "A participant that cannot read the boot id".
                    recorded => [recorded, rare.boot[1].load(Ordering::Relaxed)],
                }
            }
        };
        if boot == now[0] && seal == 0 {
            return Ok(());
        }
        if boot == 0 {
            rare.seal.store(BREAKING, Ordering::Relaxed);
        }
        rare.boot[1].store(now[1], Ordering::Relaxed);
        rare.boot[0].store(now[0], Ordering::Relaxed);
        rare.seal.store(BREAKING, Ordering::Relaxed);
        // If it fails, the next participant tries again.
        self.flush_header()?;
        rare.seal.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// After a participant has detached: if it was the last one, seals the file, so that another
    /// boot can prove that all of it is there.
    pub(in crate::queue) fn end_use(&self) {
        if !self.outlives_boots() || !self.guard().is_intact() {
            return;
        }
        let reason = match self.seal(MAX_SEALED) {
            Ok(Sealing::Sealed | Sealing::InUse) => return,
            Ok(Sealing::Unreadable) => {
                format!("it holds more than {} MiB, or invalid values", MAX_SEALED >> 20)
            }
            Err(AttachLockError::Busy) => "another process has held the attach lock for seconds".into(),
            Err(AttachLockError::Io(error)) => error.to_string(),
        };
        self.add_warning(Warning::NotSealed { reason });
    }

    /// Seals the file if it has no participants, and if there are no more than `most` bytes in it.
    fn seal(&self, most: u64) -> Result<Sealing, AttachLockError> {
        self.with_attach_lock(|lock| self.seal_under(lock, most)).flatten()
    }

    fn seal_under(&self, lock: &AttachLock, most: u64) -> Result<Sealing, AttachLockError> {
        let (file, geometry) = (self.file(), self.geometry());
        let on_progress = || lock.move_on();
        if has_participants(file, geometry).map_err(AttachLockError::Io)? {
            return Ok(Sealing::InUse);
        }
        let Some(hash) = (Contents { file, geometry, on_progress: &on_progress })
            .hash(most)
            .map_err(AttachLockError::Io)?
        else {
            return Ok(Sealing::Unreadable);
        };
        self.rare().seal.store(hash, Ordering::Relaxed);
        Ok(Sealing::Sealed)
    }
}
