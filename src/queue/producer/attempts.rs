//! Attempts for tasks and wait sets, which do not wait in a call of the producer.

use super::BytesProducer;
use super::refused::lasting_cause;
use crate::lane::Refusal;
use crate::park::EventCount;
use crate::queue::kind::{Kind, Sender};
use crate::wait::Attempt;

impl<K: Kind> BytesProducer<K> {
    /// Whether a call that ends now returns a more specific error than the lack of room.
    pub(crate) fn has_cause(&self) -> bool {
        self.cause().is_some()
    }

    /// Whether a message of `len` bytes may be sent now, or can never be sent.
    pub(crate) fn is_ready(&mut self, len: usize, which: Attempt) -> bool {
        if self.check().is_err() {
            return true;
        }
        match self.sender.reserve_waiting(len, which) {
            Ok(_) => self.sender.can_commit(which),
            Err(refusal) => refusal != Refusal::Full || lasting_cause(&self.sender).is_some(),
        }
    }

    /// The eventcount on which it parks.
    pub(crate) fn event(&self) -> &EventCount {
        &self.events.room
    }
}
