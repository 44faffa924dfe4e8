//! The configuration of a handle's waits.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Ended, Until};
use crate::park::{CANCELLED, Cancelled, Canceller, EventCount, INTERRUPTED};
use crate::sync::Ordering;

/// How a handle waits for a message or for room.
///
/// | | latency of the wake | costs |
/// |---|---|---|
/// | `Spin` | that of a cache line, some 100 ns | a whole core |
/// | `SpinThenPark` | as `Spin` while messages are less than some 100 µs apart, else as `Park` | up to 200 µs of a core for each wait |
/// | `Park` | that of a system call and a scheduler, 5 to 100 µs | two system calls a wait, and one for the participant that wakes it |
///
/// While no participant sleeps, no participant makes a system call for a message, whatever the
/// strategies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Polls continuously, and yields the processor to other threads now and then.
    Spin,
    /// Polls for about as long as a sleep would cost (it learns how much that is), then sleeps.
    #[default]
    SpinThenPark,
    /// Sleeps immediately.
    Park,
}

/// How long a wait polls before it sleeps, about the cost of a sleep and a wake: at first ...
const SPIN_FOR: Duration = Duration::from_micros(50);
/// ... at least, where messages are rare ...
const MIN_SPIN: Duration = Duration::from_micros(10);
/// ... and at most, where polling a little longer would have avoided the sleep.
const MAX_SPIN: Duration = Duration::from_micros(200);

/// A wait with an interrupt check calls it this often: a user who presses Ctrl-C notices no delay
/// below 50 ms, and each call wakes the thread, which costs some 40 µs of a processor's time.
pub(super) const INTERRUPT_CHECK: Duration = Duration::from_millis(40);
/// The longest sleep of such a wait: a multiple, so that no piece of it is short.
pub(super) const MAX_CHECKED_SLEEP: Duration = Duration::from_millis(80);

/// A handle's settings, and what it has learnt.
pub(crate) struct WaitConfig {
    wait: Cell<WaitStrategy>,
    spin_for: Cell<Duration>,
    interruptible: Cell<bool>,
    /// Tells whether waits are to end ...
    interrupt_check: Cell<Option<fn() -> bool>>,
    /// ... and was last called then, but for calls between pieces of a sleep.
    checked_at: Cell<Option<Instant>>,
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
            interrupt_check: Cell::default(),
            checked_at: Cell::default(),
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

    /// These settings, for one call of one of the threads that share the handle: what its waits note
    /// is the call's own. Cancelling the handle ends it too.
    pub(crate) fn for_one_call(&self) -> Self {
        Self {
            wait: self.wait.clone(),
            spin_for: self.spin_for.clone(),
            interruptible: self.interruptible.clone(),
            interrupt_check: self.interrupt_check.clone(),
            cancelled: Arc::clone(&self.cancelled),
            ..Self::default()
        }
    }

    /// Learns what one such call has learnt.
    pub(crate) fn learn_from(&self, call: &Self) {
        self.spin_for.set(call.spin_for.get());
    }

    pub(crate) fn set_interrupt_check(&self, check: Option<fn() -> bool>) {
        self.interrupt_check.set(check);
    }

    pub(super) fn interrupt_check(&self) -> Option<fn() -> bool> {
        self.interrupt_check.get()
    }

    /// Calls the interrupt check, if there is one and this has not done so for a while.
    pub(super) fn is_interrupted_by_check(&self) -> bool {
        let Some(check) = self.interrupt_check.get() else { return false };
        let now = Instant::now();
        let is_due = match self.checked_at.get() {
            Some(checked_at) => now.saturating_duration_since(checked_at) >= INTERRUPT_CHECK,
            None => true,
        };
        if is_due {
            self.checked_at.set(Some(now));
        }
        is_due && check()
    }

    pub(super) fn is_interruptible(&self) -> bool {
        self.interruptible.get()
    }

    /// A canceller for a handle that sleeps on `event` with these settings.
    pub(crate) fn canceller(&self, event: &EventCount) -> Canceller {
        Canceller::new(Arc::clone(&self.cancelled), event.clone())
    }

    pub(super) fn spins(&self) -> bool {
        cfg!(ringway_spinning) || self.wait.get() != WaitStrategy::Park
    }

    /// How long to poll before a sleep; `None`: forever.
    pub(super) fn spin_for(&self) -> Option<Duration> {
        let parks = !cfg!(ringway_spinning) && self.wait.get() == WaitStrategy::SpinThenPark;
        parks.then(|| self.spin_for.get())
    }

    /// Records whether the last attempt found that a participant whose process may be exiting, or that
    /// will not notify this handle, blocks what is waited for.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        self.blocked.set(blocked);
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Limits the next sleep, whatever the caller allows. The last attempt before the sleep calls
    /// this.
    pub(crate) fn set_watch(&self, most: Duration) {
        self.watch.set(most);
    }

    pub(super) fn watch(&self) -> Duration {
        self.watch.get()
    }

    pub(super) fn note_sleep(&self) {
        self.has_slept.set(true);
    }

    /// Whether the handle has slept since the last call of this.
    pub(crate) fn take_sleep(&self) -> bool {
        self.has_slept.take()
    }

    /// Whether `learn` is to be called after sleeps. If not, a woken handle loses no time with it.
    pub(super) fn learns(&self) -> bool {
        self.wait.get() != WaitStrategy::Park
    }

    /// Learns from a sleep that began at `began` and has ended.
    pub(super) fn learn(&self, began: Instant) {
        let (slept, spin_for) = (began.elapsed(), self.spin_for.get());
        if slept < MAX_SPIN {
            self.spin_for.set((spin_for * 2).min(MAX_SPIN));
        } else if slept > 5 * MAX_SPIN {
            self.spin_for.set((spin_for / 2).max(MIN_SPIN));
        }
    }

    /// Why the wait has to end now, if it has to.
    pub(super) fn has_ended(&self, until: Until) -> Option<Ended> {
        match self.cancelled.load(Ordering::SeqCst) {
            0 => {}
            both if both & CANCELLED != 0 => return Some(Ended::Cancelled),
            _ => {
                // It ends one call. Of several threads that share the handle, one takes it.
                if self.cancelled.fetch_and(!INTERRUPTED, Ordering::SeqCst) & INTERRUPTED != 0 {
                    return Some(Ended::Interrupted);
                }
            }
        }
        until.left().is_none().then_some(Ended::Timeout)
    }

    /// What [`has_ended`](Self::has_ended) said did not end the call, which has found something at the
    /// last moment: an interrupt ends the next one.
    pub(super) fn did_not_end(&self, ended: Ended) {
        if ended == Ended::Interrupted {
            self.cancelled.fetch_or(INTERRUPTED, Ordering::SeqCst);
        }
    }
}

/// The eventcount on which a handle sleeps, and its settings.
pub(crate) struct Parking<'a, B = EventCount> {
    pub(crate) event: &'a B,
    pub(crate) wait_config: &'a WaitConfig,
    /// The longest sleep without another attempt.
    pub(crate) max_sleep: Duration,
}
