//! Checks each frame before user code sees it.
#![allow(unsafe_code, reason = "vouches for the frames of another receiver")]

use std::cell::Cell;
use std::time::Duration;

use super::serial::SerialStore;
use super::store::CheckedStore;
use crate::lane::Corruption;
use crate::queue::kind::{FrameStore, Receiver, RunBy, SpansOf, TakenBy};
use crate::queue::recovery_failures::RecoveryFailures;
use crate::retry;
use crate::sync::Ordering;
use crate::wait::Attempt;

pub(crate) struct CheckedReceiver<R> {
    inner: R,
    uuid: [u8; 16],
    /// The number of frames that are taken one by one: among them is one that does not fit, in a
    /// batch that was returned.
    careful: Cell<usize>,
}

impl<R: Receiver<FrameStore: SerialStore>> CheckedReceiver<R> {
    pub(super) fn new(inner: R, uuid: [u8; 16]) -> Self {
        Self { inner, uuid, careful: Cell::new(0) }
    }

    fn checked(&self) -> &CheckedStore<R::FrameStore> {
        CheckedStore::of(self.inner.store())
    }

    #[cold]
    fn count_dropped(&self) {
        self.inner.store().shared().rare().dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The first frame that `take` finds and that fits.
    fn first(
        &self,
        take: impl Fn() -> Result<Option<TakenBy<R>>, Corruption>,
    ) -> Result<Option<TakenBy<R>>, Corruption> {
        for _ in retry::CALL.rounds() {
            let Some(taken) = take()? else { return Ok(None) };
            let store = self.inner.store();
            let (payload, len) = store.bytes(taken);
            if self.checked().fits(self.uuid, (payload, len, store.serial(taken))) {
                return Ok(Some(taken));
            }
            self.count_dropped();
            store.release(taken);
        }
        Ok(None)
    }

    /// Like `first`, for runs.
    fn first_run(
        &self,
        max: usize,
        spans: &mut SpansOf<R>,
        take: impl Fn(usize, &mut SpansOf<R>) -> Result<Option<RunBy<R>>, Corruption>,
    ) -> Result<Option<RunBy<R>>, Corruption> {
        for _ in retry::CALL.rounds() {
            let careful = self.careful.get();
            self.careful.set(careful.saturating_sub(1));
            let Some(run) = take(if careful > 0 { 1 } else { max }, spans)? else { return Ok(None) };
            let store = self.inner.store();
            let count = R::FrameStore::run_len(run);
            let frames = store.run_serials(run, spans);
            // SPSC finds the frames again by their commit words: if something overwrites these
            // words, the frames may end early, and a frame that was not checked must not be
            // delivered.
            if frames.take_while(|frame| self.checked().fits(self.uuid, *frame)).count() == count {
                return Ok(Some(run));
            }
            if count == 1 {
                self.count_dropped();
                store.release_run(run, spans);
            } else {
                // User code has seen none of them.
                store.reject_run(run, spans, 0);
                self.careful.set(count);
            }
        }
        Ok(None)
    }
}

// SAFETY: it takes what the inner receiver takes, and the store is the same one, without trailers;
// each frame that is delivered was checked to have one.
unsafe impl<R: Receiver<FrameStore: SerialStore>> Receiver for CheckedReceiver<R> {
    type FrameStore = CheckedStore<R::FrameStore>;

    fn store(&self) -> &Self::FrameStore {
        self.checked()
    }

    fn take(&self) -> Result<Option<TakenBy<R>>, Corruption> {
        self.first(|| self.inner.take())
    }

    fn take_waiting(&self, which: Attempt) -> Result<Option<TakenBy<R>>, Corruption> {
        self.first(|| self.inner.take_waiting(which))
    }

    fn can_take(&self, which: Attempt) -> Result<bool, Corruption> {
        self.inner.can_take(which)
    }

    fn take_many(&self, max: usize, spans: &mut SpansOf<R>) -> Result<Option<RunBy<R>>, Corruption> {
        self.first_run(max, spans, |max, spans| self.inner.take_many(max, spans))
    }

    fn take_many_waiting(
        &self,
        max: usize,
        spans: &mut SpansOf<R>,
        which: Attempt,
    ) -> Result<Option<RunBy<R>>, Corruption> {
        self.first_run(max, spans, |max, spans| self.inner.take_many_waiting(max, spans, which))
    }

    fn has_more(&self) -> bool {
        self.inner.has_more()
    }

    fn position(&self) -> u64 {
        self.inner.position()
    }

    fn flush(&self) {
        self.inner.flush();
    }

    fn first_undelivered(&self) -> u64 {
        self.inner.first_undelivered()
    }

    fn is_blocked(&self) -> bool {
        self.inner.is_blocked()
    }

    fn has_producer(&self) -> std::io::Result<bool> {
        self.inner.has_producer()
    }

    fn finish_close(&self) {
        self.inner.finish_close();
    }

    fn recovery_failures(&self) -> Option<&RecoveryFailures> {
        self.inner.recovery_failures()
    }

    fn watch_slice(&self) -> Duration {
        self.inner.watch_slice()
    }

    fn waiting(&self) -> u64 {
        self.inner.waiting()
    }

    fn is_drained(&self) -> bool {
        self.inner.is_drained()
    }
}
