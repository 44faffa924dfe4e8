//! Where messages stand in the queue's order: see the methods of the byte handles.

use super::{Consumer, Frame, Frames, Message, Producer, Queue};
use crate::queue::Kind;

impl<T: Message, K: Kind> Queue<T, K> {
    /// Returns the alignment of each message in bytes: see
    /// [`BytesQueue::alignment`](crate::kind::BytesQueue::alignment).
    pub fn alignment(&self) -> usize {
        self.bytes().alignment()
    }
}

impl<T: Message, K: Kind> Producer<T, K> {
    /// Returns the position after everything that this producer has committed: see
    /// [`BytesProducer::position`](crate::kind::BytesProducer::position).
    pub fn position(&self) -> u64 {
        self.bytes.position()
    }
}

impl<T: Message, K: Kind> Consumer<T, K> {
    /// Returns the position from which on no message had been delivered when this consumer
    /// attached: see [`BytesConsumer::attached_at`](crate::kind::BytesConsumer::attached_at).
    pub fn attached_at(&self) -> u64 {
        self.bytes.attached_at()
    }
}

impl<T: Message, K: Kind> Frame<'_, T, K> {
    /// Returns the position of the message in the queue's order: see
    /// [`BytesFrame::position`](crate::kind::BytesFrame::position).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::Queue::<u64>::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&[7, 8])?;
    /// assert_eq!(consumer.recv()?.position(), 0);
    /// assert_eq!(consumer.recv()?.position(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn position(&self) -> u64 {
        self.bytes().position()
    }
}

impl<T: Message, K: Kind> Frames<'_, T, K> {
    /// Returns the [position](Frame::position) of each message, in the order of
    /// [`iter`](Self::iter).
    pub fn positions(&self) -> impl Iterator<Item = u64> + '_ {
        self.bytes.positions()
    }
}
