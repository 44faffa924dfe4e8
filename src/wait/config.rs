//! What a handle wishes of its waits.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Ended, Until};
use crate::park::{Cancelled, Canceller, EventCount};
use crate::sync::Ordering;

/// How a handle waits.
///
/// | | latency of the wake | costs |
/// |---|---|---|
/// | `Spin` | that of a cache line, some 100 ns | a whole core |
/// | `SpinThenPark` | as `Spin` while messages are less than some 100 µs apart, else as `Park` | up to 200 µs of a core for each wait |
/// | `Park` | that of a system call and a scheduler, 5 to 100 µs | two system calls a wait, and one for whoever wakes it |
///
/// While nobody sleeps, nobody makes a system call for a message, however others wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Looks again and again, and yields the processor to others now and then.
    Spin,
    /// Looks for about as long as a sleep would cost (it learns how much that is), then sleeps.
    #[default]
    SpinThenPark,
    /// Sleeps at once.
    Park,
}

/// About what it costs to be put to sleep and woken, at first ...
const SPIN_FOR: Duration = Duration::from_micros(50);
/// ... at least, where messages come seldom ...
const MIN_SPIN: Duration = Duration::from_micros(10);
/// ... and at most, where looking a little longer would have spared the sleep.
const MAX_SPIN: Duration = Duration::from_micros(200);

/// A handle's wishes.
pub(crate) struct WaitConfig {
    wait: Cell<WaitStrategy>,
    spin_for: Cell<Duration>,
    interruptible: Cell<bool>,
    has_slept: Cell<bool>,
    blocked: Cell<bool>,
    watch: Cell<Duration>,
    cancelled: Cancelled,
}

impl Default for WaitConfig {
    fn default() -> Self {
        Self {
            wait: Cell::default(),
            spin_for: Cell::new(SPIN_FOR),
            interruptible: Cell::default(),
            has_slept: Cell::default(),
            blocked: Cell::default(),
            watch: Cell::new(Duration::MAX),
            cancelled: Arc::default(),
        }
    }
}

impl WaitConfig {
    pub(crate) fn set(&self, wait: WaitStrategy) {
        self.wait.set(wait);
    }

    pub(crate) fn set_interruptible(&self, interruptible: bool) {
        self.interruptible.set(interruptible);
    }

    pub(super) fn is_interruptible(&self) -> bool {
        self.interruptible.get()
    }

    /// For whoever sleeps at `eventcount` with these wishes.
    pub(crate) fn canceller(&self, event: &EventCount) -> Canceller {
        Canceller::new(Arc::clone(&self.cancelled), event.clone())
    }

    pub(super) fn spins(&self) -> bool {
        cfg!(ringway_spinning) || self.wait.get() != WaitStrategy::Park
    }

    /// How long to look before sleeping; none: for ever.
    pub(super) fn spin_for(&self) -> Option<Duration> {
        let parks = !cfg!(ringway_spinning) && self.wait.get() == WaitStrategy::SpinThenPark;
        parks.then(|| self.spin_for.get())
    }

    /// Whether the last look found what is waited for about to come, held up by somebody who may be dying.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        self.blocked.set(blocked);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// How long the next sleep may be at most, whatever the caller allows: the last look before it has said so.
    pub(crate) fn set_watch(&self, most: Duration) {
        self.watch.set(most);
    }

    pub(super) fn watch(&self) -> Duration {
        self.watch.get()
    }

    pub(super) fn note_sleep(&self) {
        self.has_slept.set(true);
    }

    /// Whether the handle has slept since this was asked last.
    pub(crate) fn take_sleep(&self) -> bool {
        self.has_slept.take()
    }

    /// Whether it is to be told of sleeps. If not: whoever is woken is in a hurry.
    pub(super) fn learns(&self) -> bool {
        self.wait.get() != WaitStrategy::Park
    }

    /// A sleep that began then has ended.
    pub(super) fn learn(&self, began: Instant) {
        let (slept, spin_for) = (began.elapsed(), self.spin_for.get());
        if slept < MAX_SPIN {
            self.spin_for.set((spin_for * 2).min(MAX_SPIN));
        } else if slept > 5 * MAX_SPIN {
            self.spin_for.set((spin_for / 2).max(MIN_SPIN));
        }
    }

    /// Whether to give up.
    pub(super) fn has_ended(&self, until: Until) -> Option<Ended> {
        if self.cancelled.load(Ordering::SeqCst) != 0 {
            return Some(Ended::Cancelled);
        }
        until.left().is_none().then_some(Ended::Timeout)
    }
}

/// Where and how a handle sleeps.
pub(crate) struct Parking<'a, B = EventCount> {
    pub(crate) event: &'a B,
    pub(crate) wait_config: &'a WaitConfig,
    /// The longest sleep without another look.
    pub(crate) max_sleep: Duration,
}
