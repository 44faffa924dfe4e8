//! The receiving side, in bytes.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::frame::{BytesFrame, BytesFrames};
use super::shared::Attached;
use crate::error::{AttachError, RecvError, Role};
use crate::lane::{Damage, Reader, Span, TakenFrame, TakenRun};
use crate::shm::Lease;
use crate::shm::fork::ForkGuard;
use crate::wait::{Patience, Until};

/// The consumer of a [`BytesQueue`](super::BytesQueue). Dropping it makes room for another consumer.
///
/// It may be sent to another thread, but not shared between threads.
pub struct BytesConsumer {
    reader: Reader,
    guard: ForkGuard,
    patience: Patience,
    /// Kept between batches, so that steady traffic allocates nothing.
    spans: Cell<Vec<Span>>,
    shared: Arc<Shared>,
    /// Last, so that everything above is gone when a successor may attach.
    _lease: Lease,
}

impl BytesConsumer {
    pub(crate) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let Attached { memory, cursors, lease } = shared.attach(Role::Consumer)?;
        let reader = Reader::attach(memory, cursors, shared.geometry())
            .map_err(|damage| AttachError::Damaged(shared.damaged(damage)))?;
        Ok(Self {
            reader,
            guard: shared.guard(),
            patience: Patience::default(),
            spans: Cell::default(),
            shared,
            _lease: lease,
        })
    }

    /// The next message, if one is there now. It is read in place and released when the frame is dropped; several
    /// frames may be held, and dropped in any order.
    ///
    /// # Errors
    /// [`RecvError::Empty`].
    #[inline(always)]
    pub fn try_recv(&self) -> Result<BytesFrame<'_>, RecvError> {
        match self.try_take()? {
            Some(taken) => Ok(BytesFrame::new(self, taken)),
            None => Err(RecvError::Empty),
        }
    }

    /// The next message, waiting for it as long as it takes.
    ///
    /// It waits by looking, and offers the processor to others after a while. If the producer may end without
    /// another word, use [`recv_timeout`](Self::recv_timeout) and [`has_producer`](Self::has_producer).
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), but never `Empty`.
    #[inline(always)]
    pub fn recv(&self) -> Result<BytesFrame<'_>, RecvError> {
        self.recv_until(Until::Forever)
    }

    /// The next message, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<BytesFrame<'_>, RecvError> {
        match self.try_recv() {
            Err(RecvError::Empty) => self.recv_until(Until::after(timeout)),
            other => other,
        }
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
    pub fn try_recv_many(&self, max: usize) -> Result<BytesFrames<'_>, RecvError> {
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
    pub fn recv_many(&self, max: usize) -> Result<BytesFrames<'_>, RecvError> {
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
    pub fn recv_many_timeout(&self, max: usize, timeout: Duration) -> Result<BytesFrames<'_>, RecvError> {
        assert!(max > 0, "recv_many_timeout needs to be allowed at least one message");
        self.recv_many_as(max, Some(Until::after(timeout)))
    }

    /// Whether a live process produces into this queue.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn has_producer(&self) -> std::io::Result<bool> {
        self.shared.is_role_taken(Role::Producer)
    }

    #[inline(always)]
    fn recv_until(&self, until: Until) -> Result<BytesFrame<'_>, RecvError> {
        match self.try_take()? {
            Some(taken) => Ok(BytesFrame::new(self, taken)),
            None => self.wait_for_frame(until).map(|taken| BytesFrame::new(self, taken)),
        }
    }

    #[cold]
    fn wait_for_frame(&self, until: Until) -> Result<TakenFrame, RecvError> {
        let found = self.patience.wait(until, self.reader.position(), || match self.try_take() {
            Ok(None) => None,
            Ok(Some(taken)) => Some((Ok(taken), taken.end - taken.start)),
            Err(error) => Some((Err(error), 0)),
        });
        found.unwrap_or(Err(RecvError::Timeout))
    }

    /// Up to `max` messages; waits for the first if there is an `until`.
    #[inline(always)]
    fn recv_many_as(&self, max: usize, until: Option<Until>) -> Result<BytesFrames<'_>, RecvError> {
        let mut spans = self.spans.take();
        let result = match (self.try_take_many(max, &mut spans), until) {
            (Ok(None), Some(until)) => self.wait_for_run(max, &mut spans, until),
            (result, _) => result.and_then(|run| run.ok_or(RecvError::Empty)),
        };
        match result {
            Ok(run) => Ok(BytesFrames::new(self, run, spans)),
            Err(error) => {
                self.return_spans(spans);
                Err(error)
            }
        }
    }

    #[cold]
    fn wait_for_run(&self, max: usize, spans: &mut Vec<Span>, until: Until) -> Result<TakenRun, RecvError> {
        let found =
            self.patience.wait(until, self.reader.position(), || match self.try_take_many(max, spans) {
                Ok(None) => None,
                Ok(Some(run)) => Some((Ok(run), (run.end - run.start) / run.count as u64)),
                Err(error) => Some((Err(error), 0)),
            });
        found.unwrap_or(Err(RecvError::Timeout))
    }

    /// Takes back what a guard was lent.
    #[inline(always)]
    pub(super) fn return_spans(&self, spans: Vec<Span>) {
        self.spans.set(spans);
    }

    #[inline(always)]
    fn try_take(&self) -> Result<Option<TakenFrame>, RecvError> {
        self.check_process()?;
        self.reader.take().map_err(|damage| self.damaged(damage))
    }

    #[inline(always)]
    fn try_take_many(&self, max: usize, spans: &mut Vec<Span>) -> Result<Option<TakenRun>, RecvError> {
        self.check_process()?;
        self.reader.take_many(max, spans).map_err(|damage| self.damaged(damage))
    }

    #[inline(always)]
    fn check_process(&self) -> Result<(), RecvError> {
        if self.guard.is_intact() { Ok(()) } else { Err(RecvError::Forked) }
    }

    /// False in a forked child, where dropping a frame must not touch the file.
    #[inline(always)]
    pub(super) fn is_own_process(&self) -> bool {
        self.guard.is_intact()
    }

    #[cold]
    fn damaged(&self, damage: Damage) -> RecvError {
        RecvError::Damaged(self.shared.damaged(damage))
    }

    #[inline(always)]
    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.shared.path()
    }
}

impl std::fmt::Debug for BytesConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BytesConsumer")
            .field("path", &self.shared.path())
            .field("position", &self.reader.position())
            .finish()
    }
}
