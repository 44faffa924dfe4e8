//! The receiving side, in bytes.

#[cfg(not(loom))]
mod attempts;
mod causes;
mod closed;
mod many;
mod waits;

#[cfg(all(feature = "async", not(loom)))]
pub(crate) use attempts::RunOf;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::controls::consumer_controls;
use super::events::ParticipantEvents;
use super::frame::BytesFrame;
use super::kind::{FrameStore, FrameStoreOf, Kind, Receiver, TakenBy};
use super::name_watch::NameWatch;
use crate::error::{AttachError, RecvError};
use crate::lane::Corruption;
use crate::park::Canceller;
#[cfg(not(loom))]
use crate::park::EventCount;
use crate::wait::{AdaptiveBackoff, Attempt, Until, WaitConfig};

/// The consumer of a [`BytesQueue`](super::BytesQueue). Dropping it detaches it: another consumer
/// can attach.
///
/// It may be sent to another thread, but not shared between threads.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// producer.send_many(&["one", "two"])?;
/// assert!(!consumer.is_empty() && consumer.room() > 0);
/// let soon = std::time::Instant::now() + std::time::Duration::from_millis(10);
/// assert_eq!(consumer.recv_many_deadline(1, soon)?.len(), 1);
/// let shared = consumer.into_shared(); // its frames have no lifetime
/// assert_eq!(*shared.try_recv()?, *b"two");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesConsumer<K: Kind> {
    receiver: K::Receiver,
    backoff: AdaptiveBackoff,
    pub(super) wait_config: WaitConfig,
    ends_when_disconnected: Cell<bool>,
    name: NameWatch,
    /// Whether a wait also ends when no producer is alive, or when the queue is orphaned.
    ends_early: Cell<bool>,
    /// The position from which on no message had been delivered when it attached.
    pub(super) attached_at: u64,
    /// After the receiver: participants that wait are notified once what it held is requeued.
    events: ParticipantEvents,
}

/// Maximum time asleep without a dead-peer scan.
pub(super) const MAX_SLEEP: Duration = Duration::from_millis(100);
impl<K: Kind> BytesConsumer<K> {
    pub(crate) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        Self::attach_as(shared, K::attach_receiver)
    }

    /// Like `attach`, with a receiver that `attach_receiver` attaches.
    pub(super) fn attach_as(
        shared: Arc<Shared>,
        attach_receiver: impl FnOnce(Arc<Shared>) -> Result<K::Receiver, AttachError>,
    ) -> Result<Self, AttachError> {
        let events = ParticipantEvents::new(&shared);
        let name = NameWatch::new(&shared);
        let receiver = attach_receiver(shared)?;
        Ok(Self {
            attached_at: receiver.first_undelivered(),
            receiver,
            backoff: AdaptiveBackoff::default(),
            wait_config: WaitConfig::default(),
            ends_when_disconnected: Cell::new(false),
            ends_early: Cell::new(name.is_on()),
            name,
            events,
        })
    }

    /// Takes the next message, if one is there now. It is read in place and released when the frame
    /// is dropped; several frames may be held, and dropped in any order.
    ///
    /// # Errors
    /// [`RecvError::Empty`]; `Closed` if no message will come any more either.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// assert!(consumer.try_recv().unwrap_err().is_empty());
    /// producer.send(b"hello")?;
    /// assert_eq!(*consumer.try_recv()?, *b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_recv(&self) -> Result<BytesFrame<'_, K>, RecvError> {
        self.check_process()?;
        match self.checked(self.receiver.take())? {
            Some(taken) => Ok(self.frame(taken)),
            None => match self.last_attempt(Attempt::BeforePark, || self.receiver.take()) {
                Ok(taken) => Ok(self.frame(taken)),
                Err(error) => Err(self.or_cause(error)),
            },
        }
    }

    /// Takes the next message, waiting for it as long as it takes.
    ///
    /// [`set_wait_strategy`](Self::set_wait_strategy) sets how it waits. If producers may end
    /// without closing the queue, see [`end_when_disconnected`](Self::end_when_disconnected).
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), but never `Empty`; `Interrupted` and `Cancelled` if that
    /// was asked for.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send(b"hello")?;
    /// let frame = consumer.recv()?;
    /// assert_eq!(*frame, *b"hello");
    /// drop(frame); // its room is free again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn recv(&self) -> Result<BytesFrame<'_, K>, RecvError> {
        self.recv_until(Until::Forever)
    }

    /// Takes the next message, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let soon = std::time::Duration::from_millis(10);
    /// assert!(consumer.recv_timeout(soon).unwrap_err().is_timeout());
    /// producer.send(b"hello")?;
    /// assert_eq!(*consumer.recv_timeout(soon)?, *b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<BytesFrame<'_, K>, RecvError> {
        self.recv_until(Until::Within(timeout))
    }

    /// Takes the next message, waiting for it until `deadline`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let soon = std::time::Duration::from_millis(10);
    /// let deadline = std::time::Instant::now() + soon;
    /// assert!(consumer.recv_deadline(deadline).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_deadline(&self, deadline: Instant) -> Result<BytesFrame<'_, K>, RecvError> {
        self.recv_until(Until::Deadline(deadline))
    }

    /// Returns an iterator over all messages from now on. It waits for each, and ends when the
    /// queue is closed. Errors other than `Closed` are items and do not end it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&[b"one", b"two"])?;
    /// queue.close();
    /// for frame in consumer.iter() {
    ///     println!("{} bytes", frame?.len());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Result<BytesFrame<'_, K>, RecvError>> {
        std::iter::from_fn(|| match self.recv() {
            Err(RecvError::Closed) => None,
            result => Some(result),
        })
    }

    /// Returns an iterator over the messages that are there now. It does not wait, and ends when
    /// there is none. Errors other than `Empty` and `Closed` are items and do not end it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&[b"one", b"two"])?;
    /// assert_eq!(consumer.try_iter().count(), 2);
    /// assert_eq!(consumer.try_iter().count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&self) -> impl Iterator<Item = Result<BytesFrame<'_, K>, RecvError>> {
        std::iter::from_fn(|| match self.try_recv() {
            Err(RecvError::Empty | RecvError::Closed) => None,
            result => Some(result),
        })
    }

    consumer_controls!();

    fn engine(&self) -> &Self {
        self
    }

    pub(crate) fn wait_config(&self) -> &WaitConfig {
        &self.wait_config
    }

    pub(crate) fn new_canceller(&self) -> Canceller {
        self.wait_config.canceller(&self.events.messages)
    }

    pub(crate) fn set_end_when_disconnected(&self, ends: bool) {
        self.ends_when_disconnected.set(ends);
        self.ends_early.set(ends || self.name.is_on());
    }

    pub(crate) fn is_produced_into(&self) -> std::io::Result<bool> {
        self.receiver.has_producer()
    }

    /// A task has found a message of which a notification told it, and no other waiter is left in
    /// this process: the notification may have been meant for other participants, too.
    #[cfg(all(feature = "async", not(loom)))]
    pub(crate) fn pass_on_notification(&self) {
        self.events.messages.pass_on(|| self.receiver.has_more());
    }

    /// The eventcount on which it parks.
    #[cfg(not(loom))]
    pub(crate) fn event(&self) -> &EventCount {
        &self.events.messages
    }

    /// Whether its task attempts after every wake, and not only when it is its turn: each message is for
    /// every consumer, or its waits also end when no producer is alive, or when the queue is orphaned.
    #[cfg(all(feature = "async", not(loom)))]
    pub(crate) fn attempts_after_every_wake(&self) -> bool {
        K::WAKES_ALL || self.ends_early.get()
    }

    #[inline(always)]
    fn recv_until(&self, until: Until) -> Result<BytesFrame<'_, K>, RecvError> {
        // If nothing is there, the wait checks the rest.
        self.check_process()?;
        match self.checked(self.receiver.take_waiting(Attempt::FIRST))? {
            Some(taken) => Ok(self.frame(taken)),
            None => self.wait_for_frame(until).map(|taken| self.frame(taken)),
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_for_frame(&self, until: Until) -> Result<TakenBy<K::Receiver>, RecvError> {
        self.wait_for(until, |which| self.receiver.take_waiting(which), FrameStoreOf::<K>::size)
    }

    /// The position of this consumer, and its queue.
    pub(super) fn place(&self) -> (u64, &Shared) {
        (self.receiver.position(), self.receiver.store().shared())
    }

    pub(super) fn receiver(&self) -> &K::Receiver {
        &self.receiver
    }

    pub(super) fn receiver_mut(&mut self) -> &mut K::Receiver {
        &mut self.receiver
    }

    #[inline(always)]
    pub(crate) fn frame(&self, taken: TakenBy<K::Receiver>) -> BytesFrame<'_, K> {
        BytesFrame::new(self.receiver.store(), taken)
    }

    #[inline(always)]
    pub(super) fn checked<R>(&self, result: Result<R, Corruption>) -> Result<R, RecvError> {
        result.map_err(|corruption| self.corrupted(corruption))
    }

    #[cold]
    #[inline(never)]
    fn corrupted(&self, corruption: Corruption) -> RecvError {
        RecvError::Corrupted(self.receiver.store().shared().corrupted(corruption))
    }
}

impl<K: Kind> std::fmt::Debug for BytesConsumer<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BytesConsumer")
            .field("path", &self.receiver.store().shared().path())
            .field("position", &self.receiver.position())
            .finish()
    }
}
