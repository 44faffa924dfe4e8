//! The sending side, in bytes.

#[cfg(not(loom))]
mod attempts;
mod refused;
mod reserve;
mod room_wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::controls::producer_controls;
use super::events::ParticipantEvents;
use super::kind::{Kind, Sender};
use super::name_watch::NameWatch;
use super::reserved_frame::BytesBatch;
use super::{Schema, Shared};
use crate::error::{AttachError, SendError};
use crate::lane::Reserved;
use crate::layout::Framing;
use crate::park::Canceller;
use crate::prefetch;
use crate::shm::fork::ForkGuard;
use crate::wait::WaitConfig;
#[cfg(all(test, not(loom)))]
pub(super) use room_wait::AMPLE_ROOM_WAIT;

/// The producer of a [`BytesQueue`](super::BytesQueue). Dropping it detaches it: another producer
/// can attach. The messages that it sent stay.
///
/// ```
/// use std::time::{Duration, Instant};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let mut producer = queue.producer()?;
/// assert!(producer.is_empty() && producer.room() > 0 && producer.max_message() > 100);
/// let soon = Duration::from_millis(10);
/// for frame in [producer.reserve(5)?.commit(), producer.reserve_timeout(5, soon)?.commit()] {
///     frame?;
/// }
/// producer.reserve_deadline(5, Instant::now() + soon)?.commit()?;
/// assert!(producer.len() > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesProducer<K: Kind> {
    pub(super) sender: K::Sender,
    /// The fork guard of the process, or one that is never intact if each message takes the slow
    /// path.
    guard: ForkGuard,
    name: NameWatch,
    pub(super) wait_config: WaitConfig,
    /// After the sender: consumers that wait for the end of producers are notified once this one
    /// has detached.
    events: ParticipantEvents,
}

impl<K: Kind> BytesProducer<K> {
    pub(crate) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let events = ParticipantEvents::new(&shared);
        let name = NameWatch::new(&shared);
        let guard = if name.is_on() { ForkGuard::never_intact() } else { shared.guard() };
        let sender = K::attach_sender(shared)?;
        events.notify_all();
        Ok(Self { sender, guard, name, wait_config: WaitConfig::default(), events })
    }

    /// Sends a copy of `message` if there is room now.
    ///
    /// # Errors
    /// [`SendError::Full`]; `TooLarge` or `WrongLength` if the message can never be sent.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// while producer.try_send(&[0; 1000]).is_ok() {}
    /// assert!(producer.try_send(&[0; 1000]).unwrap_err().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let mut claim = self.try_reserve(message.len())?;
        prefetch::copy(message, &mut claim);
        claim.commit()
    }

    /// Sends a copy of `message`, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send(b"hello")?;
    /// assert_eq!(*consumer.recv()?, *b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let mut claim = self.reserve(message.len())?;
        prefetch::copy(message, &mut claim);
        claim.commit()
    }

    /// Sends a copy of `message`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), with `Timeout` instead of `Full`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let soon = std::time::Duration::from_millis(10);
    /// while producer.try_send(&[0; 1000]).is_ok() {}
    /// assert!(producer.send_timeout(&[0; 1000], soon).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<(), SendError> {
        let mut claim = self.reserve_timeout(message.len(), timeout)?;
        prefetch::copy(message, &mut claim);
        claim.commit()
    }

    /// Sends a copy of `message`, waiting for room until `deadline`.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), with `Timeout` instead of `Full`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let soon = std::time::Duration::from_millis(10);
    /// while producer.try_send(&[0; 1000]).is_ok() {}
    /// let deadline = std::time::Instant::now() + soon;
    /// assert!(producer.send_deadline(&[0; 1000], deadline).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_deadline(&mut self, message: &[u8], deadline: Instant) -> Result<(), SendError> {
        let mut claim = self.reserve_deadline(message.len(), deadline)?;
        prefetch::copy(message, &mut claim);
        claim.commit()
    }

    /// Sends as many of `messages` as there is room for, in order and in one commit: after a crash
    /// either all of them exist or none (MPMC: the first few; and at most 255 in one call). Returns
    /// how many.
    ///
    /// # Errors
    /// [`SendError::Full`] if there is no room for the first one; as [`try_send`](Self::try_send)
    /// if the first one can never be sent. A later one that can never be sent ends the batch before
    /// it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// assert_eq!(producer.try_send_many(&["one", "two"])?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_send_many<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> Result<usize, SendError> {
        let mut batch = self.batch()?;
        for message in messages {
            match batch.push(message.as_ref()) {
                Ok(()) => {}
                Err(error) if batch.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        batch.publish(false)
    }

    /// Sends all of `messages` in order, in as few commits as the room allows, waiting as long as
    /// it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`; the messages before the one that cannot
    /// be sent are sent.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&["one", "two"])?;
    /// assert_eq!(*consumer.recv()?, *b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_many<M: AsRef<[u8]>>(&mut self, mut messages: &[M]) -> Result<(), SendError> {
        while let Some((first, rest)) = messages.split_first() {
            match self.try_send_many(messages) {
                Ok(sent) => messages = &messages[sent..],
                Err(SendError::Full) => {
                    self.send(first.as_ref())?;
                    messages = rest;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Begins a batch: several frames that are committed together.
    ///
    /// # Errors
    /// [`SendError::Forked`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let mut batch = producer.batch()?;
    /// for i in 0..10_u8 {
    ///     batch.try_reserve(8)?.fill(i);
    /// }
    /// assert!(consumer.try_recv().is_err(), "nothing is committed yet");
    /// assert_eq!(batch.commit()?, 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn batch(&mut self) -> Result<BytesBatch<'_, K>, SendError> {
        self.check()?;
        let staged = self.sender.begin();
        Ok(BytesBatch::new(self, staged))
    }

    pub(super) fn queue(&self) -> &Shared {
        self.sender.shared()
    }

    pub(crate) fn is_consumed(&self) -> std::io::Result<bool> {
        self.sender.has_consumer()
    }

    /// Returns the bytes of the largest message that the queue takes.
    pub fn max_message(&self) -> usize {
        self.sender.shared().geometry().max_message() as usize
    }

    producer_controls!();

    fn engine(&self) -> &Self {
        self
    }

    pub(crate) fn wait_config(&self) -> &WaitConfig {
        &self.wait_config
    }

    pub(crate) fn new_canceller(&self) -> Canceller {
        self.wait_config.canceller(&self.events.room)
    }

    /// Whether messages of this queue may be nested to any depth.
    pub(crate) fn is_recursive(&self) -> bool {
        self.schema().is_recursive
    }

    /// The schema of the queue's messages.
    pub(crate) fn schema(&self) -> &Schema {
        self.sender.shared().schema()
    }

    #[inline(always)]
    pub(crate) fn sender(&mut self) -> &mut K::Sender {
        &mut self.sender
    }

    #[inline(always)]
    pub(crate) fn payload(&self, reserved: Reserved) -> *mut u8 {
        self.sender.payload(reserved)
    }

    /// Whether all messages have one length.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.sender.shared().geometry().framing, Framing::Fixed { .. })
    }
}

impl<K: Kind> std::fmt::Debug for BytesProducer<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BytesProducer")
            .field("path", &self.sender.shared().path())
            .field("position", &self.sender.position())
            .finish()
    }
}
