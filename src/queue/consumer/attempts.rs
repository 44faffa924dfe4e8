//! Attempts for tasks and wait sets, which do not wait in a call of the consumer.

use super::BytesConsumer;
use crate::error::RecvError;
#[cfg(feature = "async")]
use crate::queue::frame::BytesFrames;
#[cfg(feature = "async")]
use crate::queue::kind::{Engine, FrameStore, RunBy, SpansOf, TakenBy};
use crate::queue::kind::{Kind, Receiver};
use crate::wait::Attempt;

/// Messages that were taken together, and their spans.
#[cfg(feature = "async")]
pub(crate) type RunOf<K> = (RunBy<<K as Engine>::Receiver>, SpansOf<<K as Engine>::Receiver>);

impl<K: Kind> BytesConsumer<K> {
    /// Takes what is there now; as in the attempt before a sleep if `closely`. The result is to be
    /// made a [`frame`](Self::frame) immediately.
    #[cfg(feature = "async")]
    pub(crate) fn attempt(&self, closely: bool) -> Result<TakenBy<K::Receiver>, RecvError> {
        self.check_process()?;
        let which = if closely { Attempt::WithDeadPeerScan } else { Attempt::FIRST };
        let attempt = || self.receiver.take_waiting(which);
        let found = self.checked(attempt())?.map_or_else(|| self.last_attempt(which, attempt), Ok);
        found.map_err(|error| self.or_lasting_cause(error))
    }

    /// Like `attempt`, for up to `max` messages; to be made [`frames`](Self::frames) immediately.
    #[cfg(feature = "async")]
    pub(crate) fn attempt_many(&self, max: usize, closely: bool) -> Result<RunOf<K>, RecvError> {
        let mut spans = self.receiver.store().lend_spans();
        let which = if closely { Attempt::WithDeadPeerScan } else { Attempt::FIRST };
        let mut attempt = || self.receiver.take_many_waiting(max, &mut spans, which);
        let found = self.check_process().and_then(|()| self.checked(attempt()));
        match found.and_then(|run| run.map_or_else(|| self.last_attempt(which, attempt), Ok)) {
            Ok(run) => Ok((run, spans)),
            Err(error) => {
                self.receiver.store().return_spans(spans);
                Err(self.or_lasting_cause(error))
            }
        }
    }

    /// A task has no timeout of its own: it gets an error that has lasted.
    #[cfg(feature = "async")]
    fn or_lasting_cause(&self, error: RecvError) -> RecvError {
        match error {
            RecvError::Empty => self.lasting_cause().unwrap_or(error),
            error => error,
        }
    }

    /// The guard over what was taken.
    #[cfg(feature = "async")]
    pub(crate) fn frames(&self, (run, spans): RunOf<K>) -> BytesFrames<'_, K> {
        BytesFrames::new(self.receiver.store(), run, spans)
    }

    /// Whether the next `try_recv` may find a message, or return that none will come.
    pub(crate) fn is_ready(&self, which: Attempt) -> bool {
        match self.check_process().and_then(|()| self.checked(self.receiver.can_take(which))) {
            Ok(false) => {
                let attempt = || self.receiver.can_take(which).map(|may| may.then_some(()));
                !matches!(self.last_attempt(which, attempt), Err(RecvError::Empty))
                    || self.lasting_cause().is_some()
            }
            _ => true,
        }
    }
}
