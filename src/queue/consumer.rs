//! The receiving side, in bytes.

mod causes;
#[cfg(not(loom))]
mod looks;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::bells::Attached;
use super::frame::{BytesFrame, BytesFrames};
#[cfg(all(feature = "async", not(loom)))]
use super::kind::Engine;
use super::kind::{Keeper, KeeperOf, Kind, Receiver, RunBy, SpansOf, TakenBy};
use super::name_watch::NameWatch;
use crate::error::{AttachError, RecvError};
use crate::lane::Damage;
#[cfg(not(loom))]
use crate::park::Bell;
use crate::park::Canceller;
use crate::wait::{self, BEFORE_SLEEP, Parking, Patience, Style, Until, Wait};

/// The consumer of a [`BytesQueue`](super::BytesQueue). Dropping it makes room for another consumer.
///
/// It may be sent to another thread, but not shared between threads.
pub struct BytesConsumer<K: Kind> {
    receiver: K::Receiver,
    patience: Patience,
    style: Style,
    ends_with_producers: Cell<bool>,
    name: NameWatch,
    /// Whether it is to be told of more than messages: of either of these.
    ends_early: Cell<bool>,
    /// Behind the receiver: whoever waits is told when what it held comes again.
    bells: Attached,
}

/// Messages that were taken together, and where they lie.
#[cfg(all(feature = "async", not(loom)))]
pub(crate) type RunOf<K> = (RunBy<<K as Engine>::Receiver>, SpansOf<<K as Engine>::Receiver>);

/// Longest sleep without a look at who has died meanwhile.
const MOST_SLICE: Duration = Duration::from_millis(100);
/// Somebody who attaches rings, but perhaps before its lease can be seen.
const PRODUCER_SLICE: Duration = Duration::from_millis(20);
/// Asking who is alive is a system call: one look in so many while spinning.
const LOOKS_PER_QUESTION: u64 = 1024;

impl<K: Kind> BytesConsumer<K> {
    pub(crate) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let bells = Attached::new(&shared);
        let name = NameWatch::new(&shared);
        let receiver = K::attach_receiver(shared)?;
        Ok(Self {
            receiver,
            patience: Patience::default(),
            style: Style::default(),
            ends_with_producers: Cell::new(false),
            ends_early: Cell::new(name.is_on()),
            name,
            bells,
        })
    }

    /// The next message, if one is there now. It is read in place and released when the frame is dropped; several
    /// frames may be held, and dropped in any order.
    ///
    /// # Errors
    /// [`RecvError::Empty`]; `Closed` if nothing will come any more either.
    #[inline(always)]
    pub fn try_recv(&self) -> Result<BytesFrame<'_, K>, RecvError> {
        self.check_process()?;
        match self.checked(self.receiver.take())? {
            Some(taken) => Ok(self.frame(taken)),
            None => match self.last_look(BEFORE_SLEEP, || self.receiver.take()) {
                Ok(taken) => Ok(self.frame(taken)),
                Err(error) => Err(self.or_cause(error)),
            },
        }
    }

    /// The next message, waiting for it as long as it takes.
    ///
    /// How it waits, [`set_wait`](Self::set_wait) says. If producers may end without another word, see
    /// [`end_with_producers`](Self::end_with_producers).
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), but never `Empty`; `Interrupted` and `Cancelled` if that is asked for.
    #[inline(always)]
    pub fn recv(&self) -> Result<BytesFrame<'_, K>, RecvError> {
        self.recv_until(Until::Forever)
    }

    /// The next message, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    #[inline(always)]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<BytesFrame<'_, K>, RecvError> {
        self.recv_until(Until::Within(timeout))
    }

    /// The next message, waiting for it until `deadline`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<BytesFrame<'_, K>, RecvError> {
        self.recv_until(Until::Deadline(deadline))
    }

    /// All messages from now on, waiting for each, until the queue is closed. Errors other than `Closed` are handed out and
    /// do not end it.
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

    /// The messages that are there now, without waiting: ends when there is none. Errors other than `Empty` and `Closed` are
    /// handed out and do not end it.
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

    /// Up to `max` messages that are there now, in one guard that releases them together.
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

    /// Up to `max` messages, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// As [`try_recv_many`](Self::try_recv_many), but never `Empty`.
    ///
    /// # Panics
    /// If `max` is 0.
    #[inline(always)]
    pub fn recv_many(&self, max: usize) -> Result<BytesFrames<'_, K>, RecvError> {
        assert!(max > 0, "recv_many needs to be allowed at least one message");
        self.recv_many_as(max, Some(Until::Forever))
    }

    /// Up to `max` messages, waiting for the first for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv_many`](Self::try_recv_many), with `Timeout` instead of `Empty`.
    ///
    /// # Panics
    /// If `max` is 0.
    #[inline(always)]
    pub fn recv_many_timeout(&self, max: usize, timeout: Duration) -> Result<BytesFrames<'_, K>, RecvError> {
        assert!(max > 0, "recv_many_timeout needs to be allowed at least one message");
        self.recv_many_as(max, Some(Until::Within(timeout)))
    }

    /// Up to `max` messages, waiting for the first until `deadline`.
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

    /// How this consumer waits for messages.
    pub fn set_wait(&self, wait: Wait) {
        self.style.set(wait);
    }

    /// Whether a signal handler that runs while this consumer sleeps ends its call with
    /// [`RecvError::Interrupted`]; if not, which is the default, the call goes on waiting. Signals are noticed asleep
    /// only, not while it spins, nor when they come just before it falls asleep: a handler of one's own that must not
    /// be missed calls [`Canceller::cancel`], for others a timeout gives the chance to look.
    pub fn set_interruptible(&self, interruptible: bool) {
        self.style.set_interruptible(interruptible);
    }

    /// Whether this consumer is told [`RecvError::Closed`], as if the queue were closed, while everything is taken and no
    /// producer is alive: also if none has come yet ([`wait_for_producer`](Self::wait_for_producer) helps). A death is
    /// noticed within 100 ms, a detachment at once.
    pub fn end_with_producers(&self, ends: bool) {
        self.ends_with_producers.set(ends);
        self.ends_early.set(ends || self.name.is_on());
    }

    /// Ends this consumer's waits from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.style.canceller(&self.bells.messages)
    }

    /// Waits until a producer is attached and alive, but no longer than `timeout`.
    ///
    /// # Errors
    /// `Timeout`, `Interrupted`, `Cancelled`; `Forked`; `Closed` if the queue is closed.
    pub fn wait_for_producer(&self, timeout: Duration) -> Result<(), RecvError> {
        let parking = Parking { bell: &self.bells.messages, style: &self.style, most_slice: PRODUCER_SLICE };
        wait::wait(Until::after(timeout), 1, &parking, |looks| {
            if let Err(error) = self.check_process() {
                return Some(Err(error));
            }
            if self.bells.messages.is_closed() {
                return Some(Err(RecvError::Closed));
            }
            let is_asked = wait::is_closer_look(looks, LOOKS_PER_QUESTION);
            match is_asked.then(|| self.has_producer())? {
                Ok(has_producer) => has_producer.then_some(Ok(())),
                Err(source) => Some(Err(self.not_asked(source))),
            }
        })?
    }

    /// Whether a live process produces into this queue.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn has_producer(&self) -> std::io::Result<bool> {
        self.receiver.has_producer()
    }

    /// A task has found something that a ring has told it of, and nobody in this process waits any more: the ring may have
    /// been for others, too.
    #[cfg(all(feature = "async", not(loom)))]
    pub(crate) fn pass_on_ring(&self) {
        self.bells.messages.pass_on(|| self.receiver.has_more());
    }

    /// Where it sleeps.
    #[cfg(not(loom))]
    pub(crate) fn bell(&self) -> &Bell {
        &self.bells.messages
    }

    /// Whether it waits for more than messages.
    #[cfg(all(feature = "async", not(loom)))]
    pub(crate) fn waits_for_the_end(&self) -> bool {
        self.ends_early.get()
    }

    #[inline(always)]
    fn recv_until(&self, until: Until) -> Result<BytesFrame<'_, K>, RecvError> {
        // If there is nothing, that is looked into while waiting.
        self.check_process()?;
        match self.checked(self.receiver.take_patiently(0))? {
            Some(taken) => Ok(self.frame(taken)),
            None => self.wait_for_frame(until).map(|taken| self.frame(taken)),
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_for_frame(&self, until: Until) -> Result<TakenBy<K::Receiver>, RecvError> {
        self.wait_for(until, |looks| self.receiver.take_patiently(looks), KeeperOf::<K>::size)
    }

    /// Up to `max` messages; waits for the first if there is an `until`.
    #[inline(always)]
    fn recv_many_as(&self, max: usize, until: Option<Until>) -> Result<BytesFrames<'_, K>, RecvError> {
        let keeper = self.receiver.keeper();
        let mut spans = keeper.lend_spans();
        let result = match (self.try_take_many(max, &mut spans, until.is_some()), until) {
            (Ok(Some(run)), _) => Ok(run),
            (Ok(None), Some(until)) => self.wait_for_run(max, &mut spans, until),
            (Ok(None), None) => self
                .last_look(BEFORE_SLEEP, || self.receiver.take_many(max, &mut spans))
                .map_err(|error| self.or_cause(error)),
            (Err(error), _) => Err(error),
        };
        match result {
            Ok(run) => Ok(BytesFrames::new(keeper, run, spans)),
            Err(error) => {
                keeper.return_spans(spans);
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
        let look = |looks| self.receiver.take_many_patiently(max, spans, looks);
        self.wait_for(until, look, KeeperOf::<K>::run_size)
    }

    /// Looks, with the number of looks before, until something is found; `size` says how many positions that takes.
    fn wait_for<R: Copy>(
        &self,
        until: Until,
        mut look: impl FnMut(u64) -> Result<Option<R>, Damage>,
        size: impl Fn(R) -> u64,
    ) -> Result<R, RecvError> {
        let found = self.patience.wait(until, &self.parking(), self.receiver.position(), |looks| match self
            .check_process()
            .and_then(|()| self.checked(look(looks)))
        {
            Ok(None) => match self.last_look(looks, || look(looks)) {
                Err(RecvError::Empty) => {
                    self.style.set_held_up(self.receiver.is_held_up());
                    self.style.set_watch(self.receiver.watch_slice());
                    self.lasting_cause().map(|cause| (Err(cause), 0))
                }
                other => Some((other, 0)),
            },
            Ok(Some(found)) => Some((Ok(found), size(found))),
            Err(error) => Some((Err(error), 0)),
        });
        self.pass_the_wake_on();
        found.map_err(|ended| self.or_cause(ended.into()))?
    }

    /// Whoever has slept may have been woken in the place of somebody else: see "A ring is passed on" in `crate::park`.
    fn pass_the_wake_on(&self) {
        if self.style.take_sleep() {
            self.bells.messages.pass_on(|| self.receiver.has_more());
        }
    }

    /// How far this consumer has come, and the queue that it is of.
    pub(super) fn place(&self) -> (u64, &Shared) {
        (self.receiver.position(), self.receiver.keeper().shared())
    }

    pub(super) fn receiver(&self) -> &K::Receiver {
        &self.receiver
    }

    fn parking(&self) -> Parking<'_> {
        Parking { bell: &self.bells.messages, style: &self.style, most_slice: MOST_SLICE }
    }

    /// Nothing was found. `Closed` if nothing will come any more, which takes one more look: what was committed before that
    /// could be seen may have been overlooked.
    #[inline(always)]
    fn last_look<R>(
        &self,
        looks: u64,
        look: impl FnMut() -> Result<Option<R>, Damage>,
    ) -> Result<R, RecvError> {
        if self.bells.messages.is_closed() || self.ends_early.get() {
            self.look_for_the_end(looks, look)
        } else {
            Err(RecvError::Empty)
        }
    }

    #[cold]
    #[inline(never)]
    fn look_for_the_end<R>(
        &self,
        looks: u64,
        mut look: impl FnMut() -> Result<Option<R>, Damage>,
    ) -> Result<R, RecvError> {
        let shared = self.receiver.keeper().shared();
        let is_closed = self.bells.messages.is_closed();
        let is_asked = wait::is_closer_look(looks, LOOKS_PER_QUESTION);
        let has_no_producer = || match is_asked {
            true => self.has_producer().map(|has| !has).map_err(|source| self.not_asked(source)),
            false => Ok(false),
        };
        let is_over = is_closed || (self.ends_with_producers.get() && has_no_producer()?);
        if !is_over {
            return if self.name.is_orphaned(shared) {
                Err(RecvError::Orphaned { path: shared.path().to_path_buf() })
            } else {
                Err(RecvError::Empty)
            };
        }
        if is_closed {
            self.receiver.finish_close();
        }
        match self.checked(look())? {
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
        // As in `recv_until`: if there is nothing, that is looked into while waiting.
        self.checked(match waits {
            true => self.receiver.take_many_patiently(max, spans, 0),
            false => self.receiver.take_many(max, spans),
        })
    }

    #[inline(always)]
    pub(crate) fn frame(&self, taken: TakenBy<K::Receiver>) -> BytesFrame<'_, K> {
        BytesFrame::new(self.receiver.keeper(), taken)
    }

    #[inline(always)]
    fn check_process(&self) -> Result<(), RecvError> {
        if self.receiver.keeper().is_own_process() { Ok(()) } else { Err(self.lost()) }
    }

    #[cold]
    #[inline(never)]
    fn lost(&self) -> RecvError {
        let shared = self.receiver.keeper().shared();
        match shared.is_truncated() {
            true => RecvError::Truncated { path: shared.path().to_path_buf() },
            false => RecvError::Forked,
        }
    }

    #[inline(always)]
    fn checked<R>(&self, result: Result<R, Damage>) -> Result<R, RecvError> {
        result.map_err(|damage| self.damaged(damage))
    }

    #[cold]
    #[inline(never)]
    fn damaged(&self, damage: Damage) -> RecvError {
        RecvError::Damaged(self.receiver.keeper().shared().damaged(damage))
    }
}

impl<K: Kind> std::fmt::Debug for BytesConsumer<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BytesConsumer")
            .field("path", &self.receiver.keeper().shared().path())
            .field("position", &self.receiver.position())
            .finish()
    }
}
