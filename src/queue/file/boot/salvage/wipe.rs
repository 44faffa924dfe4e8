//! Lanes without anything but the messages that are kept.

use std::io;
use std::ops::Range;

use super::super::contents::{AT_ONCE, Contents};
use crate::shm;

impl Contents<'_> {
    /// Makes all bytes of `all` 0 that are in none of `kept`, which are sorted. Bytes that are 0 are not written, and
    /// holes stay holes.
    pub(super) fn wipe(&self, all: Range<u64>, kept: impl Iterator<Item = Range<u64>>) -> io::Result<()> {
        let mut from = all.start;
        for part in kept.chain(std::iter::once(all.end..all.end)) {
            self.wipe_part(from..part.start.min(all.end))?;
            from = from.max(part.end);
        }
        Ok(())
    }

    fn wipe_part(&self, part: Range<u64>) -> io::Result<()> {
        let mut at = part.start;
        while at < part.end {
            at = shm::next_data(self.file, at)?.map_or(part.end, |data| data.max(at));
            let end = part.end.min(at + AT_ONCE);
            if at < end && self.bytes(at, end - at)?.iter().any(|byte| *byte != 0) {
                shm::write_at(self.file, &vec![0; (end - at) as usize], at)?;
            }
            at = end.max(at);
        }
        Ok(())
    }
}
