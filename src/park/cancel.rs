//! Ending a handle's blocked call from outside.

use std::fmt;
use std::sync::Arc;

use super::EventCount;
use crate::sync::{Ordering, PrivateWord};

/// Ends blocked calls of one handle, from another thread or from a signal handler.
///
/// [`cancel`](Self::cancel) makes the handle's blocked call, and all that would block from then on,
/// return `Cancelled` until [`reset`](Self::reset). Calls that need not wait are not affected.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let consumer = queue.consumer()?;
/// let canceller = consumer.canceller();
/// std::thread::scope(|scope| {
///     scope.spawn(|| canceller.cancel());
///     assert!(matches!(consumer.recv(), Err(ringway::RecvError::Cancelled)));
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let consumer = queue.consumer()?;
/// let canceller = consumer.canceller();
/// canceller.cancel(); // from another thread, or a signal handler
/// assert!(canceller.is_cancelled() && consumer.recv().unwrap_err().is_cancelled());
/// canceller.reset();
/// assert!(consumer.try_recv().unwrap_err().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Canceller {
    cancelled: Cancelled,
    event: EventCount,
}

/// Whether calls are cancelled or interrupted: the flags that the handle reads.
pub(crate) type Cancelled = Arc<PrivateWord>;

/// Calls that would block end, until this is reset.
pub(crate) const CANCELLED: u64 = 1;
/// The call that is blocked, or else the next one that would be, ends, and takes this flag away.
pub(crate) const INTERRUPTED: u64 = 2;

impl Canceller {
    pub(crate) fn new(cancelled: Cancelled, event: EventCount) -> Self {
        Self { cancelled, event }
    }

    /// Ends the blocked call. May be called from a signal handler: it allocates nothing, takes no
    /// lock, and changes `errno` only if the system call that it makes fails.
    pub fn cancel(&self) {
        self.cancelled.fetch_or(CANCELLED, Ordering::SeqCst);
        // Other sleepers there attempt once and sleep again.
        self.event.force_notify_all();
    }

    /// Ends one call with `Interrupted`: the one that is blocked now or, if none is, the next one
    /// that would block. Any number of interrupts before that count as one. May be called from a
    /// signal handler, as [`cancel`](Self::cancel) may; so a signal that arrives between the last
    /// attempt of a call and its sleep ends the call too.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let consumer = queue.consumer()?;
    /// consumer.canceller().interrupt(); // in a signal handler, say
    /// assert!(matches!(consumer.recv(), Err(ringway::RecvError::Interrupted)));
    /// # queue.close();
    /// assert!(matches!(consumer.recv(), Err(ringway::RecvError::Closed)), "once");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn interrupt(&self) {
        self.cancelled.fetch_or(INTERRUPTED, Ordering::SeqCst);
        self.event.force_notify_all();
    }

    /// Lets calls block again. An interrupt that no call has ended with yet still ends the next one.
    pub fn reset(&self) {
        self.cancelled.fetch_and(!CANCELLED, Ordering::SeqCst);
    }

    /// Whether calls that would block return `Cancelled`.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) & CANCELLED != 0
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("is_cancelled", &self.is_cancelled()).finish()
    }
}
