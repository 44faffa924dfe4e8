//! The error of a call that ends without a message, where it cannot be known whether a dead
//! participant holds one.

use std::io;
#[cfg(not(loom))]
use std::time::Duration;

use super::BytesConsumer;
use crate::error::{RecoveryFailed, RecvError};
use crate::queue::kind::{FrameStore, Kind, Receiver};

impl<K: Kind> BytesConsumer<K> {
    /// Returns a more specific error if nothing was found because recovery was not possible.
    #[inline(always)]
    pub(in crate::queue) fn or_cause(&self, error: RecvError) -> RecvError {
        let (shared, failures) = (self.receiver.store().shared(), self.receiver.recovery_failures());
        match (error, failures.and_then(|failures| failures.cause(shared))) {
            (RecvError::Empty | RecvError::Timeout, Some(cause)) => RecvError::RecoveryFailed(cause),
            (error, _) => error,
        }
    }

    /// The error that ends a call that would otherwise go on waiting.
    #[inline(always)]
    pub(super) fn lasting_cause(&self) -> Option<RecvError> {
        let (shared, failures) = (self.receiver.store().shared(), self.receiver.recovery_failures());
        failures.and_then(|failures| failures.lasting_cause(shared)).map(RecvError::RecoveryFailed)
    }

    /// Whether a call that ends now returns a more specific error than the lack of messages.
    #[cfg(not(loom))]
    pub(crate) fn has_cause(&self) -> bool {
        let shared = self.receiver.store().shared();
        self.receiver.recovery_failures().is_some_and(|failures| failures.cause(shared).is_some())
    }

    /// How long a waiter of this consumer may sleep.
    #[cfg(not(loom))]
    pub(crate) fn watch_slice(&self) -> Duration {
        self.receiver.watch_slice()
    }

    /// The kernel did not tell whether a producer is alive.
    #[cold]
    pub(super) fn not_asked(&self, source: io::Error) -> RecvError {
        let path = self.receiver.store().shared().path().to_path_buf();
        RecvError::RecoveryFailed(Box::new(RecoveryFailed {
            path,
            step: "asking for locks of producers",
            source,
        }))
    }
}
