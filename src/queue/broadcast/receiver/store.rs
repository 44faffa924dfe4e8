//! Releasing and rejecting frames.

use std::sync::Arc;

use super::super::subscribe::ConsumerMode;
use super::{BroadcastFrame, BroadcastReceiver, BroadcastRun};
use crate::queue::Shared;
use crate::queue::events::QueueEvents;
use crate::queue::kind::FrameStore;

/// A consumer notifies producers once for each such part of the maximum of messages, and when it
/// finds nothing.
const NOTIFY_STEP: u64 = 16;

impl BroadcastReceiver {
    /// Everything before `released` is released: tells producers, which may wait for it.
    #[inline(always)]
    pub(super) fn publish(&self) {
        let (released, cursor) = (self.tracker.released(), self.participant.entry().cursor());
        match self.mode {
            ConsumerMode::Reliable => {
                cursor.release(released);
                if released >= self.notify_due.get() {
                    self.notify_room();
                }
            }
            ConsumerMode::Lossy => {}
            ConsumerMode::LossyInPlace => {
                if self.is_in_flight() {
                    cursor.release(released);
                } else {
                    cursor.remove();
                }
                self.events.room.notify_all();
            }
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn notify_room(&self) {
        self.notify_due.set(self.tracker.released() + self.notify_step());
        self.events.room.notify_all();
    }

    fn notify_step(&self) -> u64 {
        (self.ring().max_messages() / NOTIFY_STEP).max(1)
    }

    /// Notifies producers of everything that was released.
    pub(super) fn flush_released(&self) {
        if self.tracker.released() + self.notify_step() != self.notify_due.get() {
            self.notify_room();
        }
    }

    #[inline(always)]
    fn release_copy(&self, taken: BroadcastFrame) {
        if self.mode == ConsumerMode::Lossy {
            self.copies.release(taken.copy);
        }
    }

    #[cold]
    fn reject_with(&self, taken: BroadcastFrame, redeliveries: u64) {
        self.tracker.reject(taken, redeliveries);
        if redeliveries != 0 {
            self.participant.entry().count_rejected();
        }
    }
}

// SAFETY: `out` checked that each payload lies in a lane that is ready, and lanes are mapped as
// long as the receiver lives. A frame that is read in place is at or above a cursor that has joined
// at or below it, so that no producer writes it before it is released; the bytes of a copy are the
// receiver's own, and its buffer is not used again before the frame is released.
unsafe impl FrameStore for BroadcastReceiver {
    type Taken = BroadcastFrame;
    type RejectToken = BroadcastFrame;
    type Run = BroadcastRun;
    type Span = BroadcastFrame;

    #[inline(always)]
    fn shared(&self) -> &Arc<Shared> {
        self.participant.shared()
    }

    #[inline(always)]
    fn events(&self) -> &QueueEvents {
        &self.events
    }

    #[inline(always)]
    fn is_own_process(&self) -> bool {
        self.participant.is_own_process()
    }

    #[inline(always)]
    fn bytes(&self, taken: BroadcastFrame) -> (*const u8, usize) {
        let original = self.lanes.memory.payload(taken.offset).cast_const();
        match self.mode {
            ConsumerMode::Lossy => (self.copies.bytes(taken.copy, original, taken.len), taken.len),
            _ => (original, taken.len),
        }
    }

    #[inline(always)]
    fn size(_taken: BroadcastFrame) -> u64 {
        1
    }

    #[inline(always)]
    fn release(&self, taken: BroadcastFrame) {
        self.release_copy(taken);
        if self.tracker.release(taken.position, taken.position + 1) {
            self.publish();
        }
    }

    #[inline(always)]
    fn reject_token(taken: BroadcastFrame) -> BroadcastFrame {
        taken
    }

    fn reject(&self, taken: BroadcastFrame) {
        self.reject_with(taken, 1);
    }

    fn put_back(&self, taken: BroadcastFrame) {
        self.reject_with(taken, 0);
    }

    fn position(taken: BroadcastFrame) -> u64 {
        taken.position
    }

    fn redeliveries(&self, taken: BroadcastFrame) -> u64 {
        self.tracker.redeliveries(taken.position)
    }

    #[inline(always)]
    fn run_len(run: BroadcastRun) -> usize {
        run.count
    }

    #[inline(always)]
    fn run_size(_run: BroadcastRun) -> u64 {
        1
    }

    #[inline(always)]
    fn run_bytes<'a>(
        &'a self,
        _run: BroadcastRun,
        spans: &'a [BroadcastFrame],
    ) -> impl Iterator<Item = (*const u8, usize)> + 'a {
        spans.iter().map(|taken| self.bytes(*taken))
    }

    fn run_redeliveries<'a>(
        &'a self,
        _run: BroadcastRun,
        spans: &'a [BroadcastFrame],
    ) -> impl Iterator<Item = u64> + 'a {
        spans.iter().map(|taken| self.redeliveries(*taken))
    }

    fn run_positions<'a>(
        &'a self,
        _run: BroadcastRun,
        spans: &'a [BroadcastFrame],
    ) -> impl Iterator<Item = u64> + 'a {
        spans.iter().map(|taken| taken.position)
    }

    #[inline(always)]
    fn release_run(&self, _run: BroadcastRun, spans: &[BroadcastFrame]) {
        let mut has_moved = false;
        for taken in spans {
            self.release_copy(*taken);
            has_moved |= self.tracker.release(taken.position, taken.position + 1);
        }
        if has_moved {
            self.publish();
        }
    }

    fn reject_run(&self, _run: BroadcastRun, spans: &[BroadcastFrame], seen: usize) {
        for (at, taken) in spans.iter().enumerate() {
            self.reject_with(*taken, u64::from(at < seen));
        }
    }

    fn has_retry_limit(&self) -> bool {
        false
    }

    fn reject_of_run(&self, _spans: &mut Vec<BroadcastFrame>, _indices: Vec<usize>) {
        // There is no retry limit, so this is never called.
    }

    #[inline(always)]
    fn lend_spans(&self) -> Vec<BroadcastFrame> {
        self.spans.take()
    }

    #[inline(always)]
    fn return_spans(&self, spans: Vec<BroadcastFrame>) {
        self.spans.set(spans);
    }
}
