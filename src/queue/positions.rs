//! Where messages stand in the queue's order, for programs that remember how far they have come: a
//! bridge to another machine, a consumer with a journal.

use super::BytesQueue;
use super::consumer::BytesConsumer;
use super::frame::BytesFrames;
use super::kind::{FrameStore, Kind, Sender};
use super::producer::BytesProducer;

impl<K: Kind> BytesQueue<K> {
    /// Returns the alignment of each message in bytes, a power of two: the address of its first
    /// byte is a multiple of it, in every process.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// use ringway::spsc::BytesQueue;
    /// # let name = dir.path().join("q");
    /// // SAFETY: every process that can write this file uses ringway.
    /// let queue = unsafe { BytesQueue::create(&name)? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send(b"hello")?;
    /// let frame = consumer.recv()?;
    /// assert_eq!(frame.as_ptr().addr() % queue.alignment(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn alignment(&self) -> usize {
        self.shared.geometry().align as usize
    }
}

impl<K: Kind> BytesProducer<K> {
    /// Returns the position after everything that this producer has committed: each of its earlier
    /// messages has a lower [position](super::BytesFrame::position), and each later one this or a
    /// higher one.
    ///
    /// SPSC: the position of the next message, exactly. It includes what earlier producers
    /// committed, also one that was killed right after a commit, and a new producer continues
    /// there. So a program that writes the position down before a commit can tell after a crash
    /// whether it was made: then the position is higher. MPMC: a lower bound, since other producers
    /// take positions too.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let before = producer.position();
    /// producer.send(b"hello")?;
    /// drop(producer);
    ///
    /// assert!(queue.producer()?.position() > before, "it was committed");
    /// assert_eq!(consumer.recv()?.position(), before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn position(&self) -> u64 {
        self.sender.position()
    }
}

impl<K: Kind> BytesConsumer<K> {
    /// Returns the position from which on no message had been delivered when this consumer
    /// attached. A message with a lower [position](super::BytesFrame::position) was delivered to an
    /// earlier consumer (MPMC: or to another one) and comes again.
    ///
    /// SPSC: these come first, in order. MPMC: those that were waiting come first, in any order; more
    /// come whenever another consumer dies or rejects. A program that needs the order takes all that
    /// are before this position, until it gets one that is not, or none, and sorts them.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let mut producer = queue.producer()?;
    /// producer.send_many(&[b"one", b"two"])?;
    /// let earlier = queue.consumer()?;
    /// std::mem::forget(earlier.recv()?); // not released
    /// drop(earlier);
    ///
    /// let consumer = queue.consumer()?;
    /// assert!(consumer.recv()?.position() < consumer.attached_at(), "`one` comes again");
    /// assert!(consumer.recv()?.position() >= consumer.attached_at(), "`two` is new");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attached_at(&self) -> u64 {
        self.attached_at
    }
}

impl<K: Kind> BytesFrames<'_, K> {
    /// Returns the [position](super::BytesFrame::position) of each message, in the order of
    /// [`iter`](Self::iter).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&[b"one", b"two"])?;
    /// assert_eq!(consumer.recv_many(10)?.positions().collect::<Vec<_>>(), [0, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn positions(&self) -> impl Iterator<Item = u64> + '_ {
        self.store.run_positions(self.run, &self.spans)
    }
}
