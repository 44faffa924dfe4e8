//! Ending waits because of signals whose handlers belong to others.

use super::consumer::BytesConsumer;
use super::kind::Kind;
use super::owned::BytesSharedConsumer;
use super::producer::BytesProducer;
use crate::error::RecvError;

impl<K: Kind> BytesConsumer<K> {
    /// Sets a function that tells whether this consumer's waits are to end, with
    /// [`RecvError::Interrupted`]; `None`, the default, removes it. It is called at least every 20 ms
    /// of a wait, between polls and sleeps, and when a signal ends a sleep, on the waiting thread.
    ///
    /// For programs whose signal handlers only set a flag, such as interpreters: no signal is missed,
    /// whenever it arrives, and the wait ends within 20 ms. A handler of one's own can call
    /// [`Canceller::interrupt`](crate::Canceller::interrupt) instead, which ends the wait at once and
    /// costs nothing before.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// static PENDING: AtomicBool = AtomicBool::new(false); // set by a signal handler
    ///
    /// let consumer = queue.consumer()?;
    /// consumer.set_interrupt_check(Some(|| PENDING.swap(false, Relaxed)));
    /// PENDING.store(true, Relaxed);
    /// assert!(matches!(consumer.recv(), Err(ringway::RecvError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_interrupt_check(&self, check: Option<fn() -> bool>) {
        self.wait_config.set_interrupt_check(check);
    }
}

impl<K: Kind> BytesProducer<K> {
    /// Sets a function that tells whether this producer's waits are to end, with
    /// [`SendError::Interrupted`](crate::SendError::Interrupted): see
    /// [`BytesConsumer::set_interrupt_check`].
    pub fn set_interrupt_check(&mut self, check: Option<fn() -> bool>) {
        self.wait_config.set_interrupt_check(check);
    }
}

impl<K: Kind> BytesSharedConsumer<K> {
    /// Sets a function that tells whether waits that begin from now on are to end: see
    /// [`BytesConsumer::set_interrupt_check`]. Each waiting thread calls it, without the lock.
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn set_interrupt_check(&self, check: Option<fn() -> bool>) -> Result<(), RecvError> {
        self.with_consumer(|consumer| consumer.set_interrupt_check(check))
    }
}
