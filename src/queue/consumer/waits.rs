//! Waits in a call of the consumer: for messages, and for a producer.

use std::time::Duration;

use super::closed::ATTEMPTS_PER_LIVENESS_CHECK;
use super::{BytesConsumer, MAX_SLEEP};
use crate::error::RecvError;
use crate::lane::Corruption;
use crate::queue::kind::{Kind, Receiver};
use crate::wait::{self, Attempt, Parking, Until, WaitConfig};

/// A producer that attaches notifies, but perhaps before its liveness lock is visible.
const PRODUCER_SLEEP: Duration = Duration::from_millis(20);

impl<K: Kind> BytesConsumer<K> {
    /// Repeats the attempt until something is found; `size` tells how many positions that takes.
    pub(super) fn wait_for<R: Copy>(
        &self,
        until: Until,
        mut attempt: impl FnMut(Attempt) -> Result<Option<R>, Corruption>,
        size: impl Fn(R) -> u64,
    ) -> Result<R, RecvError> {
        let found = self.backoff.wait(until, &self.parking(), self.receiver.position(), |which| {
            let found = self.attempt_in_wait(&self.wait_config, which, |_| attempt(which))?;
            let size = found.as_ref().map_or(0, |found| size(*found));
            Some((found, size))
        });
        self.pass_on_wake();
        found.map_err(|ended| self.or_cause(ended.into()))?
    }

    /// One attempt of a wait with this configuration. `None` if the wait goes on.
    pub(in crate::queue) fn attempt_in_wait<R>(
        &self,
        wait_config: &WaitConfig,
        which: Attempt,
        mut attempt: impl FnMut(&K::Receiver) -> Result<Option<R>, Corruption>,
    ) -> Option<Result<R, RecvError>> {
        match self.check_process().and_then(|()| self.checked(attempt(&self.receiver))) {
            Ok(None) => match self.last_attempt(which, || attempt(&self.receiver)) {
                Err(RecvError::Empty) => {
                    wait_config.set_blocked(self.receiver.is_blocked());
                    wait_config.set_watch(self.receiver.watch_slice());
                    self.lasting_cause().map(Err)
                }
                other => Some(other),
            },
            Ok(Some(found)) => Some(Ok(found)),
            Err(error) => Some(Err(error)),
        }
    }

    /// A consumer that slept may have been woken instead of another one: see "Passing on" in
    /// `crate::park`.
    fn pass_on_wake(&self) {
        if self.wait_config.take_sleep() {
            self.events.messages.pass_on(|| self.receiver.has_more());
        }
    }

    fn parking(&self) -> Parking<'_> {
        Parking { event: &self.events.messages, wait_config: &self.wait_config, max_sleep: MAX_SLEEP }
    }

    pub(crate) fn await_producer(&self, timeout: Duration) -> Result<(), RecvError> {
        let parking = Parking {
            event: &self.events.messages,
            wait_config: &self.wait_config,
            max_sleep: PRODUCER_SLEEP,
        };
        wait::wait(Until::after(timeout), 1, &parking, |which| {
            if let Err(error) = self.check_process() {
                return Some(Err(error));
            }
            if self.events.messages.is_closed() {
                return Some(Err(RecvError::Closed));
            }
            let is_asked = which.is_exact(ATTEMPTS_PER_LIVENESS_CHECK);
            match is_asked.then(|| self.has_producer())? {
                Ok(has_producer) => has_producer.then_some(Ok(())),
                Err(source) => Some(Err(self.not_asked(source))),
            }
        })?
    }
}
