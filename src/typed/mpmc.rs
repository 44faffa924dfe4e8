//! The methods that only MPMC queues have, for typed ones.

use super::{Consumer, Frame, Message, Queue, SharedConsumer};
use std::time::Duration;

use crate::error::{OpenError, RecoverError, TaskError};
use crate::queue::{DeadLetter, Mpmc, MpmcKind, Recovery, Stats};

impl<T: Message, K: MpmcKind> Queue<T, K> {
    /// Runs a recovery now: finds dead participants and removes their residue. See
    /// [`BytesQueue::recover`](crate::kind::BytesQueue::recover).
    ///
    /// # Errors
    /// Those of [`BytesQueue::recover`](crate::kind::BytesQueue::recover).
    pub fn recover(&self) -> Result<Recovery, RecoverError> {
        self.bytes().recover()
    }

    /// Counters since the queue was created, and the attached participants.
    pub fn stats(&self) -> Stats {
        self.bytes().stats()
    }

    /// Returns how many messages are not done: see
    /// [`BytesQueue::unfinished`](crate::kind::BytesQueue::unfinished).
    ///
    /// # Errors
    /// Those of [`BytesQueue::unfinished`](crate::kind::BytesQueue::unfinished).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::Queue::<u32>::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(&7)?;
    /// assert_eq!(queue.unfinished()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unfinished(&self) -> Result<u64, TaskError> {
        self.bytes().unfinished()
    }

    /// Waits until all messages that were sent are done: see
    /// [`BytesQueue::join`](crate::kind::BytesQueue::join).
    ///
    /// # Errors
    /// Those of [`BytesQueue::join`](crate::kind::BytesQueue::join).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::Queue::<u32>::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(&7)?;
    /// let consumer = queue.consumer()?;
    /// std::thread::spawn(move || {
    ///     let job = consumer.recv().unwrap();
    ///     assert_eq!(*job, 7); // ... or other work ...
    ///     consumer.task_done().unwrap();
    /// });
    /// queue.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self) -> Result<(), TaskError> {
        self.bytes().join()
    }

    /// Waits until all messages that were sent are done, for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`BytesQueue::join_timeout`](crate::kind::BytesQueue::join_timeout).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::Queue::<u32>::create(dir.path().join("jobs"))? };
    /// queue.join_timeout(std::time::Duration::ZERO)?; // nothing was sent
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), TaskError> {
        self.bytes().join_timeout(timeout)
    }
}

impl<T: Message, K: MpmcKind> Consumer<T, K> {
    /// Declares one message done: see
    /// [`BytesConsumer::task_done`](crate::kind::BytesConsumer::task_done).
    ///
    /// # Errors
    /// Those of [`BytesConsumer::task_done`](crate::kind::BytesConsumer::task_done).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::Queue::<u32>::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(&7)?;
    /// let consumer = queue.consumer()?;
    /// let job = consumer.recv()?;
    /// consumer.task_done()?; // before the frame is released
    /// # drop(job);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_done(&self) -> Result<(), TaskError> {
        self.bytes.task_done()
    }
}

impl<T: Message, K: MpmcKind> SharedConsumer<T, K> {
    /// Declares one message done: see
    /// [`BytesConsumer::task_done`](crate::kind::BytesConsumer::task_done).
    ///
    /// # Errors
    /// Those of [`BytesConsumer::task_done`](crate::kind::BytesConsumer::task_done).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::Queue::<u32>::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(&7)?;
    /// let consumer = queue.consumer()?.into_shared();
    /// let job = consumer.recv()?;
    /// consumer.task_done()?; // before the frame is released
    /// # drop(job);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_done(&self) -> Result<(), TaskError> {
        self.bytes().task_done()
    }
}

impl<T: Message> Queue<T, Mpmc> {
    /// Opens the queue that holds this one's dead letters: see
    /// [`BytesQueue::dead_letters`](crate::kind::BytesQueue::dead_letters).
    ///
    /// # Errors
    /// Those of [`BytesQueue::dead_letters`](crate::kind::BytesQueue::dead_letters).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let options = ringway::CreateOptions::new().max_redeliveries(1);
    /// # let queue = unsafe { ringway::mpmc::Queue::<u64>::create_with(dir.path().join("jobs"), &options)? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// # producer.send(&7)?;
    /// # (0..2).try_for_each(|_| consumer.recv().map(|frame| frame.reject()))?;
    /// # assert!(consumer.try_recv().is_err());
    /// let letters = queue.dead_letters()?.consumer()?;
    /// let letter = letters.recv()?;
    /// assert_eq!(letter.dead_letter().expect("a dead letter").redeliveries, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(&self) -> Result<Self, OpenError> {
        self.bytes().dead_letters().map(Self::from_bytes)
    }
}

impl<T: Message> Frame<'_, T, Mpmc> {
    /// The origin of the message, in a dead-letter queue; otherwise `None`.
    pub fn dead_letter(&self) -> Option<DeadLetter> {
        self.bytes().dead_letter()
    }
}
