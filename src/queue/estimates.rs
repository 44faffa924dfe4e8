//! How much is in a queue, and how much room is left: estimates of a moment, for people and for decisions that may be wrong.

use super::kind::{FrameStore, Kind, Receiver};
use super::{BytesConsumer, BytesProducer, BytesQueue};

impl<K: Kind> BytesQueue<K> {
    /// How many messages wait for a consumer, those to be delivered again included; what consumers hold does not count. SPSC with
    /// messages of any size: how many **bytes of ring** they take, headers included, for nothing counts the messages there.
    ///
    /// It is an estimate: peers go on meanwhile. MPMC counts positions that are claimed and not committed yet, and reads all
    /// slots if a message has ever been put back.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// assert!(queue.is_empty());
    /// producer.send_many(&[b"one", b"two"])?;
    /// assert_eq!((queue.len(), producer.len(), consumer.len()), (2, 2, 2));
    /// let held = consumer.recv()?;
    /// assert_eq!(queue.len(), 1);
    /// # drop(held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> u64 {
        K::waiting(self.shared())
    }

    /// Whether no message waits for a consumer. An estimate, as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many more messages there is room for. SPSC with messages of any size: how many **bytes of ring** are free; a message
    /// takes eight bytes more than its own, rounded up to the alignment. MPMC: messages of any size share each producer's lane,
    /// which may be full before.
    ///
    /// It is an estimate: peers go on meanwhile.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// let options = ringway::Options::new().ring_bytes(64).fixed_len(8);
    /// // SAFETY: every process that can write this file uses ringway.
    /// let queue = unsafe { ringway::spsc::BytesQueue::create_with(&name, &options)? };
    /// assert_eq!(queue.room(), 8);
    /// queue.producer()?.send(&[0; 8])?;
    /// assert_eq!(queue.room(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn room(&self) -> u64 {
        K::room(self.shared())
    }
}

impl<K: Kind> BytesProducer<K> {
    /// How much waits for a consumer: as [`BytesQueue::len`], with the same units.
    pub fn len(&self) -> u64 {
        K::waiting(self.queue())
    }

    /// Whether no message waits for a consumer. An estimate, as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much room there is: as [`BytesQueue::room`], with the same units.
    pub fn room(&self) -> u64 {
        K::room(self.queue())
    }
}

impl<K: Kind> BytesConsumer<K> {
    /// How much waits for a consumer: as [`BytesQueue::len`], with the same units. SPSC: with what this consumer has put back.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&[b"one", b"two"])?;
    /// consumer.recv()?.reject();
    /// assert_eq!(consumer.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> u64 {
        self.receiver().waiting()
    }

    /// Whether no message waits for a consumer. An estimate, as [`len`](Self::len): a message may come in the next moment.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much room there is for producers: as [`BytesQueue::room`], with the same units.
    pub fn room(&self) -> u64 {
        K::room(self.receiver().store().shared())
    }
}
