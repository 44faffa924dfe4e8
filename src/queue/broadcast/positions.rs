//! Positions: what is retained, where a consumer stands, and moving it; who holds producers up.

use super::BroadcastRing;
use super::subscribe::Start;
use crate::error::{AttachError, Holdup};
use crate::queue::kind::{Broadcast, Receiver as _, Sender as _};
use crate::queue::mpmc::mapping::MappedRing as _;
use crate::queue::{BytesConsumer, BytesProducer, BytesQueue};

impl BytesQueue<Broadcast> {
    /// Returns the position of the oldest message at which a consumer may begin, a moment ago.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// queue.producer()?.send_many(&["one", "two"])?;
    /// assert_eq!((queue.oldest(), queue.newest()), (0, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn oldest(&self) -> u64 {
        BroadcastRing::of(self.shared()).oldest()
    }

    /// Returns the position of the next message, a moment ago: one more than that of the newest.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// queue.producer()?.send(b"one")?;
    /// assert_eq!(queue.newest(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn newest(&self) -> u64 {
        BroadcastRing::of(self.shared()).newest()
    }
}

impl BytesProducer<Broadcast> {
    /// Returns the consumer that kept this producer from sending, if its last attempt found one in the
    /// way that is there still.
    ///
    /// ```
    /// use ringway::CreateOptions;
    /// use ringway::broadcast::BytesQueue;
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create_with(&name, &CreateOptions::new().max_messages(2))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&["one", "two"])?;
    /// assert!(producer.try_send(b"three").unwrap_err().is_full());
    /// let holdup = producer.holdup().expect("the consumer has read nothing");
    /// assert_eq!((holdup.pid, holdup.position), (std::process::id(), 0));
    /// consumer.recv()?;
    /// assert!(producer.holdup().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn holdup(&self) -> Option<Holdup> {
        self.sender.holdup()
    }
}

impl BytesConsumer<Broadcast> {
    /// Returns the position that this consumer takes next.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send(b"one")?;
    /// assert_eq!(consumer.recv()?.position(), 0);
    /// assert_eq!(consumer.next_position(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_position(&self) -> u64 {
        self.receiver().position()
    }

    /// Moves this consumer, forwards or backwards within what is retained; messages that it has
    /// rejected are given up. Returns the position that it takes next. If it was to go to a position
    /// that is not retained any more, the next call returns [`Lagged`](crate::RecvError::Lagged), with
    /// what it had missed before and was not told yet.
    ///
    /// # Errors
    /// [`AttachError::NotReached`] for a position that does not exist yet, and in a forked child. The
    /// consumer stays where it is.
    ///
    /// ```
    /// use ringway::broadcast::Start;
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&["one", "two", "three"])?;
    /// assert_eq!(consumer.seek(Start::Last(1))?, 2);
    /// assert_eq!(*consumer.recv()?, *b"three");
    /// consumer.seek(Start::At(0))?;
    /// assert_eq!(*consumer.recv()?, *b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seek(&mut self, start: Start) -> Result<u64, AttachError> {
        self.receiver_mut().seek(start)
    }

    /// Moves this consumer to the newest message, if there is one that it has not taken: the next call
    /// takes that. Returns how many messages it has skipped, with what it had missed before and was not
    /// told yet.
    ///
    /// # Errors
    /// As [`seek`](Self::seek).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, mut consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&["one", "two", "three"])?;
    /// assert_eq!(consumer.latest()?, 2);
    /// assert_eq!(*consumer.recv()?, *b"three");
    /// assert_eq!(consumer.latest()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn latest(&mut self) -> Result<u64, AttachError> {
        let next = self.receiver().position();
        let newest = self.receiver().newest();
        let skipped = match newest.saturating_sub(next) {
            0 | 1 => 0,
            _ => self.receiver_mut().seek(Start::Last(1))?.saturating_sub(next),
        };
        // Last: if the seek fails, it is still to be reported.
        Ok(skipped.saturating_add(self.receiver().lag().unwrap_or(0)))
    }
}
