//! Messages of an unproven file: found, and kept where they are.
//!
//! *Found.* In a queue with checksums: the messages that their checksums prove, wherever they are,
//! whatever cursors and commit words say. SPSC: at every place of the ring where a frame could
//! begin; MPMC: wherever a slot refers to. A frame that fits its checksum, and the place where it
//! is found, was committed there. Of these, those are kept that can still have been in the queue:
//! not released as far as the disk shows, and not so old that their room had to be released before
//! the newest one was sent. In any other queue, for users who want it as it is: what a consumer
//! would find, once.
//!
//! *Kept where they are.* No message is moved: it keeps its bytes, its position and so its serial
//! number. What changes is everything around it:
//!
//! - all bytes of the lanes that belong to no kept message become 0 ([`wipe`]);
//! - the positions between kept messages become positions that a consumer passes: SPSC, fillers that are noted
//!   as released ([`spsc`]); MPMC, slots that are free of the next lap, like those of released messages ([`mpmc`]);
//! - the cursors say: all of this was taken, and none of it released. So the messages count as taken before, because
//!   they may have been.
//!
//! # Why another power loss in the middle loses nothing
//!
//! Let *K* be the messages that a recovery keeps. The disk, after a power loss at any point of it, holds any
//! combination of old and new contents of the sectors that it wrote.
//!
//! 1. *Each message of K is proven again.* Its bytes are not written. SPSC: nothing else proves it. MPMC: its slot also
//!    has to refer to it, and the slot's old and new state both do, at the same position.
//! 2. *Nothing else is, but for messages that were released.* What was not proven is left as it is, or becomes 0 or a
//!    filler in part. Neither is proven, since the sum of a mixture does not fit. A message that was proven, and is not
//!    in K, was released: `released`, a note, or a newer message says so. `released` is true whenever it is stored, and
//!    a recovery only moves it up to the oldest message of K. Notes and newer messages may be lost with the wiped
//!    bytes; then a message that was released before others may be delivered again, as after a kill.
//! 3. *So the next recovery keeps K again, in its order*, whatever it finds of the work of this one.
//!
//! # Why a message that was dropped does not come back
//!
//! Positions after the newest message of K are used again, although messages of the earlier boot may have had them,
//! whose bytes reached the disk in part. Those bytes must not prove anything when a later power loss leaves new frames
//! there in part. They are 0 by then: a recovery ends with a sync of the file before it says that the file belongs to
//! this boot, and no participant attaches before it does. From then on all bytes of a lane that look like a message
//! were written at a position that is used once.

mod mpmc;
mod spsc;
mod wipe;

use std::io;

use super::contents::Contents;
use crate::layout::Framing;

impl Contents<'_> {
    /// Keeps the messages that checksums prove to be this queue's, if it has checksums, or that
    /// seem to be there; and nothing else. Returns how many. Under the attach lock, and without
    /// participants.
    pub(super) fn salvage(&self, uuid: Option<[u8; 16]>) -> io::Result<u64> {
        match self.geometry.order {
            // What it retains is history, which nothing proves to be whole: it is dropped.
            Some(order) if order.broadcast.is_some() => self.clear(0).map(|_| 0),
            Some(order) => self.salvage_mpmc(uuid, order),
            None => self.salvage_spsc(uuid),
        }
    }

    /// Positions before the result were used: frames with checksums prove that, where cursors may
    /// not know of it.
    pub(super) fn used(&self, uuid: [u8; 16]) -> io::Result<u64> {
        match (self.geometry.order, self.geometry.framing) {
            // Slots contain the positions.
            (Some(_), _) => Ok(0),
            (None, Framing::Variable) => Ok(self.find_variable(uuid)?.end),
            (None, Framing::Fixed { len }) => Ok(self.find_fixed(uuid, len)?.end),
        }
    }
}
