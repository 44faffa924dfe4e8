//! The methods of every consumer and every producer that are about waiting, not about messages,
//! written once. Typed handles and those of untrusted peers have the same ones.

/// The methods of a consumer, which has a `BytesConsumer` in `engine()`.
macro_rules! consumer_controls {
    () => {
        /// Sets how this consumer waits for messages. The default is
        /// [`WaitStrategy::default`](crate::WaitStrategy).
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// let consumer = queue.consumer()?;
        /// consumer.set_wait_strategy(ringway::WaitStrategy::Park); // saves CPU time
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn set_wait_strategy(&self, wait: crate::wait::WaitStrategy) {
            self.engine().wait_config().set(wait);
        }

        /// Sets whether a signal handler that runs while this consumer sleeps ends its call with
        /// [`RecvError::Interrupted`](crate::RecvError::Interrupted). The default is false: the call
        /// goes on waiting. Signals are noticed only while the consumer sleeps, not while it spins, nor
        /// when they arrive just before it falls asleep. A signal handler of your own whose signal must
        /// not be missed calls [`Canceller::interrupt`](crate::Canceller::interrupt); for handlers of
        /// others there is [`set_interrupt_check`](Self::set_interrupt_check).
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// let consumer = queue.consumer()?;
        /// consumer.set_interruptible(true); // Ctrl-C with a handler ends `recv`
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn set_interruptible(&self, interruptible: bool) {
            self.engine().wait_config().set_interruptible(interruptible);
        }

        /// Sets a function that tells whether this consumer's waits are to end, with
        /// [`RecvError::Interrupted`](crate::RecvError::Interrupted); `None`, the default, removes it.
        /// It is called at least every 40 ms of a wait, between polls and sleeps, and when a signal
        /// ends a sleep, on the waiting thread.
        ///
        /// For programs whose signal handlers only set a flag, such as interpreters: no signal is
        /// missed, whenever it arrives, and the wait ends within 40 ms. A handler of one's own can call
        /// [`Canceller::interrupt`](crate::Canceller::interrupt) instead, which ends the wait at once
        /// and costs nothing before.
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
            self.engine().wait_config().set_interrupt_check(check);
        }

        /// Sets whether receiving returns [`RecvError::Closed`](crate::RecvError::Closed), as if the
        /// queue were closed, when every message was taken and no producer is alive, also if no
        /// producer has attached yet ([`wait_for_producer`](Self::wait_for_producer) helps). A death is
        /// noticed within 100 ms, a detachment immediately.
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        /// consumer.end_when_disconnected(true);
        /// producer.send(b"the last one")?;
        /// drop(producer);
        /// assert_eq!(consumer.iter().count(), 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn end_when_disconnected(&self, ends: bool) {
            self.engine().set_end_when_disconnected(ends);
        }

        /// Returns a handle that ends this consumer's waits from another thread or a signal handler.
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// let consumer = queue.consumer()?;
        /// let canceller = consumer.canceller();
        /// std::thread::scope(|scope| {
        ///     scope.spawn(|| canceller.cancel());
        ///     assert!(consumer.recv().unwrap_err().is_cancelled());
        /// });
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn canceller(&self) -> crate::park::Canceller {
            self.engine().new_canceller()
        }

        /// Waits until a producer is attached and alive, but no longer than `timeout`.
        ///
        /// # Errors
        /// `Timeout`, `Interrupted`, `Cancelled`; `Forked`; `Closed` if the queue is closed.
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// use std::time::Duration;
        ///
        /// let consumer = queue.consumer()?;
        /// assert!(consumer.wait_for_producer(Duration::from_millis(1)).unwrap_err().is_timeout());
        /// let producer = queue.producer()?;
        /// consumer.wait_for_producer(Duration::from_secs(10))?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn wait_for_producer(&self, timeout: std::time::Duration) -> Result<(), crate::error::RecvError> {
            self.engine().await_producer(timeout)
        }

        /// Returns whether a live process produces into this queue. Untrusted peers can make it seem so.
        ///
        /// # Errors
        /// If the kernel cannot be asked.
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// let consumer = queue.consumer()?;
        /// assert!(!consumer.has_producer()?);
        /// let producer = queue.producer()?;
        /// assert!(consumer.has_producer()?);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn has_producer(&self) -> std::io::Result<bool> {
            self.engine().is_produced_into()
        }
    };
}

/// The methods of a producer, which has a `BytesProducer` in `engine()`.
macro_rules! producer_controls {
    () => {
        /// Sets how this producer waits for room. The default is
        /// [`WaitStrategy::default`](crate::WaitStrategy).
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// let mut producer = queue.producer()?;
        /// producer.set_wait_strategy(ringway::WaitStrategy::Park); // saves CPU time
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn set_wait_strategy(&mut self, wait: crate::wait::WaitStrategy) {
            self.engine().wait_config().set(wait);
        }

        /// Sets whether a signal handler that runs while this producer sleeps ends its call with
        /// [`SendError::Interrupted`](crate::SendError::Interrupted). The default is false: the call
        /// goes on waiting. Signals are noticed only while the producer sleeps, not while it spins, nor
        /// when they arrive just before it falls asleep. A signal handler of your own whose signal must
        /// not be missed calls [`Canceller::interrupt`](crate::Canceller::interrupt); for handlers of
        /// others there is [`set_interrupt_check`](Self::set_interrupt_check).
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// let mut producer = queue.producer()?;
        /// producer.set_interruptible(true); // Ctrl-C with a handler ends `send`
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn set_interruptible(&mut self, interruptible: bool) {
            self.engine().wait_config().set_interruptible(interruptible);
        }

        /// Sets a function that tells whether this producer's waits are to end, with
        /// [`SendError::Interrupted`](crate::SendError::Interrupted); `None`, the default, removes it.
        /// It is called at least every 40 ms of a wait, between polls and sleeps, and when a signal
        /// ends a sleep, on the waiting thread. It is for programs whose signal handlers only set a
        /// flag, such as interpreters.
        ///
        /// ```
        /// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
        ///
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// static PENDING: AtomicBool = AtomicBool::new(false); // set by a signal handler
        ///
        /// let mut producer = queue.producer()?;
        /// producer.set_interrupt_check(Some(|| PENDING.swap(false, Relaxed)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn set_interrupt_check(&mut self, check: Option<fn() -> bool>) {
            self.engine().wait_config().set_interrupt_check(check);
        }

        /// Returns a handle that ends this producer's waits from another thread or a signal handler.
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// let mut producer = queue.producer()?;
        /// while producer.try_send(&[0; 1000]).is_ok() {}
        /// let canceller = producer.canceller();
        /// std::thread::scope(|scope| {
        ///     scope.spawn(|| canceller.cancel());
        ///     assert!(producer.send(&[0; 1000]).unwrap_err().is_cancelled());
        /// });
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn canceller(&self) -> crate::park::Canceller {
            self.engine().new_canceller()
        }

        /// Returns whether a live process consumes this queue. Untrusted peers can make it seem so.
        ///
        /// # Errors
        /// If the kernel cannot be asked.
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
        /// let producer = queue.producer()?;
        /// assert!(!producer.has_consumer()?);
        /// let consumer = queue.consumer()?;
        /// assert!(producer.has_consumer()?);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn has_consumer(&self) -> std::io::Result<bool> {
            self.engine().is_consumed()
        }
    };
}

pub(crate) use {consumer_controls, producer_controls};
