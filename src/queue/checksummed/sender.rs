//! Adds a trailer to each message.
#![allow(unsafe_code, reason = "writes behind payloads, in frames that are granted")]

use super::serial::SerialSender;
use crate::lane::{Refusal, Reserved, Room};
use crate::queue::Shared;
use crate::queue::copy::{copy_in, copy_out};
use crate::queue::file::trailer::{self, LEN};
use crate::queue::kind::Sender;
use crate::queue::recovery_failures::RecoveryFailures;
use crate::wait::Attempt;

pub(crate) struct CheckedSender<S> {
    inner: S,
    uuid: [u8; 16],
}

impl<S: SerialSender> CheckedSender<S> {
    pub(super) fn new(inner: S, uuid: [u8; 16]) -> Self {
        Self { inner, uuid }
    }

    /// The sum of the message that was written to the slot.
    fn sum(&self, slot: Reserved, len: usize) -> u64 {
        let payload = self.inner.payload(slot);
        if !self.inner.shared().is_trusted() {
            // SAFETY: granted and mapped; code that trusts no peer accesses payloads by atomics
            // only.
            return unsafe { trailer::sum_shared(self.uuid, payload, len) };
        }
        // SAFETY: granted to this sender, so that no other code writes it, and mapped: `reserve`
        // asked for more than `len`.
        let message = unsafe { std::slice::from_raw_parts(payload, len) };
        trailer::sum(self.uuid, message)
    }
}

/// Writes a trailer, by atomics: processes that do not keep to the protocol may write there, too.
///
/// # Safety
/// The `LEN` bytes from `at` are mapped, and granted to the caller alone.
unsafe fn put(at: *mut u8, trailer: [u8; LEN]) {
    // SAFETY: by the caller's promise.
    unsafe { copy_in(&trailer, at) };
}

/// Adds the serial number to a sum.
fn seal(sum: u64, len: usize) -> impl FnOnce(*mut u8, u64) {
    // SAFETY: the frame has `len + LEN` bytes, and is not committed yet: it is this sender's.
    move |payload, serial| unsafe { put(payload.wrapping_add(len), trailer::sealed(sum, serial)) }
}

/// The room, less a trailer.
fn without_trailer(room: Room) -> Room {
    match room {
        Room::UpTo(slot, room) => room.checked_sub(LEN).map_or(Room::Unknown, |room| Room::UpTo(slot, room)),
        other => other,
    }
}

// SAFETY: every grant is one of the inner sender's, less its last bytes, which are written between
// a grant and its commit only.
unsafe impl<S: SerialSender> Sender for CheckedSender<S> {
    type Staged = S::Staged;

    fn shared(&self) -> &Shared {
        self.inner.shared()
    }

    fn is_own_process(&self) -> bool {
        self.inner.is_own_process()
    }

    fn reserve(&mut self, len: usize) -> Result<Reserved, Refusal> {
        self.inner.reserve(len.saturating_add(LEN))
    }

    fn reserve_waiting(&mut self, len: usize, which: Attempt) -> Result<Reserved, Refusal> {
        self.inner.reserve_waiting(len.saturating_add(LEN), which)
    }

    fn contiguous(&mut self) -> Room {
        without_trailer(self.inner.contiguous())
    }

    fn commit(&mut self, slot: Reserved, len: usize) -> Result<(), Refusal> {
        let sum = self.sum(slot, len);
        self.inner.commit_sealed(slot, len + LEN, seal(sum, len))
    }

    fn commit_waiting(&mut self, slot: Reserved, len: usize, which: Attempt) -> Result<(), Refusal> {
        if !self.inner.can_commit(which) {
            return Err(Refusal::Full);
        }
        self.commit(slot, len)
    }

    fn can_commit(&self, which: Attempt) -> bool {
        self.inner.can_commit(which)
    }

    fn begin(&mut self) -> S::Staged {
        self.inner.begin()
    }

    fn count(staged: &S::Staged) -> usize {
        S::count(staged)
    }

    fn reserve_after(&mut self, staged: &S::Staged, len: usize) -> Result<Reserved, Refusal> {
        self.inner.reserve_after(staged, len.saturating_add(LEN))
    }

    fn contiguous_after(&mut self, staged: &S::Staged) -> Room {
        without_trailer(self.inner.contiguous_after(staged))
    }

    fn stage(&mut self, staged: &mut S::Staged, slot: Reserved, len: usize) {
        let sum = self.sum(slot, len);
        let at = self.inner.payload(slot).wrapping_add(len);
        let mut waiting = [0; LEN];
        waiting[8..].copy_from_slice(&sum.to_ne_bytes());
        // SAFETY: the end of the frame that was granted.
        unsafe { put(at, waiting) };
        self.inner.stage_sealed(staged, slot, len + LEN, seal(sum, len));
    }

    fn publish(&mut self, staged: S::Staged, whole: bool) -> Result<usize, Refusal> {
        self.inner.publish_sealed(staged, whole, |payload, len, serial| {
            let at = payload.wrapping_add(len - LEN);
            let mut sum = [0; 8];
            // SAFETY: staged by `stage` above, so that it has a trailer with the sum in its second
            // half; not committed yet.
            unsafe { copy_out(at.wrapping_add(8), &mut sum) };
            // SAFETY: as above.
            unsafe { put(at, trailer::sealed(u64::from_ne_bytes(sum), serial)) };
        })
    }

    fn pause(&self) -> u32 {
        self.inner.pause()
    }

    fn has_ample_room(&self) -> bool {
        self.inner.has_ample_room()
    }

    fn has_ample_positions(&self) -> bool {
        self.inner.has_ample_positions()
    }

    fn payload(&self, slot: Reserved) -> *mut u8 {
        self.inner.payload(slot)
    }

    fn position(&self) -> u64 {
        self.inner.position()
    }

    fn recovery_failures(&self) -> Option<&RecoveryFailures> {
        self.inner.recovery_failures()
    }

    fn has_consumer(&self) -> std::io::Result<bool> {
        self.inner.has_consumer()
    }
}
