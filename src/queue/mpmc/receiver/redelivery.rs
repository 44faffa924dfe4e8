//! Taking frames that were delivered before, or moving them to the dead-letter queue.
#![allow(unsafe_code, reason = "reads a frame in flight")]

use super::{MpmcFrame, MpmcReceiver};
use crate::lane::Corruption;
use crate::order_ring::{HeldSlot, SentDeadLetter, TakenSlot};
use crate::queue::kind::FrameStore;
use crate::queue::mpmc::dead_letter_mover::now_ns;

impl MpmcReceiver {
    /// Takes a frame that was delivered before. None while this thread panics: a destructor that
    /// drains the queue would get the same frame, which its guard rejects, for ever.
    #[cold]
    pub(super) fn take_redelivered(&self) -> Option<Result<MpmcFrame, Corruption>> {
        if std::thread::panicking() {
            return None;
        }
        loop {
            let held = self.consumer().take_redelivery()?;
            let HeldSlot { position, redeliveries } = held;
            match self.out(TakenSlot { position, frame: self.ring().frame_at(position) }) {
                Ok(taken)
                    if self.may_dead_letter
                        && self.ring().is_dead_letter(held)
                        && self.dead_letter_frame(taken, redeliveries) => {}
                found => {
                    self.consumer().count_received(1);
                    // A frame whose consumer died before it was marked counts as new.
                    self.consumer().count_redelivered(u64::from(redeliveries > 0));
                    return Some(found);
                }
            }
        }
    }

    /// Moves a frame to the dead-letter queue. Returns false if that fails: then the frame is
    /// delivered like any other.
    #[cold]
    fn dead_letter_frame(&self, taken: MpmcFrame, redeliveries: u64) -> bool {
        let (payload, len) = self.store.bytes(taken);
        // SAFETY: the frame is in flight, as `FrameStore` describes.
        let payload = unsafe { std::slice::from_raw_parts(payload, len) };
        let (shared, ring) = (self.store.participant.shared(), self.ring());
        let letter = SentDeadLetter {
            origin: (taken.position, words_of(shared.uuid())),
            redeliveries,
            holder: ring.holder_before(taken.position),
            at_ns: now_ns(),
        };
        let moved = self.dead_letter_mover.try_move(shared, ring, payload, letter);
        if moved {
            self.store.release(taken);
        }
        moved
    }
}

/// The uuid as dead letters carry it.
fn words_of(uuid: [u8; 16]) -> [u64; 2] {
    let number = u128::from_ne_bytes(uuid);
    [number as u64, (number >> 64) as u64]
}
