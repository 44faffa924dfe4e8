//! Declaring messages done, and waiting until all are. Why the count is exact, whatever dies:
//! [`crate::order_ring`], `tasks`.

use std::time::Duration;

use crate::error::TaskError;
use crate::order_ring::OrderRing;
use crate::queue::consumer::MAX_SLEEP;
use crate::queue::kind::{FrameStore, MpmcKind, Receiver};
use crate::queue::{BytesConsumer, BytesQueue, BytesSharedConsumer, Shared};
use crate::wait::{self, Attempt, Ended, Parking, Until, WaitConfig, WaitStrategy};

/// A queue that counts what is done.
struct Tasks<'a> {
    shared: &'a Shared,
    ring: OrderRing,
}

impl<'a> Tasks<'a> {
    /// # Errors
    /// If the queue does not count, or in a forked child.
    fn of(shared: &'a Shared) -> Result<Self, TaskError> {
        let path = || shared.path().to_path_buf();
        if !shared.guard().is_intact() {
            return Err(match shared.is_truncated() {
                true => TaskError::Truncated { path: path() },
                false => TaskError::Forked,
            });
        }
        let ring = shared.ring();
        let policy = ring.policy();
        if policy.at_most_once || policy.max_redeliveries != 0 || policy.is_dead_letter_queue {
            return Err(TaskError::NotCounted { path: path() });
        }
        Ok(Self { shared, ring })
    }

    fn unfinished(&self) -> Result<u64, TaskError> {
        self.ring.unfinished().map_err(|corruption| TaskError::Corrupted(self.shared.corrupted(corruption)))
    }

    fn done(&self) -> Result<(), TaskError> {
        self.unfinished()?;
        if !self.ring.task_done() {
            return Err(TaskError::TooMany { path: self.shared.path().to_path_buf() });
        }
        self.shared.events().tasks.notify_all();
        Ok(())
    }
}

impl<K: MpmcKind> BytesQueue<K> {
    /// Returns how many messages are not done: those that were sent, less those for which a consumer
    /// has called [`task_done`](BytesConsumer::task_done).
    ///
    /// # Errors
    /// [`TaskError::NotCounted`] for queues with `Delivery::AtMostOnce` or `max_redeliveries`, and
    /// for dead-letter queues; `Forked`, `Truncated`, `Corrupted`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send_many(&[b"one", b"two"])?;
    /// assert_eq!(queue.unfinished()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unfinished(&self) -> Result<u64, TaskError> {
        Tasks::of(self.shared())?.unfinished()
    }

    /// Waits until all messages that were sent are done, as long as it takes. Takes no role. If no
    /// consumer does the work, or one that has taken a message and released it is killed before it
    /// calls [`task_done`](BytesConsumer::task_done), this is for ever:
    /// [`join_timeout`](Self::join_timeout) limits it.
    ///
    /// # Errors
    /// As [`unfinished`](Self::unfinished).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(b"job")?;
    /// let consumer = queue.consumer()?;
    /// std::thread::spawn(move || {
    ///     let job = consumer.recv().unwrap();
    ///     // ... do it ...
    ///     consumer.task_done().unwrap();
    ///     drop(job); // released last: if this thread is killed before, another consumer gets the job
    /// });
    /// queue.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self) -> Result<(), TaskError> {
        self.join_until(Until::Forever)
    }

    /// Waits until all messages that were sent are done, for at most `timeout`.
    ///
    /// # Errors
    /// As [`unfinished`](Self::unfinished), and [`TaskError::Timeout`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(b"job")?;
    /// let soon = std::time::Duration::from_millis(10);
    /// assert!(queue.join_timeout(soon).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), TaskError> {
        self.join_until(Until::Within(timeout))
    }

    fn join_until(&self, until: Until) -> Result<(), TaskError> {
        let tasks = Tasks::of(self.shared())?;
        // This process may never have attached.
        self.shared().events().take_part();
        // What it waits for is work, which seldom ends within the time that a spin is worth.
        let wait_config = WaitConfig::default();
        wait_config.set(WaitStrategy::Park);
        let event = &self.shared().events().tasks;
        let parking = Parking { event, wait_config: &wait_config, max_sleep: MAX_SLEEP };
        let joined = wait::wait(until, 1, &parking, |which| {
            if !self.shared().guard().is_intact() {
                return Some(Tasks::of(self.shared()).map(|_| ()));
            }
            // What a dead producer has claimed is unfinished until it is a tombstone, and what a dead
            // consumer holds is to be given to another one. A failure to recover is no failure of
            // this call, which tries again after its next sleep.
            if which == Attempt::WithDeadPeerScan {
                let _ = self.shared().recover_repeatedly::<OrderRing>();
            }
            match tasks.unfinished() {
                Ok(0) => Some(Ok(())),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            }
        });
        match joined {
            Ok(joined) => joined,
            Err(Ended::Timeout | Ended::Interrupted | Ended::Cancelled) => {
                Err(TaskError::Timeout { unfinished: tasks.unfinished()? })
            }
        }
    }
}

impl<K: MpmcKind> BytesConsumer<K> {
    /// Declares one message done, as `task_done` of Python's `JoinableQueue`: of all messages that
    /// were sent, one less keeps [`join`](BytesQueue::join) waiting. Which one is not recorded.
    ///
    /// Call it before the frame is released. A consumer that is killed before this call leaves a
    /// message that is delivered again and still counts. One that is killed between this call and
    /// the release leaves a message that is delivered again although it was counted.
    ///
    /// # Errors
    /// [`TaskError::TooMany`] if all messages that were sent are done already, and those of
    /// [`BytesQueue::unfinished`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(b"job")?;
    /// let consumer = queue.consumer()?;
    /// let job = consumer.recv()?;
    /// consumer.task_done()?;
    /// drop(job);
    /// queue.join()?; // returns at once
    /// assert!(consumer.task_done().unwrap_err().is_too_many());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_done(&self) -> Result<(), TaskError> {
        Tasks::of(self.receiver().store().shared())?.done()
    }
}

impl<K: MpmcKind> BytesSharedConsumer<K> {
    /// Declares one message done: see [`BytesConsumer::task_done`]. Takes no lock.
    ///
    /// # Errors
    /// As [`BytesConsumer::task_done`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(b"job")?;
    /// let consumer = queue.consumer()?.into_shared();
    /// let job = consumer.recv()?;
    /// consumer.task_done()?;
    /// drop(job);
    /// assert_eq!(queue.unfinished()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_done(&self) -> Result<(), TaskError> {
        Tasks::of(self.shared())?.done()
    }
}
