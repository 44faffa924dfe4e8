//! Taking several messages at once.

use std::time::{Duration, Instant};

use super::BytesConsumer;
use crate::error::RecvError;
use crate::queue::frame::BytesFrames;
use crate::queue::kind::{FrameStore, FrameStoreOf, Kind, Receiver, RunBy, SpansOf};
use crate::wait::{Attempt, Until};

impl<K: Kind> BytesConsumer<K> {
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
}
