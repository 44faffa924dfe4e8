//! Checks each frame before anybody sees it.
#![allow(unsafe_code, reason = "vouches for the frames of another receiver")]

use std::cell::Cell;
use std::time::Duration;

use super::keeper::CheckedKeeper;
use super::serial::SerialKeeper;
use crate::lane::Damage;
use crate::queue::kind::{Keeper, Receiver, RunBy, SpansOf, TakenBy};
use crate::queue::trouble::Trouble;
use crate::sync::Ordering;

/// So often at most does one call pass a frame that does not fit: words that make no sense must not keep it for ever.
const MOST_PASSED: usize = 1 << 12;

pub(crate) struct CheckedReceiver<R> {
    inner: R,
    uuid: [u8; 16],
    /// So many are taken one by one: among them was one that does not fit, in a batch that was put back.
    careful: Cell<usize>,
}

impl<R: Receiver<Keeper: SerialKeeper>> CheckedReceiver<R> {
    pub(super) fn new(inner: R, uuid: [u8; 16]) -> Self {
        Self { inner, uuid, careful: Cell::new(0) }
    }

    fn checked(&self) -> &CheckedKeeper<R::Keeper> {
        CheckedKeeper::of(self.inner.keeper())
    }

    #[cold]
    fn count_dropped(&self) {
        self.inner.keeper().shared().rare().dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The first of what `take` finds that fits.
    fn first(
        &self,
        take: impl Fn() -> Result<Option<TakenBy<R>>, Damage>,
    ) -> Result<Option<TakenBy<R>>, Damage> {
        for _ in 0..MOST_PASSED {
            let Some(taken) = take()? else { return Ok(None) };
            let keeper = self.inner.keeper();
            let (payload, len) = keeper.bytes(taken);
            if self.checked().fits(self.uuid, (payload, len, keeper.serial(taken))) {
                return Ok(Some(taken));
            }
            self.count_dropped();
            keeper.release(taken);
        }
        Ok(None)
    }

    /// The same, of runs.
    fn first_run(
        &self,
        max: usize,
        spans: &mut SpansOf<R>,
        take: impl Fn(usize, &mut SpansOf<R>) -> Result<Option<RunBy<R>>, Damage>,
    ) -> Result<Option<RunBy<R>>, Damage> {
        for _ in 0..MOST_PASSED {
            let careful = self.careful.get();
            self.careful.set(careful.saturating_sub(1));
            let Some(run) = take(if careful > 0 { 1 } else { max }, spans)? else { return Ok(None) };
            let keeper = self.inner.keeper();
            let count = R::Keeper::run_len(run);
            let frames = keeper.run_serials(run, spans);
            // SPSC finds the frames again by their commit words: words that something wrote over may end that early, and a frame
            // that was not checked must not be handed out.
            if frames.take_while(|frame| self.checked().fits(self.uuid, *frame)).count() == count {
                return Ok(Some(run));
            }
            if count == 1 {
                self.count_dropped();
                keeper.release_run(run, spans);
            } else {
                // Nobody has seen any of them.
                keeper.reject_run(run, spans, 0);
                self.careful.set(count);
            }
        }
        Ok(None)
    }
}

// SAFETY: it takes what the inner receiver takes, and the keeper is the same one, seen without trailers; each frame that is
// handed out was seen to have one.
unsafe impl<R: Receiver<Keeper: SerialKeeper>> Receiver for CheckedReceiver<R> {
    type Keeper = CheckedKeeper<R::Keeper>;

    fn keeper(&self) -> &Self::Keeper {
        self.checked()
    }

    fn take(&self) -> Result<Option<TakenBy<R>>, Damage> {
        self.first(|| self.inner.take())
    }

    fn take_patiently(&self, looks: u64) -> Result<Option<TakenBy<R>>, Damage> {
        self.first(|| self.inner.take_patiently(looks))
    }

    fn may_take(&self, looks: u64) -> Result<bool, Damage> {
        self.inner.may_take(looks)
    }

    fn take_many(&self, max: usize, spans: &mut SpansOf<R>) -> Result<Option<RunBy<R>>, Damage> {
        self.first_run(max, spans, |max, spans| self.inner.take_many(max, spans))
    }

    fn take_many_patiently(
        &self,
        max: usize,
        spans: &mut SpansOf<R>,
        looks: u64,
    ) -> Result<Option<RunBy<R>>, Damage> {
        self.first_run(max, spans, |max, spans| self.inner.take_many_patiently(max, spans, looks))
    }

    fn has_more(&self) -> bool {
        self.inner.has_more()
    }

    fn position(&self) -> u64 {
        self.inner.position()
    }

    fn is_held_up(&self) -> bool {
        self.inner.is_held_up()
    }

    fn has_producer(&self) -> std::io::Result<bool> {
        self.inner.has_producer()
    }

    fn finish_close(&self) {
        self.inner.finish_close();
    }

    fn trouble(&self) -> Option<&Trouble> {
        self.inner.trouble()
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
