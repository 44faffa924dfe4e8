//! Ending waits because of signals whose handlers belong to others.

use super::kind::Kind;
use super::owned::BytesSharedConsumer;
use crate::error::RecvError;

impl<K: Kind> BytesSharedConsumer<K> {
    /// Sets a function that tells whether waits that begin from now on are to end: see
    /// [`BytesConsumer::set_interrupt_check`](crate::kind::BytesConsumer::set_interrupt_check). Each waiting thread calls it, without the lock.
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn set_interrupt_check(&self, check: Option<fn() -> bool>) -> Result<(), RecvError> {
        self.with_consumer(|consumer| consumer.set_interrupt_check(check))
    }
}
