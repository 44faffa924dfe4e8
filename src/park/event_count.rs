//! The eventcount of a queue: its two words and their transitions. The protocol and its proofs: [`super`].

#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;
use std::time::Duration;

#[cfg(not(loom))]
use super::many::Watched;
use super::{Waitable, Woken, barrier, futex};
use crate::layout::{EventWords, Waiters};
use crate::retry;
use crate::shared_ref::Ref;
use crate::sync::{Ordering, PrivateWord, fence};

/// After this many fences in a row that met no sleeper, a waker stops fencing: sleeps have become
/// rare.
const MAX_IDLE_FENCES: u64 = if cfg!(loom) { 2 } else { 32 };

/// The primitive on which participants sleep and are woken.
pub(crate) struct EventCount {
    words: Ref<EventWords>,
    /// Fences of this handle since one last met a sleeper. Threads that use the handle at the same
    /// time may miscount: the count affects only time.
    idle_fences: PrivateWord,
}

/// Each handle counts its own idle fences.
impl Clone for EventCount {
    fn clone(&self) -> Self {
        Self::new(self.words.clone())
    }
}

/// The value of the eventcount before a last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u32);

/// The words of an eventcount when it was armed.
#[cfg(all(feature = "async", not(loom)))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed {
    key: Key,
    waiting: Waiters,
}

impl EventCount {
    pub(crate) fn new(words: Ref<EventWords>) -> Self {
        Self { words, idle_fences: PrivateWord::new(0) }
    }

    /// Announces a participant that the heavy barriers of others do not reach, or whose own do not
    /// work.
    pub(crate) fn need_fence(&self) {
        self.words.waiters.fetch_or(Waiters::NEED_FENCE, Ordering::AcqRel);
    }

    /// Wakes up to `count` sleepers, after a change.
    #[inline(always)]
    pub(crate) fn notify(&self, count: u32) {
        if cfg!(ringway_spinning) {
            // For `scripts/cost-of.sh` only, where no participant sleeps either (`crate::wait`):
            // measures the cost of all else.
            return;
        }
        let seen = Waiters(barrier::light(&self.words.waiters).load(Ordering::Relaxed));
        if seen.concerns_wakers() {
            self.notify_slowly(count);
        }
    }

    /// Wakes all sleepers, after a change.
    #[inline(always)]
    pub(crate) fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    #[cold]
    #[inline(never)]
    fn notify_slowly(&self, count: u32) {
        // SYNC fencing: between the change and the second load of the waiters.
        fence(Ordering::SeqCst);
        let seen = Waiters(self.words.waiters.load(Ordering::Relaxed));
        if !seen.is_armed() {
            return self.fenced_without_waiter(seen);
        }
        self.idle_fences.store(0, Ordering::Relaxed);
        if count > 0 && self.bump(count) < count {
            // No sleeper is left, unless one has armed since.
            let _ = self.exchange(seen, seen.without_sleepers());
        }
    }

    /// No participant sleeps. If that has been so for a while, wakers stop fencing for possible
    /// sleepers.
    fn fenced_without_waiter(&self, seen: Waiters) {
        let idle_fences = self.idle_fences.load(Ordering::Relaxed) + 1;
        self.idle_fences.store(idle_fences % MAX_IDLE_FENCES, Ordering::Relaxed);
        if idle_fences >= MAX_IDLE_FENCES && seen.is_fencing() {
            let _ = self.exchange(seen, seen.without_fencing());
        }
    }

    /// A message was found before or after a sleep: a sleeper that was not woken, because the
    /// caller was, may have to be woken now.
    #[cold]
    pub(crate) fn pass_on(&self, has_more: impl FnOnce() -> bool) {
        if self.is_closed() {
            self.notify_all();
        } else if has_more() {
            self.notify(1);
        }
    }

    /// Wakes all that sleep here, armed or not.
    #[cold]
    pub(crate) fn force_notify_all(&self) {
        self.bump(u32::MAX);
    }

    fn bump(&self, count: u32) -> u32 {
        // AcqRel: a sleeper that sees the new value also sees that `waiters` was read before.
        self.words.epoch.fetch_add(1, Ordering::AcqRel);
        futex::wake(&self.words.epoch, count)
    }

    /// The number of notifications.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn epoch(&self) -> u32 {
        self.words.epoch.load(Ordering::Acquire)
    }

    /// Sets the state after a heavy barrier: no participant is armed, and a fence is enough for
    /// those that arm now.
    #[cfg(all(test, loom))]
    pub(super) fn begin_with_barrier_done(&self) {
        self.words.waiters.fetch_or(Waiters::FENCING | Waiters::BARRIER_DONE, Ordering::AcqRel);
    }

    /// The first half of [`arm`](Waitable::arm): returns the waiters' word as well.
    pub(super) fn register(&self) -> (Key, Waiters) {
        let key = self.key();
        let mut seen = Waiters(self.words.waiters.load(Ordering::Relaxed));
        let mut tries = 0;
        loop {
            let armed = seen.with_arrival();
            let exchanged = self.words.waiters.compare_exchange_weak(
                seen.0,
                armed.0,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            tries += 1;
            match exchanged {
                Ok(_) => return (key, armed),
                // A process that keeps writing invalid values there costs this sleeper its timeout,
                // but does not keep it forever.
                Err(other) if retry::EVENT.is_reached(tries) => {
                    return (key, Waiters(other).without_fencing());
                }
                Err(other) => seen = Waiters(other),
            }
        }
    }

    /// The second half, for what was announced: a participant that changes something from now on
    /// sees the announcement.
    pub(super) fn barrier_after_register(announced: &[(&Self, Waiters)]) {
        if announced.iter().all(|(_, armed)| armed.is_barrier_done()) {
            // SYNC fencing: between arming and the last attempt.
            fence(Ordering::SeqCst);
        } else if barrier::heavy() {
            announced.iter().for_each(|(event, armed)| event.set_barrier_done(*armed));
        } else {
            announced.iter().for_each(|(event, _)| event.need_fence());
            fence(Ordering::SeqCst);
        }
    }

    /// Records that there was a heavy barrier since `armed` was stored.
    fn set_barrier_done(&self, armed: Waiters) {
        if !armed.is_fencing() {
            return;
        }
        // AcqRel: a sleeper that arms in this state has also acquired what the barrier has shown.
        let _ = self.exchange(armed, armed.with_barrier_done());
    }

    /// Changes the waiters' word, if it still is what was seen: otherwise another participant has
    /// changed the state, and this change is no longer right.
    fn exchange(&self, seen: Waiters, new: Waiters) -> Result<u64, u64> {
        self.words.waiters.compare_exchange(seen.0, new.0, Ordering::AcqRel, Ordering::Relaxed)
    }

    /// The present value of the eventcount.
    pub(crate) fn key(&self) -> Key {
        Key(self.words.epoch.load(Ordering::Acquire))
    }

    /// The word to sleep on until it differs from `key`.
    #[cfg(not(loom))]
    pub(crate) fn watched(&self, key: Key) -> Watched<'_> {
        Watched { word: &self.words.epoch, expected: key.0 }
    }

    /// Marks the queue as closed.
    pub(crate) fn close(&self) {
        self.words.waiters.fetch_or(Waiters::CLOSED, Ordering::AcqRel);
    }

    /// Whether the queue is marked as closed.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        Waiters(self.words.waiters.load(Ordering::Relaxed)).is_closed()
    }
}

/// An eventcount that only this process knows.
impl Default for EventCount {
    fn default() -> Self {
        Self::new(Ref::on_heap(Arc::default()))
    }
}

impl Waitable for EventCount {
    type Key = Key;

    fn arm(&self) -> Key {
        let (key, armed) = self.register();
        Self::barrier_after_register(&[(self, armed)]);
        key
    }

    fn sleep(&self, key: Key, timeout: Duration) -> Woken {
        futex::wait(&self.words.epoch, key.0, timeout)
    }
}

/// For the reactor, which sleeps for tasks.
#[cfg(all(feature = "async", not(loom)))]
impl EventCount {
    /// Arms as [`arm`](Waitable::arm) does, unless `last`, of the same eventcount, still holds: no
    /// participant has notified or armed since, so one that changes something now still finds what
    /// was armed then.
    pub(crate) fn rearm(&self, last: Option<Armed>) -> Armed {
        if let Some(last) = last
            && self.key() == last.key
            && Waiters(self.words.waiters.load(Ordering::Acquire)).is_same_arming(last.waiting)
        {
            return last;
        }
        let (key, waiting) = self.register();
        Self::barrier_after_register(&[(self, waiting)]);
        Armed { key, waiting }
    }

    /// The address of the eventcount: two eventcounts at one address are one.
    pub(crate) fn address(&self) -> usize {
        self.words.epoch.as_ptr() as usize
    }
}

#[cfg(all(feature = "async", not(loom)))]
impl Armed {
    pub(crate) fn key(self) -> Key {
        self.key
    }
}
