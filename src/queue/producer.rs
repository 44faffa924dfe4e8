//! The sending side, in bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::controls::producer_controls;
use super::events::ParticipantEvents;
use super::kind::{Kind, Sender, StagedOf};
use super::name_watch::NameWatch;
use super::reserved_frame::{BytesBatch, ReservedFrame};
use super::room_wait::{self, RoomWait};
use super::{Schema, Shared};
use crate::error::{AttachError, RecoveryFailed, SendError};
use crate::lane::{Refusal, Reserved};
use crate::layout::Framing;
use crate::park::Canceller;
#[cfg(not(loom))]
use crate::park::EventCount;
use crate::prefetch;
use crate::shm::fork::ForkGuard;
use crate::wait::{self, Attempt, Ended, Parking, Until, WaitConfig};

/// The producer of a [`BytesQueue`](super::BytesQueue). Dropping it detaches it: another producer
/// can attach. The messages that it sent stay.
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

/// A dead consumer that holds the producers' room notifies no participant. Producers notice its
/// death sooner than consumers notice that of a producer.
const MAX_SLEEP: Duration = Duration::from_millis(20);

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

    /// Reserves a frame of `len` bytes to be written in place. The consumer sees it once it is
    /// committed; dropping it gives the reservation up.
    ///
    /// The bytes have the values that an earlier frame left there.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// let mut frame = producer.try_reserve(1024)?;
    /// frame.fill(7);
    /// frame.commit()?;
    /// assert_eq!(consumer.recv()?.len(), 1024);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_reserve(&mut self, len: usize) -> Result<ReservedFrame<'_, K>, SendError> {
        self.reserve_frame_until(len, None)
    }

    /// Reserves a frame, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`try_reserve`](Self::try_reserve), but never `Full`.
    #[inline(always)]
    pub fn reserve(&mut self, len: usize) -> Result<ReservedFrame<'_, K>, SendError> {
        self.reserve_frame_until(len, Some(Until::Forever))
    }

    /// Reserves a frame, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_reserve`](Self::try_reserve), with `Timeout` instead of `Full`.
    pub fn reserve_timeout(
        &mut self,
        len: usize,
        timeout: Duration,
    ) -> Result<ReservedFrame<'_, K>, SendError> {
        self.reserve_frame_until(len, Some(Until::after(timeout)))
    }

    /// Reserves a frame, waiting for room until `deadline`.
    ///
    /// # Errors
    /// As [`try_reserve`](Self::try_reserve), with `Timeout` instead of `Full`.
    pub fn reserve_deadline(
        &mut self,
        len: usize,
        deadline: Instant,
    ) -> Result<ReservedFrame<'_, K>, SendError> {
        self.reserve_frame_until(len, Some(Until::Deadline(deadline)))
    }

    #[inline(always)]
    fn reserve_frame_until(
        &mut self,
        len: usize,
        until: Option<Until>,
    ) -> Result<ReservedFrame<'_, K>, SendError> {
        self.check()?;
        let reserved = self.reserve_until(len, until)?;
        Ok(ReservedFrame::new(self, reserved, len, until))
    }

    /// Reserves room for one frame; waits for it if there is an `until`. The caller has checked the
    /// process.
    #[inline(always)]
    pub(crate) fn reserve_until(&mut self, len: usize, until: Option<Until>) -> Result<Reserved, SendError> {
        match (self.sender.reserve(len), until) {
            (Ok(reserved), _) => Ok(reserved),
            (Err(Refusal::Full), Some(until)) => {
                let is_ample = |sender: &K::Sender| sender.has_ample_room();
                self.wait(len, until, is_ample, move |sender, which| sender.reserve_waiting(len, which))
            }
            (Err(refusal), _) => Err(self.refused(refusal, len)),
        }
    }

    /// Commits the reserved frame; waits for what that needs if there is an `until`. The caller has
    /// checked the process.
    #[inline(always)]
    pub(crate) fn commit_until(
        &mut self,
        reserved: Reserved,
        len: usize,
        until: Option<Until>,
    ) -> Result<(), SendError> {
        match (self.sender.commit(reserved, len), until) {
            (Ok(()), _) => {}
            (Err(Refusal::Full), Some(until)) => {
                let is_ample = |sender: &K::Sender| sender.has_ample_positions();
                self.wait(len, until, is_ample, move |sender, which| {
                    sender.commit_waiting(reserved, len, which)
                })?;
            }
            (Err(refusal), _) => return Err(self.refused(refusal, len)),
        }
        self.events.messages.notify(1);
        Ok(())
    }

    /// Commits the staged frames: all of them or, if not `whole`, as many as possible. Returns how
    /// many.
    #[inline(always)]
    pub(crate) fn publish(&mut self, staged: StagedOf<K>, whole: bool) -> Result<usize, SendError> {
        match self.sender.publish(staged, whole) {
            Ok(count) => {
                self.events.messages.notify(count as u32);
                Ok(count)
            }
            Err(refusal) => Err(self.refused(refusal, 0)),
        }
    }

    /// Repeats `attempt` until the result is no longer `Full`; at first not until `is_ample`.
    #[cold]
    #[inline(never)]
    pub(super) fn wait<R>(
        &mut self,
        len: usize,
        until: Until,
        is_ample: impl Fn(&K::Sender) -> bool,
        attempt: impl FnMut(&mut K::Sender, Attempt) -> Result<R, Refusal>,
    ) -> Result<R, SendError> {
        let Self { sender, wait_config, events, name, .. } = self;
        let parking = Parking { event: &events.room, wait_config, max_sleep: MAX_SLEEP };
        let (until, pause) = (until.fixed(), sender.pause());
        let ample_since = room_wait::ample_since(until);
        let mut room = RoomWait { sender, events, name, is_ample, attempt, ample_since };
        let done = match wait::wait(until, pause, &parking, |which| room.poll(which)) {
            // The thread may have been suspended, or have waited for ample room, while the time ran
            // out.
            Err(Ended::Timeout) => room.poll(Attempt::BeforePark).ok_or(Ended::Timeout),
            done => done,
        };
        match done {
            Ok(done) => done.map_err(|refusal| match refusal {
                Refusal::Full => self.check_name().err().unwrap_or_else(|| self.full()),
                refusal => self.refused(refusal, len),
            }),
            Err(Ended::Timeout) => {
                let held_here = || self.sender.shared().held_here();
                Err(self.cause().unwrap_or_else(|| SendError::Timeout { held_here: held_here() }))
            }
            Err(ended) => Err(ended.into()),
        }
    }

    /// The error that keeps this process from recovering after a dead participant, which may hold
    /// what this producer waits for.
    fn cause(&self) -> Option<SendError> {
        let cause = self.sender.trouble().and_then(|trouble| trouble.cause(self.sender.shared()));
        cause.map(SendError::RecoveryFailed)
    }

    /// The same error once it has lasted; else `Full`.
    fn full(&self) -> SendError {
        lasting_cause(&self.sender).map_or(SendError::Full, SendError::RecoveryFailed)
    }

    /// Whether a call that ends now returns a more specific error than the lack of room.
    #[cfg(not(loom))]
    pub(crate) fn has_cause(&self) -> bool {
        self.cause().is_some()
    }

    /// Whether a message of `len` bytes may be sent now, or can never be sent.
    #[cfg(not(loom))]
    pub(crate) fn is_ready(&mut self, len: usize, which: Attempt) -> bool {
        if self.check().is_err() {
            return true;
        }
        match self.sender.reserve_waiting(len, which) {
            Ok(_) => self.sender.can_commit(which),
            Err(refusal) => refusal != Refusal::Full || lasting_cause(&self.sender).is_some(),
        }
    }

    /// The eventcount on which it parks.
    #[cfg(not(loom))]
    pub(crate) fn event(&self) -> &EventCount {
        &self.events.room
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

    /// Refuses to begin a message in a forked child, or on a closed queue.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), SendError> {
        if self.is_watched() {
            self.check_name()?;
        }
        self.check_open()
    }

    /// Whether each message takes the slow path, instead of only a check whether the queue is
    /// closed: then [`check`](Self::check) tells whether the message may be sent.
    #[inline(always)]
    pub(crate) fn is_watched(&self) -> bool {
        !self.guard.is_intact()
    }

    /// Makes each message take the slow path from now on.
    pub(crate) fn watch(&mut self) {
        self.guard = ForkGuard::never_intact();
    }

    #[inline(always)]
    pub(crate) fn check_open(&self) -> Result<(), SendError> {
        if self.events.messages.is_closed() { Err(SendError::Closed) } else { Ok(()) }
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
    pub(crate) fn check_process(&self) -> Result<(), SendError> {
        if self.sender.is_own_process() { Ok(()) } else { Err(self.lost()) }
    }

    /// Checks the process and, if that was asked for, from time to time the queue's name.
    #[cold]
    #[inline(never)]
    fn check_name(&self) -> Result<(), SendError> {
        self.check_process()?;
        let shared = self.sender.shared();
        match self.name.is_orphaned(shared) {
            true => Err(SendError::Orphaned { path: shared.path().to_path_buf() }),
            false => Ok(()),
        }
    }

    #[cold]
    #[inline(never)]
    fn lost(&self) -> SendError {
        let shared = self.sender.shared();
        match shared.is_truncated() {
            true => SendError::Truncated { path: shared.path().to_path_buf() },
            false => SendError::Forked,
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn refused(&self, refusal: Refusal, len: usize) -> SendError {
        match (refusal, self.sender.shared().geometry().fixed_message()) {
            (Refusal::Full, _) => self.full(),
            (Refusal::Length, None) => SendError::TooLarge { len, max: self.max_message() },
            (Refusal::Length, Some(expected)) => SendError::WrongLength { len, expected: expected as usize },
            (Refusal::PositionsExhausted, _) => SendError::PositionsExhausted,
            (Refusal::Closed, _) => SendError::Closed,
            (Refusal::Corrupted(corruption), _) => {
                SendError::Corrupted(self.sender.shared().corrupted(corruption))
            }
        }
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

pub(super) fn lasting_cause(sender: &impl Sender) -> Option<Box<RecoveryFailed>> {
    sender.trouble().and_then(|trouble| trouble.lasting_cause(sender.shared()))
}

impl<K: Kind> std::fmt::Debug for BytesProducer<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BytesProducer")
            .field("path", &self.sender.shared().path())
            .field("position", &self.sender.position())
            .finish()
    }
}
