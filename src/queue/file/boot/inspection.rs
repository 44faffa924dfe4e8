//! What tools can tell about a file's past.

use std::fs::File;
use std::io;

use super::record::{Record, words_of};
use super::{Contents, UNKNOWN, has_participants};
use crate::layout::Geometry;
use crate::shm;

/// The boot in which a queue was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Boot {
    /// `/proc/sys/kernel/random/boot_id` of that boot; none if no participant ever attached, if the
    /// participant could not read it, or if the file is in memory.
    pub id: Option<[u8; 16]>,
    /// What that means for the messages.
    pub survival: Survival,
    /// Messages that were dropped because they were unproven, since the queue was created.
    pub dropped: u64,
}

/// Whether a file's contents are still those that it had before the machine was started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Survival {
    /// The file is in memory, and does not outlive the machine.
    InMemory,
    /// The file was never used.
    Unused,
    /// The file was used in this boot, so that its messages are those that were sent. If the power
    /// fails now, the next boot refuses the file.
    InUse,
    /// The file was used in this boot, and its last participant detached in order: if all of it
    /// reaches the disk, the next boot can prove that.
    Sealed,
    /// The file was used in another boot, and all of it is there.
    Proven,
    /// The file was used in another boot, and nothing proves that all of it reached the disk:
    /// opening refuses it, unless [`OpenOptions::after_power_loss`](crate::OpenOptions::after_power_loss)
    /// says otherwise.
    Unproven,
    /// The current boot could not be determined.
    Unknown,
}

/// Reads without a lock: a participant that attaches meanwhile makes the result outdated.
pub(crate) fn inspect(file: &File, geometry: &Geometry, is_memory: bool) -> io::Result<Boot> {
    let record = Record::read(file)?;
    let id = (![0, UNKNOWN].contains(&record.boot[0])).then(|| {
        let [first, second] = record.boot.map(u64::to_ne_bytes);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&first);
        id[8..].copy_from_slice(&second);
        id
    });
    let survival = match shm::boot_id() {
        _ if !shm::outlives_boots(is_memory) => Survival::InMemory,
        _ if record.boot[0] == 0 => Survival::Unused,
        Err(_) => Survival::Unknown,
        Ok(now) if record.boot[0] == words_of(now)[0] => match record.seal {
            0 | super::BREAKING => Survival::InUse,
            _ => Survival::Sealed,
        },
        Ok(_) if has_participants(file, geometry)? => Survival::InUse,
        Ok(_) if record.seal > super::BREAKING => {
            match (Contents { file, geometry, on_progress: &|| {} }).hash(u64::MAX)? == Some(record.seal) {
                true => Survival::Proven,
                false => Survival::Unproven,
            }
        }
        Ok(_) => Survival::Unproven,
    };
    Ok(Boot { id, survival, dropped: record.dropped })
}
