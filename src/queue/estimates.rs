//! How many messages are in a queue, and how much room is left: estimates of a moment, for humans
//! and for decisions that may be wrong.

use super::kind::{FrameStore, Kind, Receiver};
use super::{BytesConsumer, BytesProducer, BytesQueue};

impl<K: Kind> BytesQueue<K> {
    /// Returns how many messages wait for a consumer, including those to be redelivered; messages
    /// in flight do not count. SPSC with variable-size messages: how many **bytes of ring** they
    /// take, headers included, since the messages are not counted there.
    ///
    /// It is an estimate: peers continue meanwhile. MPMC counts positions that are claimed and not
    /// committed yet, or were left by producers that died, and reads all slots if a message was ever
    /// rejected. It is never more than the maximum of messages.
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

    /// Returns whether no message waits for a consumer. An estimate, like [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many more messages there is room for. SPSC with variable-size messages: how many
    /// **bytes of ring** are free; a message takes eight bytes more than its own, rounded up to the
    /// alignment. MPMC: variable-size messages share each producer's lane, which may be full
    /// before.
    ///
    /// It is an estimate: peers continue meanwhile.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// let options = ringway::CreateOptions::new().ring_bytes(64).framing(ringway::Framing::Fixed(8));
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
    /// Returns the backlog, like [`BytesQueue::len`], in the same units.
    pub fn len(&self) -> u64 {
        K::waiting(self.queue())
    }

    /// Returns whether no message waits for a consumer. An estimate, like [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the free room, like [`BytesQueue::room`], in the same units.
    pub fn room(&self) -> u64 {
        K::room(self.queue())
    }
}

impl<K: Kind> BytesConsumer<K> {
    /// Returns the backlog, like [`BytesQueue::len`], in the same units. SPSC: including what this
    /// consumer has rejected.
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

    /// Returns whether no message waits for a consumer. An estimate, like [`len`](Self::len): a
    /// message may arrive in the next moment.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the free room for producers, like [`BytesQueue::room`], in the same units.
    pub fn room(&self) -> u64 {
        K::room(self.receiver().store().shared())
    }
}
