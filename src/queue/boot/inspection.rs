//! What can be said of a file's past from outside.

use std::fs::File;
use std::io;

use super::{Contents, Record, UNKNOWN, has_participants, words_of};
use crate::layout::Geometry;
use crate::shm;

/// What is known of the boot in which a queue was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Boot {
    /// `/proc/sys/kernel/random/boot_id` of that boot; none if no participant ever attached, if it could not tell, or if the
    /// file is in memory.
    pub id: Option<[u8; 16]>,
    /// What that means for the messages.
    pub survival: Survival,
    /// Messages that were dropped because nothing proved them whole, since the queue was created.
    pub dropped: u64,
}

/// Whether what is in a file is what was in it before the machine was started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Survival {
    /// It is in memory, and goes with the machine.
    InMemory,
    /// It was never used.
    Unused,
    /// It was used in this boot, so that its messages are what was sent. Should the power fail now, the next boot would
    /// refuse it.
    InUse,
    /// It was used in this boot, and its last participant left in order: if all of it reaches the disk, the next boot can
    /// see that.
    Sealed,
    /// It was used in another boot, and all of it is there.
    Proven,
    /// It was used in another boot, and nothing proves that all of it reached the disk: opening refuses it, unless
    /// [`Options::after_power_loss`](crate::Options::after_power_loss) says otherwise.
    Unproven,
    /// Which boot this is could not be told.
    Unknown,
}

/// Looks without a lock: whoever attaches meanwhile makes what is found old.
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
            match (Contents { file, geometry }).hash(u64::MAX)? == Some(record.seal) {
                true => Survival::Proven,
                false => Survival::Unproven,
            }
        }
        Ok(_) => Survival::Unproven,
    };
    Ok(Boot { id, survival, dropped: record.dropped })
}
