//! When no message will come any more: the queue is closed or orphaned, or no producer is alive.

use super::BytesConsumer;
use crate::error::RecvError;
use crate::lane::Corruption;
use crate::queue::kind::{FrameStore, Kind, Receiver};
use crate::wait::Attempt;

/// Checking liveness is a system call: while spinning, one attempt in this number does it.
pub(super) const ATTEMPTS_PER_LIVENESS_CHECK: u64 = 1024;

impl<K: Kind> BytesConsumer<K> {
    /// Nothing was found. Returns `Closed` if no message will come any more, which takes one more
    /// attempt: the earlier ones may have missed what was committed before the close was visible.
    #[inline(always)]
    pub(super) fn last_attempt<R>(
        &self,
        which: Attempt,
        attempt: impl FnMut() -> Result<Option<R>, Corruption>,
    ) -> Result<R, RecvError> {
        if let Some(count) = self.receiver.lag() {
            return Err(RecvError::Lagged(count));
        }
        if self.events.messages.is_closed() || self.ends_early.get() {
            self.check_disconnected(which, attempt)
        } else {
            Err(RecvError::Empty)
        }
    }

    #[cold]
    #[inline(never)]
    fn check_disconnected<R>(
        &self,
        which: Attempt,
        mut attempt: impl FnMut() -> Result<Option<R>, Corruption>,
    ) -> Result<R, RecvError> {
        let shared = self.receiver.store().shared();
        let is_closed = self.events.messages.is_closed();
        let is_asked = which.is_exact(ATTEMPTS_PER_LIVENESS_CHECK);
        let has_no_producer = || match is_asked {
            true => self.has_producer().map(|has| !has).map_err(|source| self.not_asked(source)),
            false => Ok(false),
        };
        let is_reusable = is_closed || (self.ends_when_disconnected.get() && has_no_producer()?);
        if !is_reusable {
            return if self.name.is_orphaned(shared) {
                Err(RecvError::Orphaned { path: shared.path().to_path_buf() })
            } else {
                Err(RecvError::Empty)
            };
        }
        if is_closed {
            self.receiver.finish_close();
        }
        match self.checked(attempt())? {
            Some(found) => Ok(found),
            None => match self.receiver.lag() {
                Some(count) => Err(RecvError::Lagged(count)),
                None if self.receiver.is_drained() => Err(RecvError::Closed),
                None => Err(RecvError::Empty),
            },
        }
    }

    #[inline(always)]
    pub(super) fn check_process(&self) -> Result<(), RecvError> {
        if self.receiver.store().is_own_process() { Ok(()) } else { Err(self.lost()) }
    }

    #[cold]
    #[inline(never)]
    fn lost(&self) -> RecvError {
        let shared = self.receiver.store().shared();
        match shared.is_truncated() {
            true => RecvError::Truncated { path: shared.path().to_path_buf() },
            false => RecvError::Forked,
        }
    }
}
