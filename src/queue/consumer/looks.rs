//! Looks for those who wait otherwise than by a call of the consumer: tasks and sets.

use super::BytesConsumer;
#[cfg(feature = "async")]
use super::{BytesFrames, RunOf};
use crate::error::RecvError;
#[cfg(feature = "async")]
use crate::queue::kind::{Keeper, TakenBy};
use crate::queue::kind::{Kind, Receiver};
#[cfg(feature = "async")]
use crate::wait;

impl<K: Kind> BytesConsumer<K> {
    /// What is there now, looked for as before a sleep if `closely`; to be made a [`frame`](Self::frame) at once.
    #[cfg(feature = "async")]
    pub(crate) fn look(&self, closely: bool) -> Result<TakenBy<K::Receiver>, RecvError> {
        self.check_process()?;
        let looks = if closely { wait::LOOK_AROUND } else { 0 };
        let look = || self.receiver.take_patiently(looks);
        let found = self.checked(look())?.map_or_else(|| self.last_look(looks, look), Ok);
        found.map_err(|error| self.or_lasting_cause(error))
    }

    /// The same for up to `max` messages; to be made [`frames`](Self::frames) at once.
    #[cfg(feature = "async")]
    pub(crate) fn look_for_many(&self, max: usize, closely: bool) -> Result<RunOf<K>, RecvError> {
        let mut spans = self.receiver.keeper().lend_spans();
        let looks = if closely { wait::LOOK_AROUND } else { 0 };
        let mut look = || self.receiver.take_many_patiently(max, &mut spans, looks);
        let found = self.check_process().and_then(|()| self.checked(look()));
        match found.and_then(|run| run.map_or_else(|| self.last_look(looks, look), Ok)) {
            Ok(run) => Ok((run, spans)),
            Err(error) => {
                self.receiver.keeper().return_spans(spans);
                Err(self.or_lasting_cause(error))
            }
        }
    }

    /// A task has no time of its own: it is told of what has lasted.
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
        BytesFrames::new(self.receiver.keeper(), run, spans)
    }

    /// Whether the next `try_recv` may find something, or say that nothing will come.
    pub(crate) fn is_ready(&self, looks: u64) -> bool {
        match self.check_process().and_then(|()| self.checked(self.receiver.may_take(looks))) {
            Ok(false) => {
                let look = || self.receiver.may_take(looks).map(|may| may.then_some(()));
                !matches!(self.last_look(looks, look), Err(RecvError::Empty))
                    || self.lasting_cause().is_some()
            }
            _ => true,
        }
    }
}
