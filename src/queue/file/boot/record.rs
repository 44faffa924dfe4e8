//! The words of the header that say in which boot a file was used.

use std::fs::File;
use std::io;
use std::mem::offset_of;

use crate::layout::{RARE_OFFSET, Rare};
use crate::shm;

/// The words of a file, as they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) boot: [u64; 2],
    pub(super) seal: u64,
    pub(super) dropped: u64,
}

pub(super) const RECORD_OFFSET: u64 = (RARE_OFFSET + offset_of!(Rare, boot)) as u64;
pub(super) const SEAL_OFFSET: u64 = (RARE_OFFSET + offset_of!(Rare, seal)) as u64;
pub(super) const DROPPED_OFFSET: u64 = (RARE_OFFSET + offset_of!(Rare, dropped)) as u64;

impl Record {
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; 32];
        if !shm::read_exact_at(file, &mut bytes, RECORD_OFFSET)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let word = |index| u64::from_ne_bytes(bytes.as_chunks::<8>().0[index]);
        Ok(Self { boot: [word(0), word(1)], seal: word(2), dropped: word(3) })
    }

    /// Whether the file was last used in this boot, or never.
    pub(super) fn is_of(&self, now: [u64; 2]) -> bool {
        self.boot[0] == now[0] || self.boot[0] == 0
    }
}

/// The kernel's boot id as it is stored in the file.
pub(super) fn words_of(boot: [u8; 16]) -> [u64; 2] {
    let (words, _) = boot.as_chunks::<8>();
    [u64::from_ne_bytes(words[0]), u64::from_ne_bytes(words[1])]
}
