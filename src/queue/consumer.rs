//! The receiving side, in bytes.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::frame::{BytesFrame, BytesFrames};
use super::kind::{Keeper, KeeperOf, Kind, Receiver, RunBy, SpansOf, TakenBy};
use crate::error::{AttachError, RecvError};
use crate::lane::Damage;
use crate::wait::{Patience, Until};

/// The consumer of a [`BytesQueue`](super::BytesQueue). Dropping it makes room for another consumer.
///
/// It may be sent to another thread, but not shared between threads.
pub struct BytesConsumer<K: Kind> {
    receiver: K::Receiver,
    patience: Patience,
}

impl<K: Kind> BytesConsumer<K> {
    pub(crate) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        Ok(Self { receiver: K::attach_receiver(shared)?, patience: Patience::default() })
    }

    /// The next message, if one is there now. It is read in place and released when the frame is dropped; several
    /// frames may be held, and dropped in any order.
    ///
    /// # Errors
    /// [`RecvError::Empty`].
    #[inline(always)]
    pub fn try_recv(&self) -> Result<BytesFrame<'_, K>, RecvError> {
        match self.try_take()? {
            Some(taken) => Ok(self.frame(taken)),
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

    /// Whether a live process produces into this queue.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn has_producer(&self) -> std::io::Result<bool> {
        self.receiver.has_producer()
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
        let found = self.patience.wait(until, self.receiver.position(), |looks| {
            match self.check_process().and_then(|()| self.checked(self.receiver.take_patiently(looks))) {
                Ok(None) => None,
                Ok(Some(taken)) => Some((Ok(taken), KeeperOf::<K>::size(taken))),
                Err(error) => Some((Err(error), 0)),
            }
        });
        found.unwrap_or(Err(RecvError::Timeout))
    }

    /// Up to `max` messages; waits for the first if there is an `until`.
    #[inline(always)]
    fn recv_many_as(&self, max: usize, until: Option<Until>) -> Result<BytesFrames<'_, K>, RecvError> {
        let keeper = self.receiver.keeper();
        let mut spans = keeper.lend_spans();
        let result = match (self.try_take_many(max, &mut spans), until) {
            (Ok(None), Some(until)) => self.wait_for_run(max, &mut spans, until),
            (result, _) => result.and_then(|run| run.ok_or(RecvError::Empty)),
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
        let found = self.patience.wait(until, self.receiver.position(), |looks| {
            let look = |()| self.checked(self.receiver.take_many_patiently(max, spans, looks));
            match self.check_process().and_then(look) {
                Ok(None) => None,
                Ok(Some(run)) => Some((Ok(run), KeeperOf::<K>::run_size(run))),
                Err(error) => Some((Err(error), 0)),
            }
        });
        found.unwrap_or(Err(RecvError::Timeout))
    }

    #[inline(always)]
    fn try_take(&self) -> Result<Option<TakenBy<K::Receiver>>, RecvError> {
        self.check_process()?;
        self.checked(self.receiver.take())
    }

    #[inline(always)]
    fn try_take_many(
        &self,
        max: usize,
        spans: &mut SpansOf<K::Receiver>,
    ) -> Result<Option<RunBy<K::Receiver>>, RecvError> {
        self.check_process()?;
        self.checked(self.receiver.take_many(max, spans))
    }

    #[inline(always)]
    fn frame(&self, taken: TakenBy<K::Receiver>) -> BytesFrame<'_, K> {
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
