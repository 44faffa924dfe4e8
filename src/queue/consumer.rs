//! The receiving side, in bytes.

#[cfg(not(loom))]
mod attempts;
mod causes;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::controls::consumer_controls;
use super::events::ParticipantEvents;
use super::frame::{BytesFrame, BytesFrames};
#[cfg(all(feature = "async", not(loom)))]
use super::kind::Engine;
use super::kind::{FrameStore, FrameStoreOf, Kind, Receiver, RunBy, SpansOf, TakenBy};
use super::name_watch::NameWatch;
use crate::error::{AttachError, RecvError};
use crate::lane::Corruption;
use crate::park::Canceller;
#[cfg(not(loom))]
use crate::park::EventCount;
use crate::wait::{self, AdaptiveBackoff, Attempt, Parking, Until, WaitConfig};

/// The consumer of a [`BytesQueue`](super::BytesQueue). Dropping it detaches it: another consumer
/// can attach.
///
/// It may be sent to another thread, but not shared between threads.
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

/// Messages that were taken together, and their spans.
#[cfg(all(feature = "async", not(loom)))]
pub(crate) type RunOf<K> = (RunBy<<K as Engine>::Receiver>, SpansOf<<K as Engine>::Receiver>);

/// Maximum time asleep without a dead-peer scan.
pub(super) const MAX_SLEEP: Duration = Duration::from_millis(100);
/// A producer that attaches notifies, but perhaps before its liveness lock is visible.
const PRODUCER_SLEEP: Duration = Duration::from_millis(20);
/// Checking liveness is a system call: while spinning, one attempt in this number does it.
const ATTEMPTS_PER_LIVENESS_CHECK: u64 = 1024;

impl<K: Kind> BytesConsumer<K> {
    pub(crate) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let events = ParticipantEvents::new(&shared);
        let name = NameWatch::new(&shared);
        let receiver = K::attach_receiver(shared)?;
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

    /// Takes up to `max` messages that are there now, in one guard that releases them together.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is none, or if `max` is 0.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&[b"one", b"two"])?;
    /// let frames = consumer.try_recv_many(100)?;
    /// assert_eq!(frames.iter().collect::<Vec<_>>(), [b"one", b"two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_recv_many(&self, max: usize) -> Result<BytesFrames<'_, K>, RecvError> {
        self.recv_many_as(max, None)
    }

    /// Takes up to `max` messages, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// As [`try_recv_many`](Self::try_recv_many), but never `Empty`.
    ///
    /// # Panics
    /// If `max` is 0.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&["one", "two", "three"])?;
    /// let frames = consumer.recv_many(2)?;
    /// assert_eq!(frames.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn recv_many(&self, max: usize) -> Result<BytesFrames<'_, K>, RecvError> {
        assert!(max > 0, "recv_many needs to be allowed at least one message");
        self.recv_many_as(max, Some(Until::Forever))
    }

    /// Takes up to `max` messages, waiting for the first for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv_many`](Self::try_recv_many), with `Timeout` instead of `Empty`.
    ///
    /// # Panics
    /// If `max` is 0.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let soon = std::time::Duration::from_millis(10);
    /// assert!(consumer.recv_many_timeout(2, soon).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn recv_many_timeout(&self, max: usize, timeout: Duration) -> Result<BytesFrames<'_, K>, RecvError> {
        assert!(max > 0, "recv_many_timeout needs to be allowed at least one message");
        self.recv_many_as(max, Some(Until::Within(timeout)))
    }

    /// Takes up to `max` messages, waiting for the first until `deadline`.
    ///
    /// # Errors
    /// As [`try_recv_many`](Self::try_recv_many), with `Timeout` instead of `Empty`.
    ///
    /// # Panics
    /// If `max` is 0.
    pub fn recv_many_deadline(&self, max: usize, deadline: Instant) -> Result<BytesFrames<'_, K>, RecvError> {
        assert!(max > 0, "recv_many_deadline needs to be allowed at least one message");
        self.recv_many_as(max, Some(Until::Deadline(deadline)))
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

    pub(crate) fn await_producer(&self, timeout: Duration) -> Result<(), RecvError> {
        let parking = Parking {
            event: &self.events.messages,
            wait_config: &self.wait_config,
            max_sleep: PRODUCER_SLEEP,
        };
        wait::wait(Until::after(timeout), 1, &parking, |which| {
            if let Err(error) = self.check_process() {
                return Some(Err(error));
            }
            if self.events.messages.is_closed() {
                return Some(Err(RecvError::Closed));
            }
            let is_asked = which.is_exact(ATTEMPTS_PER_LIVENESS_CHECK);
            match is_asked.then(|| self.has_producer())? {
                Ok(has_producer) => has_producer.then_some(Ok(())),
                Err(source) => Some(Err(self.not_asked(source))),
            }
        })?
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

    /// Whether its waits also end when no producer is alive, or when the queue is orphaned.
    #[cfg(all(feature = "async", not(loom)))]
    pub(crate) fn ends_when_disconnected(&self) -> bool {
        self.ends_early.get()
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

    /// Takes up to `max` messages; waits for the first if there is an `until`.
    #[inline(always)]
    fn recv_many_as(&self, max: usize, until: Option<Until>) -> Result<BytesFrames<'_, K>, RecvError> {
        let store = self.receiver.store();
        let mut spans = store.lend_spans();
        let result = match (self.try_take_many(max, &mut spans, until.is_some()), until) {
            (Ok(Some(run)), _) => Ok(run),
            (Ok(None), Some(until)) => self.wait_for_run(max, &mut spans, until),
            (Ok(None), None) => self
                .last_attempt(Attempt::BeforePark, || self.receiver.take_many(max, &mut spans))
                .map_err(|error| self.or_cause(error)),
            (Err(error), _) => Err(error),
        };
        match result {
            Ok(run) => Ok(BytesFrames::new(store, run, spans)),
            Err(error) => {
                store.return_spans(spans);
                Err(error)
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_for_run(
        &self,
        max: usize,
        spans: &mut SpansOf<K::Receiver>,
        until: Until,
    ) -> Result<RunBy<K::Receiver>, RecvError> {
        let attempt = |which| self.receiver.take_many_waiting(max, spans, which);
        self.wait_for(until, attempt, FrameStoreOf::<K>::run_size)
    }

    /// Repeats the attempt until something is found; `size` tells how many positions that takes.
    fn wait_for<R: Copy>(
        &self,
        until: Until,
        mut attempt: impl FnMut(Attempt) -> Result<Option<R>, Corruption>,
        size: impl Fn(R) -> u64,
    ) -> Result<R, RecvError> {
        let found = self.backoff.wait(until, &self.parking(), self.receiver.position(), |which| {
            let found = self.attempt_in_wait(&self.wait_config, which, |_| attempt(which))?;
            let size = found.as_ref().map_or(0, |found| size(*found));
            Some((found, size))
        });
        self.pass_on_wake();
        found.map_err(|ended| self.or_cause(ended.into()))?
    }

    /// One attempt of a wait with this configuration. `None` if the wait goes on.
    pub(super) fn attempt_in_wait<R>(
        &self,
        wait_config: &WaitConfig,
        which: Attempt,
        mut attempt: impl FnMut(&K::Receiver) -> Result<Option<R>, Corruption>,
    ) -> Option<Result<R, RecvError>> {
        match self.check_process().and_then(|()| self.checked(attempt(&self.receiver))) {
            Ok(None) => match self.last_attempt(which, || attempt(&self.receiver)) {
                Err(RecvError::Empty) => {
                    wait_config.set_blocked(self.receiver.is_blocked());
                    wait_config.set_watch(self.receiver.watch_slice());
                    self.lasting_cause().map(Err)
                }
                other => Some(other),
            },
            Ok(Some(found)) => Some(Ok(found)),
            Err(error) => Some(Err(error)),
        }
    }

    /// A consumer that slept may have been woken instead of another one: see "Passing on" in
    /// `crate::park`.
    fn pass_on_wake(&self) {
        if self.wait_config.take_sleep() {
            self.events.messages.pass_on(|| self.receiver.has_more());
        }
    }

    /// The position of this consumer, and its queue.
    pub(super) fn place(&self) -> (u64, &Shared) {
        (self.receiver.position(), self.receiver.store().shared())
    }

    pub(super) fn receiver(&self) -> &K::Receiver {
        &self.receiver
    }

    fn parking(&self) -> Parking<'_> {
        Parking { event: &self.events.messages, wait_config: &self.wait_config, max_sleep: MAX_SLEEP }
    }

    /// Nothing was found. Returns `Closed` if no message will come any more, which takes one more
    /// attempt: the earlier ones may have missed what was committed before the close was visible.
    #[inline(always)]
    fn last_attempt<R>(
        &self,
        which: Attempt,
        attempt: impl FnMut() -> Result<Option<R>, Corruption>,
    ) -> Result<R, RecvError> {
        if self.events.messages.is_closed() || self.ends_early.get() {
            self.check_disconnected(which, attempt)
        } else {
            Err(RecvError::Empty)
        }
    }

    #[cold]
    #[inline(never)]
    fn check_disconnected<R>(
        &self,
        which: Attempt,
        mut attempt: impl FnMut() -> Result<Option<R>, Corruption>,
    ) -> Result<R, RecvError> {
        let shared = self.receiver.store().shared();
        let is_closed = self.events.messages.is_closed();
        let is_asked = which.is_exact(ATTEMPTS_PER_LIVENESS_CHECK);
        let has_no_producer = || match is_asked {
            true => self.has_producer().map(|has| !has).map_err(|source| self.not_asked(source)),
            false => Ok(false),
        };
        let is_reusable = is_closed || (self.ends_when_disconnected.get() && has_no_producer()?);
        if !is_reusable {
            return if self.name.is_orphaned(shared) {
                Err(RecvError::Orphaned { path: shared.path().to_path_buf() })
            } else {
                Err(RecvError::Empty)
            };
        }
        if is_closed {
            self.receiver.finish_close();
        }
        match self.checked(attempt())? {
            Some(found) => Ok(found),
            None if self.receiver.is_drained() => Err(RecvError::Closed),
            None => Err(RecvError::Empty),
        }
    }

    #[inline(always)]
    fn try_take_many(
        &self,
        max: usize,
        spans: &mut SpansOf<K::Receiver>,
        waits: bool,
    ) -> Result<Option<RunBy<K::Receiver>>, RecvError> {
        self.check_process()?;
        // As in `recv_until`: if nothing is there, the wait checks the rest.
        self.checked(match waits {
            true => self.receiver.take_many_waiting(max, spans, Attempt::FIRST),
            false => self.receiver.take_many(max, spans),
        })
    }

    #[inline(always)]
    pub(crate) fn frame(&self, taken: TakenBy<K::Receiver>) -> BytesFrame<'_, K> {
        BytesFrame::new(self.receiver.store(), taken)
    }

    #[inline(always)]
    fn check_process(&self) -> Result<(), RecvError> {
        if self.receiver.store().is_own_process() { Ok(()) } else { Err(self.lost()) }
    }

    #[cold]
    #[inline(never)]
    fn lost(&self) -> RecvError {
        let shared = self.receiver.store().shared();
        match shared.is_truncated() {
            true => RecvError::Truncated { path: shared.path().to_path_buf() },
            false => RecvError::Forked,
        }
    }

    #[inline(always)]
    fn checked<R>(&self, result: Result<R, Corruption>) -> Result<R, RecvError> {
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
