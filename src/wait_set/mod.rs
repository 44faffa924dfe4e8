//! Waiting for several queues together.

mod interest;

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

pub use interest::Interest;

use crate::park::{Canceller, EventCount, EventSet};
use crate::wait::{self, Ended, Parking, Until, WaitConfig, WaitStrategy};

/// Spin hints between two attempts at all queues.
const PAUSE: u32 = 16;

/// Waits until any of several queues has a message, or room.
///
/// ```
/// use ringway::spsc::BytesQueue;
/// use ringway::{Interest, WaitSet};
///
/// # let dir = tempfile::tempdir()?;
/// # let [orders, cancels, log] = ["o", "c", "l"].map(|name| unsafe { BytesQueue::create(dir.path().join(name)) }.unwrap());
/// # cancels.producer()?.send(b"17")?;
/// let (orders, cancels) = (orders.consumer()?, cancels.consumer()?);
/// let mut log = log.producer()?;
///
/// let mut set = WaitSet::new();
/// let mut line: Option<&[u8]> = None;
/// # let mut lines = 0;
/// loop {
///     let mut interests = vec![Interest::messages(&orders), Interest::messages(&cancels)];
///     // Room only while there is something to write: there usually is room.
///     interests.extend(line.map(|line| Interest::room(&mut log, line.len())));
///     for ready in set.wait(&mut interests)?.to_vec() {
///         match ready {
///             0 => println!("{} orders", orders.try_recv_many(100).map_or(0, |orders| orders.len())),
///             1 => line = cancels.try_recv().ok().map(|_| &b"cancelled"[..]),
///             _ => line = if log.try_send(line.unwrap_or_default()).is_ok() { None } else { line },
///         }
///     }
/// #   if line.is_none() { break }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The caller has to take what is ready until there is nothing left, in one go or by waiting again:
/// a caller that is woken for a message and leaves it may have been woken in the place of another
/// participant, which then learns of the message up to 100 ms late. Ready means *may be*: another
/// consumer can be quicker, and a queue that is closed or corrupted is ready, for its next `try_*`
/// says so. A consumer that [ends with its producers](crate::kind::BytesConsumer::end_when_disconnected)
/// is ready when they have gone.
///
/// One system call (`futex_waitv`, Linux 5.16) sleeps on up to 127 queues. More, and any number on
/// older kernels, are slept on in turn, a millisecond each, so that a wake may come a millisecond
/// late.
///
/// Limits of a wait:
///
/// ```
/// use std::time::{Duration, Instant};
/// use ringway::{Interest, WaitSet, WaitStrategy};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// # let consumer = queue.consumer()?;
/// let mut set = WaitSet::new();
/// set.set_wait_strategy(WaitStrategy::Park);
/// set.set_interruptible(true);
/// let mut interests = [Interest::messages(&consumer)];
/// // Nothing comes.
/// assert!(set.wait_timeout(&mut interests, Duration::from_millis(1)).is_err());
/// assert!(set.wait_deadline(&mut interests, Instant::now()).is_err());
/// set.canceller().cancel(); // usually from another thread
/// assert!(set.wait(&mut interests).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct WaitSet {
    wait_config: WaitConfig,
    /// The eventcounts of the interests, and after them the set's own, which cancellers notify.
    events: Vec<EventCount>,
    own: EventCount,
    ready: Vec<usize>,
}

impl WaitSet {
    /// Creates a set that waits as [`WaitStrategy::default`] says.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits without a time limit until something is ready. Returns the indices of all interests
    /// that are ready, in order.
    ///
    /// # Errors
    /// [`WaitError::Cancelled`]; [`WaitError::Interrupted`] if the set is
    /// [interruptible](Self::set_interruptible).
    pub fn wait(&mut self, interests: &mut [Interest<'_>]) -> Result<&[usize], WaitError> {
        self.wait_until(interests, Until::Forever)
    }

    /// Waits like [`wait`](Self::wait), for at most `timeout`.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and `Timeout`.
    pub fn wait_timeout(
        &mut self,
        interests: &mut [Interest<'_>],
        timeout: Duration,
    ) -> Result<&[usize], WaitError> {
        self.wait_until(interests, Until::Within(timeout))
    }

    /// Waits like [`wait`](Self::wait), until `deadline`.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and `Timeout`.
    pub fn wait_deadline(
        &mut self,
        interests: &mut [Interest<'_>],
        deadline: Instant,
    ) -> Result<&[usize], WaitError> {
        self.wait_until(interests, Until::Deadline(deadline))
    }

    /// Sets how this set waits. The strategies of its queues' handles do not matter.
    pub fn set_wait_strategy(&mut self, wait: WaitStrategy) {
        self.wait_config.set(wait);
    }

    /// Sets whether a signal handler that runs while this set sleeps ends its call with
    /// [`WaitError::Interrupted`]. If not, which is the default, the call goes on waiting.
    pub fn set_interruptible(&mut self, interruptible: bool) {
        self.wait_config.set_interruptible(interruptible);
    }

    /// Returns a canceller, which ends this set's waits from another thread or a signal handler.
    pub fn canceller(&self) -> Canceller {
        self.wait_config.canceller(&self.own)
    }

    fn wait_until(&mut self, interests: &mut [Interest<'_>], until: Until) -> Result<&[usize], WaitError> {
        let Self { wait_config, events, own, ready } = self;
        events.clear();
        events.extend(interests.iter_mut().map(|interest| interest.event().clone()));
        events.push(own.clone());
        let parking = Parking { event: &EventSet(events), wait_config, max_sleep: Duration::MAX };
        let done = wait::wait(until, PAUSE, &parking, |which| {
            ready.clear();
            let all = interests.iter_mut().enumerate();
            ready.extend(all.filter_map(|(index, interest)| interest.is_ready(which).then_some(index)));
            if ready.is_empty() && which.is_before_park() {
                let most = interests.iter().map(Interest::max_sleep).min();
                wait_config.set_watch(most.unwrap_or(Duration::MAX));
            }
            (!ready.is_empty()).then_some(())
        });
        // Releases the mappings of queues that are no longer waited for.
        events.clear();
        if done == Err(Ended::Timeout) {
            // A handle that cannot deal with dead peers says so when it is called.
            let with_cause = interests.iter().enumerate().filter(|(_, interest)| interest.has_cause());
            ready.extend(with_cause.map(|(index, _)| index));
        }
        if ready.is_empty() {
            done?;
        }
        Ok(ready)
    }
}

impl fmt::Debug for WaitSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitSet").field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// Why a [`WaitSet`] stopped waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitError {
    /// Nothing was ready when the time was up.
    Timeout,
    /// A signal handler ran while this waited, and the set is [interruptible](WaitSet::set_interruptible).
    Interrupted,
    /// The set's [canceller](crate::Canceller) ended the wait.
    Cancelled,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no queue was ready until the time was up",
            Self::Interrupted => "a signal came while waiting for several queues",
            Self::Cancelled => "waiting for several queues was cancelled",
        })
    }
}

impl Error for WaitError {}

impl From<Ended> for WaitError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Timeout => Self::Timeout,
            Ended::Interrupted => Self::Interrupted,
            Ended::Cancelled => Self::Cancelled,
        }
    }
}
