//! The one consumer.
#![allow(unsafe_code, reason = "vouches for the frames that the lane hands out")]

use std::cell::Cell;
use std::sync::Arc;

use super::attach::Attached;
use crate::error::{AttachError, Role};
use crate::lane::done::Done;
use crate::lane::{Damage, Reader, Span, TakenFrame, TakenRun};
use crate::layout;
use crate::park::barrier;
use crate::queue::Shared;
use crate::queue::bells::Bells;
use crate::queue::boot::Stay;
use crate::queue::kind::{Keeper, Receiver};
use crate::shm::fork::ForkGuard;
use crate::sync::{Ordering, fence};

/// Its own keeper, and not `Sync`: frames stay in the thread of their consumer.
pub(crate) struct SpscReceiver {
    reader: Reader,
    guard: ForkGuard,
    /// Kept between batches, so that steady traffic allocates nothing.
    spans: Cell<Vec<Span>>,
    bells: Bells,
    /// So late that everything above is gone when a successor may attach ...
    _stay: Stay,
    /// ... and before the queue, whose last owner removes it if no lease is left.
    shared: Arc<Shared>,
}

impl SpscReceiver {
    pub(super) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let Attached { memory, cursors, stay } = shared.attach(Role::Consumer)?;
        let done = Done::new(shared.many_words(layout::DONE_OFFSET, layout::DONE_RANGES));
        let reader = Reader::attach(memory, cursors, done, shared.geometry())
            .map_err(|damage| AttachError::Damaged(shared.damaged(damage)))?;
        let (guard, bells) = (shared.guard(), shared.bells().clone());
        Ok(Self { reader, guard, spans: Cell::default(), bells, shared, _stay: stay })
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
    // Never inlined: see `Ledger::release_quickly`.
    #[cold]
    #[inline(never)]
    fn release_slowly(&self, taken: TakenFrame) {
        if self.reader.release(taken) {
            self.bells.room.notify_all();
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_producer(&self) {
        self.bells.room.notify_all();
    }

    /// Sees to it that a producer that waits for room knows of all there is, when there is nothing to take.
    #[inline(always)]
    fn or_idle<R>(&self, found: Result<Option<R>, Damage>) -> Result<Option<R>, Damage> {
        if matches!(found, Ok(None)) && self.reader.idle() {
            self.wake_producer();
        }
        found
    }
}

// SAFETY: the reader steps over each frame that it hands out, and hands one out again only after it was rejected; the
// lease keeps every other reader away.
unsafe impl Receiver for SpscReceiver {
    type Keeper = Self;

    #[inline(always)]
    fn keeper(&self) -> &Self {
        self
    }

    #[inline(always)]
    fn take(&self) -> Result<Option<TakenFrame>, Damage> {
        self.or_idle(self.reader.take())
    }

    #[inline(always)]
    fn take_patiently(&self, _looks: u64) -> Result<Option<TakenFrame>, Damage> {
        self.take()
    }

    fn may_take(&self, _looks: u64) -> Result<bool, Damage> {
        let found = self.reader.may_take()?.then_some(());
        self.or_idle(Ok(found)).map(|found| found.is_some())
    }

    #[inline(always)]
    fn take_many(&self, max: usize, spans: &mut Vec<Span>) -> Result<Option<TakenRun>, Damage> {
        self.or_idle(self.reader.take_many(max, spans))
    }

    #[inline(always)]
    fn take_many_patiently(
        &self,
        max: usize,
        spans: &mut Vec<Span>,
        _looks: u64,
    ) -> Result<Option<TakenRun>, Damage> {
        self.take_many(max, spans)
    }

    /// There is no other consumer.
    fn has_more(&self) -> bool {
        false
    }

    fn position(&self) -> u64 {
        self.reader.position()
    }

    /// What was committed before the close is seen by the next look.
    fn finish_close(&self) {
        if !barrier::heavy() {
            // At least what whoever closed had seen. A message that was committed just now comes to the next consumer.
            fence(Ordering::SeqCst);
        }
    }

    fn is_drained(&self) -> bool {
        true
    }

    fn waiting(&self) -> u64 {
        self.reader.waiting()
    }

    fn is_held_up(&self) -> bool {
        false
    }

    fn has_producer(&self) -> std::io::Result<bool> {
        self.shared.is_role_taken(Role::Producer)
    }
}

impl SpscReceiver {
    /// The frames of a run that is out.
    pub(super) fn frames_of(&self, run: TakenRun) -> impl Iterator<Item = TakenFrame> + '_ {
        self.reader.frames(run)
    }
}

// SAFETY: the reader checked that each payload lies in the ring, which is mapped as long as it lives. The producer does
// not write to frames that are out, by the lane protocol and the contract of opening the file.
unsafe impl Keeper for SpscReceiver {
    type Taken = TakenFrame;
    type Stub = TakenFrame;
    type Run = TakenRun;
    type Span = Span;

    #[inline(always)]
    fn shared(&self) -> &Shared {
        &self.shared
    }

    #[inline(always)]
    fn bells(&self) -> &Bells {
        &self.bells
    }

    #[inline(always)]
    fn is_own_process(&self) -> bool {
        self.guard.is_intact()
    }

    #[inline(always)]
    fn bytes(&self, taken: TakenFrame) -> (*const u8, usize) {
        (self.reader.payload(taken.offset), taken.len)
    }

    #[inline(always)]
    fn size(taken: TakenFrame) -> u64 {
        taken.end - taken.start
    }

    #[inline(always)]
    fn release(&self, taken: TakenFrame) {
        if !self.reader.release_quickly(taken) {
            self.release_slowly(taken);
        }
    }

    #[inline(always)]
    fn stub(taken: TakenFrame) -> TakenFrame {
        taken
    }

    fn reject(&self, stub: TakenFrame) {
        self.reader.reject(stub);
    }

    fn put_back(&self, stub: TakenFrame) {
        self.reader.put_back(stub);
    }

    fn position(taken: TakenFrame) -> u64 {
        taken.start
    }

    fn redeliveries(&self, taken: TakenFrame) -> u64 {
        self.reader.redeliveries(&taken)
    }

    #[inline(always)]
    fn run_len(run: TakenRun) -> usize {
        run.count
    }

    #[inline(always)]
    fn run_size(run: TakenRun) -> u64 {
        (run.end - run.start) / run.count as u64
    }

    #[inline(always)]
    fn run_bytes<'a>(
        &'a self,
        run: TakenRun,
        spans: &'a [Span],
    ) -> impl Iterator<Item = (*const u8, usize)> + 'a {
        self.reader.payloads(run, spans).map(|span| (self.reader.payload(span.offset), span.len))
    }

    fn run_redeliveries<'a>(&'a self, run: TakenRun, _spans: &'a [Span]) -> impl Iterator<Item = u64> + 'a {
        self.reader.frames(run).map(|frame| self.reader.redeliveries(&frame))
    }

    #[inline(always)]
    fn release_run(&self, run: TakenRun, _spans: &[Span]) {
        if self.reader.release_run(run) {
            self.wake_producer();
        }
    }

    fn reject_run(&self, run: TakenRun, _spans: &[Span], seen: usize) {
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
        // There is no retry limit, so nobody asks for it.
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
