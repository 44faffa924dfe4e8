//! What is done with a file that has outlived its machine, and is unproven.

use std::io;

use super::BREAKING;
use super::contents::Contents;
use super::record::{DROPPED_OFFSET, RECORD_OFFSET, Record, SEAL_OFFSET};
use crate::shm;

/// What to do with a file that has outlived its machine, and is unproven.
#[derive(Clone, Copy)]
pub(super) enum Remedy {
    /// Keep no message. With checksums: the uuid, by which the queue's own frames in the ring are
    /// found.
    Empty(Option<[u8; 16]>),
    /// Keep the messages that seem to be there.
    Salvage,
    /// Keep the messages that are proven to be of this queue.
    Check([u8; 16]),
}

/// The result of a remedy.
pub(super) struct Remade {
    pub(super) kept: u64,
    pub(super) dropped: u64,
}

/// Makes the file one of this boot, whose messages are those that the remedy leaves. Under the
/// attach lock, and without participants.
pub(super) fn remake(contents: &Contents<'_>, now: [u64; 2], remedy: Remedy) -> io::Result<Remade> {
    let Contents { file, geometry, .. } = *contents;
    let seemed = contents.count()?;
    let before = Record::read(file)?.dropped;
    shm::write_word(file, BREAKING, SEAL_OFFSET)?;
    let kept = match remedy {
        Remedy::Empty(uuid) => {
            let used = uuid.map_or(Ok(0), |uuid| contents.used(uuid))?;
            contents.clear(used).map(|_| 0)?
        }
        // It is unknown whether they were delivered, and they must not be delivered twice.
        Remedy::Check(_) if geometry.order.is_some_and(|order| order.policy.at_most_once) => {
            contents.clear(0).map(|_| 0)?
        }
        Remedy::Check(uuid) => contents.salvage(Some(uuid))?,
        Remedy::Salvage => contents.salvage(None)?,
    };
    // Nothing of what was dropped may prove anything later: see `salvage`.
    //
    // The data goes to the disk piece by piece; the flush has to write the file's metadata and to empty
    // the disk's cache. It shows no progress, on purpose: if that takes longer than others
    // wait for the lock, the disk does not answer, which is what they are to be told (`AttachLock`).
    contents.write_back();
    shm::sync_file(file)?;
    let dropped = seemed.saturating_sub(kept);
    shm::write_word(file, before.saturating_add(dropped), DROPPED_OFFSET)?;
    shm::write_word(file, now[1], RECORD_OFFSET + 8)?;
    shm::write_word(file, now[0], RECORD_OFFSET)?;
    // The next participant flushes; after a power loss before that, the file is in doubt again.
    let seal = contents.hash(u64::MAX)?.unwrap_or(0);
    shm::write_word(file, seal, SEAL_OFFSET)?;
    Ok(Remade { kept, dropped })
}
