//! The methods that only broadcast queues have, for typed ones.

use super::{Consumer, Message, Producer, Queue};
use crate::error::{AttachError, Holdup, RecoverError};
use crate::queue::{Broadcast, BroadcastStats, Recovery, Start, Subscribe};

impl<T: Message> Queue<T, Broadcast> {
    /// Attaches one of the consumers, which reads as `subscribe` says: see
    /// [`BytesQueue::consumer_with`](crate::broadcast::BytesQueue::consumer_with).
    ///
    /// # Errors
    /// Those of [`BytesQueue::consumer_with`](crate::broadcast::BytesQueue::consumer_with).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::Queue::<u64>::create(dir.path().join("q"))? };
    /// use ringway::broadcast::{Start, Subscribe};
    /// queue.producer()?.send(&7)?;
    /// let screen = queue.consumer_with(&Subscribe::lossy().from(Start::Oldest))?;
    /// assert_eq!(*screen.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer_with(&self, subscribe: &Subscribe) -> Result<Consumer<T, Broadcast>, AttachError> {
        self.bytes().consumer_with(subscribe).map(Consumer::new)
    }

    /// Runs a recovery now: see
    /// [`BytesQueue::recover`](crate::broadcast::BytesQueue::recover).
    ///
    /// # Errors
    /// Those of [`BytesQueue::recover`](crate::broadcast::BytesQueue::recover).
    pub fn recover(&self) -> Result<Recovery, RecoverError> {
        self.bytes().recover()
    }

    /// Counters since the queue was created, and the attached consumers.
    pub fn stats(&self) -> BroadcastStats {
        self.bytes().stats()
    }

    /// Returns the position of the oldest message at which a consumer may begin, a moment ago.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::Queue::<u64>::create(dir.path().join("q"))? };
    /// queue.producer()?.send(&7)?;
    /// assert_eq!((queue.oldest(), queue.newest()), (0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn oldest(&self) -> u64 {
        self.bytes().oldest()
    }

    /// Returns the position of the next message, a moment ago.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::Queue::<u64>::create(dir.path().join("q"))? };
    /// queue.producer()?.send(&7)?;
    /// assert_eq!(queue.newest(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn newest(&self) -> u64 {
        self.bytes().newest()
    }
}

impl<T: Message> Producer<T, Broadcast> {
    /// Returns the consumer that kept this producer from sending: see
    /// [`BytesProducer::holdup`](crate::broadcast::BytesProducer::holdup).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::Queue::<u64>::create(dir.path().join("q"))? };
    /// let mut producer = queue.producer()?;
    /// producer.send(&7)?;
    /// assert!(producer.holdup().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn holdup(&self) -> Option<Holdup> {
        self.bytes.holdup()
    }
}

impl<T: Message> Consumer<T, Broadcast> {
    /// Returns the position that this consumer takes next.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::Queue::<u64>::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send(&7)?;
    /// consumer.recv()?;
    /// assert_eq!(consumer.next_position(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_position(&self) -> u64 {
        self.bytes.next_position()
    }

    /// Moves this consumer within what is retained: see
    /// [`BytesConsumer::seek`](crate::broadcast::BytesConsumer::seek).
    ///
    /// # Errors
    /// Those of [`BytesConsumer::seek`](crate::broadcast::BytesConsumer::seek).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::Queue::<u64>::create(dir.path().join("q"))? };
    /// let (mut producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send(&7)?;
    /// assert_eq!(*consumer.recv()?, 7);
    /// consumer.seek(ringway::broadcast::Start::Oldest)?;
    /// assert_eq!(*consumer.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seek(&mut self, start: Start) -> Result<u64, AttachError> {
        self.bytes.seek(start)
    }

    /// Moves this consumer to the newest message: see
    /// [`BytesConsumer::latest`](crate::broadcast::BytesConsumer::latest).
    ///
    /// # Errors
    /// As [`seek`](Self::seek).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::Queue::<u64>::create(dir.path().join("q"))? };
    /// let (mut producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&[5, 6, 7])?;
    /// consumer.latest()?;
    /// assert_eq!(*consumer.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn latest(&mut self) -> Result<u64, AttachError> {
        self.bytes.latest()
    }
}
