//! The one consumer.
#![allow(unsafe_code, reason = "vouches for the frames that the lane hands out")]

use std::cell::Cell;
use std::sync::Arc;

use super::attach::TakenRole;
use crate::error::{AttachError, Role};
use crate::lane::done::Done;
use crate::lane::{Corruption, LaneReader, Span, SpscFrame, SpscRun};
use crate::layout;
use crate::park::barrier;
use crate::queue::Shared;
use crate::queue::events::QueueEvents;
use crate::queue::file::boot::Stay;
use crate::queue::kind::{FrameStore, Receiver};
use crate::shm::fork::ForkGuard;
use crate::sync::{Ordering, fence};
use crate::wait::Attempt;

/// Its own store, and not `Sync`: frames stay in the thread of their consumer.
pub(crate) struct SpscReceiver {
    reader: LaneReader,
    guard: ForkGuard,
    /// Kept between batches, so that steady traffic allocates nothing.
    spans: Cell<Vec<Span>>,
    events: QueueEvents,
    /// Dropped this late, so that everything above is gone when a successor may attach ...
    _stay: Stay,
    /// ... and before the queue, whose last owner removes it if no liveness lock is left.
    shared: Arc<Shared>,
}

impl SpscReceiver {
    pub(super) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let TakenRole { memory, cursors, stay } = shared.attach(Role::Consumer)?;
        let done = Done::new(shared.many_words(layout::DONE_OFFSET, layout::DONE_RANGES));
        let reader = LaneReader::attach(memory, cursors, done, shared.geometry())
            .map_err(|corruption| AttachError::Corrupted(shared.corrupted(corruption)))?;
        let (guard, events) = (shared.guard(), shared.events().clone());
        Ok(Self { reader, guard, spans: Cell::default(), events, shared, _stay: stay })
    }
}

impl Drop for SpscReceiver {
    fn drop(&mut self) {
        if self.guard.is_intact() {
            self.reader.detach();
        }
    }
}

impl SpscReceiver {
    // Never inlined: see `ReleaseTracker::release_in_order`.
    #[cold]
    #[inline(never)]
    fn release_slowly(&self, taken: SpscFrame) {
        if self.reader.release(taken) {
            self.events.room.notify_all();
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_producer(&self) {
        self.events.room.notify_all();
    }

    /// If nothing can be taken, makes all room that was released visible to a producer that waits
    /// for it.
    #[inline(always)]
    fn or_flush<R>(&self, found: Result<Option<R>, Corruption>) -> Result<Option<R>, Corruption> {
        if matches!(found, Ok(None)) && self.reader.flush_released() {
            self.wake_producer();
        }
        found
    }
}

// SAFETY: the reader steps over each frame that it takes, and takes one again only after it was
// rejected; the liveness lock keeps every other reader away.
unsafe impl Receiver for SpscReceiver {
    type FrameStore = Self;

    #[inline(always)]
    fn store(&self) -> &Self {
        self
    }

    #[inline(always)]
    fn take(&self) -> Result<Option<SpscFrame>, Corruption> {
        self.or_flush(self.reader.take())
    }

    #[inline(always)]
    fn take_waiting(&self, _which: Attempt) -> Result<Option<SpscFrame>, Corruption> {
        self.take()
    }

    fn can_take(&self, _which: Attempt) -> Result<bool, Corruption> {
        let found = self.reader.can_take()?.then_some(());
        self.or_flush(Ok(found)).map(|found| found.is_some())
    }

    #[inline(always)]
    fn take_many(&self, max: usize, spans: &mut Vec<Span>) -> Result<Option<SpscRun>, Corruption> {
        self.or_flush(self.reader.take_many(max, spans))
    }

    #[inline(always)]
    fn take_many_waiting(
        &self,
        max: usize,
        spans: &mut Vec<Span>,
        _which: Attempt,
    ) -> Result<Option<SpscRun>, Corruption> {
        self.take_many(max, spans)
    }

    /// There is no other consumer.
    fn has_more(&self) -> bool {
        false
    }

    fn position(&self) -> u64 {
        self.reader.position()
    }

    fn flush(&self) {
        if self.reader.flush_released() {
            self.wake_producer();
        }
    }

    fn first_undelivered(&self) -> u64 {
        self.reader.first_undelivered()
    }

    /// What was committed before the close is found by the next attempt.
    fn finish_close(&self) {
        if !barrier::heavy() {
            // At least what the process that closed had seen. A message that was committed just now
            // is delivered to the next consumer.
            fence(Ordering::SeqCst);
        }
    }

    fn is_drained(&self) -> bool {
        true
    }

    fn waiting(&self) -> u64 {
        self.reader.waiting()
    }

    fn is_blocked(&self) -> bool {
        false
    }

    fn has_producer(&self) -> std::io::Result<bool> {
        self.shared.is_role_taken(Role::Producer)
    }
}

impl SpscReceiver {
    /// The frames of a run in flight.
    pub(super) fn frames_of(&self, run: SpscRun) -> impl Iterator<Item = SpscFrame> + '_ {
        self.reader.frames(run)
    }
}

// SAFETY: the reader checked that each payload lies in the ring, which is mapped as long as it
// lives. The producer does not write to frames in flight, by the lane protocol and the contract of
// opening the file.
unsafe impl FrameStore for SpscReceiver {
    type Taken = SpscFrame;
    type RejectToken = SpscFrame;
    type Run = SpscRun;
    type Span = Span;

    #[inline(always)]
    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    #[inline(always)]
    fn events(&self) -> &QueueEvents {
        &self.events
    }

    #[inline(always)]
    fn is_own_process(&self) -> bool {
        self.guard.is_intact()
    }

    #[inline(always)]
    fn bytes(&self, taken: SpscFrame) -> (*const u8, usize) {
        (self.reader.payload(taken.offset), taken.len)
    }

    #[inline(always)]
    fn size(taken: SpscFrame) -> u64 {
        taken.end - taken.start
    }

    #[inline(always)]
    fn release(&self, taken: SpscFrame) {
        if !self.reader.release_in_order(taken) {
            self.release_slowly(taken);
        }
    }

    #[inline(always)]
    fn reject_token(taken: SpscFrame) -> SpscFrame {
        taken
    }

    fn reject(&self, reject_token: SpscFrame) {
        self.reader.reject(reject_token);
    }

    fn put_back(&self, reject_token: SpscFrame) {
        self.reader.put_back(reject_token);
    }

    fn position(taken: SpscFrame) -> u64 {
        taken.start
    }

    fn redeliveries(&self, taken: SpscFrame) -> u64 {
        self.reader.redeliveries(&taken)
    }

    #[inline(always)]
    fn run_len(run: SpscRun) -> usize {
        run.count
    }

    #[inline(always)]
    fn run_size(run: SpscRun) -> u64 {
        (run.end - run.start) / run.count as u64
    }

    #[inline(always)]
    fn run_bytes<'a>(
        &'a self,
        run: SpscRun,
        spans: &'a [Span],
    ) -> impl Iterator<Item = (*const u8, usize)> + 'a {
        self.reader.payloads(run, spans).map(|span| (self.reader.payload(span.offset), span.len))
    }

    fn run_redeliveries<'a>(&'a self, run: SpscRun, _spans: &'a [Span]) -> impl Iterator<Item = u64> + 'a {
        self.reader.frames(run).map(|frame| self.reader.redeliveries(&frame))
    }

    fn run_positions<'a>(&'a self, run: SpscRun, _spans: &'a [Span]) -> impl Iterator<Item = u64> + 'a {
        self.reader.frames(run).map(|frame| frame.start)
    }

    #[inline(always)]
    fn release_run(&self, run: SpscRun, _spans: &[Span]) {
        if self.reader.release_run(run) {
            self.wake_producer();
        }
    }

    fn reject_run(&self, run: SpscRun, _spans: &[Span], seen: usize) {
        for (at, frame) in self.reader.frames(run).enumerate() {
            if at < seen {
                self.reader.reject(frame);
            } else {
                self.reader.put_back(frame);
            }
        }
    }

    fn has_retry_limit(&self) -> bool {
        false
    }

    fn reject_of_run(&self, _spans: &mut Vec<Span>, _indices: Vec<usize>) {
        // There is no retry limit, so this is never called.
    }

    #[inline(always)]
    fn lend_spans(&self) -> Vec<Span> {
        self.spans.take()
    }

    #[inline(always)]
    fn return_spans(&self, spans: Vec<Span>) {
        self.spans.set(spans);
    }
}
