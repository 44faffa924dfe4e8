//! Receiving: the lock is taken for each attempt, and never while a thread waits.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::{BytesOwnedFrame, BytesSharedConsumer, Inner, State};
use crate::error::RecvError;
use crate::queue::consumer::MAX_SLEEP;
use crate::queue::kind::{FrameStore, Kind, Receiver, TakenBy};
use crate::wait::{self, Attempt, Parking, Until};

/// Spin hints between two attempts: for most of the time the lock is free for threads that drop
/// frames.
const PAUSE: u32 = 4;

impl<K: Kind> BytesSharedConsumer<K> {
    /// Takes the next message, if one is there now.
    ///
    /// # Errors
    /// As [`BytesConsumer::try_recv`](crate::kind::BytesConsumer::try_recv).
    pub fn try_recv(&self) -> Result<BytesOwnedFrame<K>, RecvError> {
        let mut state = self.inner.lock()?;
        self.inner.try_take(&mut state)
    }

    /// Takes the next message, waiting for it as long as it takes. Several threads may wait.
    ///
    /// # Errors
    /// As [`BytesConsumer::recv`](crate::kind::BytesConsumer::recv).
    pub fn recv(&self) -> Result<BytesOwnedFrame<K>, RecvError> {
        self.recv_until(Until::Forever)
    }

    /// Takes the next message, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<BytesOwnedFrame<K>, RecvError> {
        self.recv_until(Until::Within(timeout))
    }

    /// Takes the next message, waiting for it until `deadline`.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv), with `Timeout` instead of `Empty`.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<BytesOwnedFrame<K>, RecvError> {
        self.recv_until(Until::Deadline(deadline))
    }

    /// Takes up to `max` messages that are there now, each with a guard of its own.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is none, or if `max` is 0.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("q"))? };
    /// queue.producer()?.send_many(&[b"one", b"two"])?;
    /// let consumer = queue.consumer()?.into_shared();
    /// let mut frames = consumer.try_recv_many(100)?;
    /// frames.remove(1).reject();
    /// drop(frames);
    /// assert_eq!(&*consumer.recv()?, b"two");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv_many(&self, max: usize) -> Result<Vec<BytesOwnedFrame<K>>, RecvError> {
        if max == 0 {
            return Err(RecvError::Empty);
        }
        let mut state = self.inner.lock()?;
        let first = self.inner.try_take(&mut state)?;
        Ok(with_more(first, max, state, |state| self.inner.take_more(state)))
    }

    /// Takes up to `max` messages, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    /// If `max` is 0.
    pub fn recv_many(&self, max: usize) -> Result<Vec<BytesOwnedFrame<K>>, RecvError> {
        self.recv_many_until(max, Until::Forever)
    }

    /// Takes up to `max` messages, waiting for the first for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Panics
    /// If `max` is 0.
    pub fn recv_many_timeout(
        &self,
        max: usize,
        timeout: Duration,
    ) -> Result<Vec<BytesOwnedFrame<K>>, RecvError> {
        self.recv_many_until(max, Until::Within(timeout))
    }

    fn recv_many_until(&self, max: usize, until: Until) -> Result<Vec<BytesOwnedFrame<K>>, RecvError> {
        assert!(max > 0, "a call that takes several messages needs to be allowed at least one");
        let first = self.recv_until(until)?;
        match max {
            1 => Ok(vec![first]),
            _ => Ok(with_more(first, max, self.inner.lock()?, |state| self.inner.take_more(state))),
        }
    }

    fn recv_until(&self, until: Until) -> Result<BytesOwnedFrame<K>, RecvError> {
        let mut state = self.inner.lock()?;
        let found = state.consumer.attempt_in_wait(&state.consumer.wait_config, Attempt::FIRST, |receiver| {
            receiver.take_waiting(Attempt::FIRST)
        });
        match found {
            Some(found) => found.map(|taken| self.inner.frame(&mut state, taken)),
            None => self.wait(state, until),
        }
    }

    #[cold]
    fn wait(
        &self,
        mut state: MutexGuard<'_, State<K>>,
        until: Until,
    ) -> Result<BytesOwnedFrame<K>, RecvError> {
        let inner = &self.inner;
        let wait_config = state.consumer.wait_config.for_one_call();
        state.waiting += 1;
        drop(state);
        let parking = Parking { event: &inner.messages, wait_config: &wait_config, max_sleep: MAX_SLEEP };
        let found = wait::wait(until, PAUSE, &parking, |which| {
            let mut state = match inner.lock() {
                Ok(state) => state,
                Err(error) => return Some(Err(error)),
            };
            let which = which.after_one();
            let found =
                state.consumer.attempt_in_wait(&wait_config, which, |receiver| receiver.take_waiting(which));
            Some(found?.map(|taken| inner.frame(&mut state, taken)))
        });
        let mut state = inner.lock()?;
        state.waiting -= 1;
        let State { consumer, .. } = &*state;
        consumer.wait_config.learn_from(&wait_config);
        if wait_config.take_sleep() {
            // As in `crate::park`, "Passing on"; the other threads of an SPSC consumer count too.
            inner.messages.pass_on(|| consumer.receiver().has_more() || !consumer.is_empty());
        }
        found.map_err(|ended| consumer.or_cause(ended.into()))?
    }
}

/// Adds what is there now, up to `max` in all.
///
/// `state` is the lock, which the drop of a frame takes: it must be gone when frames are dropped,
/// also if `take_more` panics.
fn with_more<F, S>(first: F, max: usize, state: S, mut take_more: impl FnMut(&mut S) -> Option<F>) -> Vec<F> {
    let mut frames = vec![first];
    // Declared after the frames, so that it is dropped before them.
    let mut state = state;
    while frames.len() < max
        && let Some(frame) = take_more(&mut state)
    {
        frames.push(frame);
    }
    frames
}

impl<K: Kind> Inner<K> {
    fn try_take(self: &Arc<Self>, state: &mut State<K>) -> Result<BytesOwnedFrame<K>, RecvError> {
        let (_, taken) = state.consumer.try_recv()?.into_parts();
        Ok(self.frame(state, taken))
    }

    /// Takes one more message for a call that has one already. Whatever else there is to report stays
    /// for the next call: an error is met again, and `lag`, which reports once, is not asked.
    fn take_more(self: &Arc<Self>, state: &mut State<K>) -> Option<BytesOwnedFrame<K>> {
        let receiver = state.consumer.receiver();
        let is_own_process = receiver.store().is_own_process();
        let taken = is_own_process.then(|| receiver.take()).and_then(Result::ok).flatten()?;
        Some(self.frame(state, taken))
    }

    fn frame(self: &Arc<Self>, state: &mut State<K>, taken: TakenBy<K::Receiver>) -> BytesOwnedFrame<K> {
        state.held += 1;
        BytesOwnedFrame::new(self, state.consumer.receiver(), taken)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use super::with_more;

    /// Takes the lock when it is dropped, as frames do.
    struct TakesLock<'a>(&'a Mutex<u32>);

    impl Drop for TakesLock<'_> {
        fn drop(&mut self) {
            // Waiting for it would take for ever.
            *self.0.try_lock().unwrap_or_else(|error| match error {
                std::sync::TryLockError::Poisoned(error) => error.into_inner(),
                std::sync::TryLockError::WouldBlock => std::process::abort(),
            }) += 1;
        }
    }

    #[test]
    fn frames_are_dropped_without_the_lock_if_taking_panics() {
        let lock = Mutex::new(0);
        let mut left = 2;
        let result = catch_unwind(AssertUnwindSafe(|| {
            with_more(TakesLock(&lock), 10, lock.lock().unwrap(), |_| {
                assert!(left > 0, "this attempt fails");
                left -= 1;
                Some(TakesLock(&lock))
            })
        }));
        assert!(result.map(drop).is_err());
        assert_eq!(lock.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner), 3);
    }
}
