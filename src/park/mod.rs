//! Sleeping until another process announces a change: the [`EventCount`].
//!
//! A queue has two. Consumers sleep on *messages*, which producers notify; producers sleep on *room*,
//! which consumers notify.
//!
//! # The protocol
//!
//! ```text
//! sleeper                                          waker
//! 1. reads the epoch: the key                      a. changes the queue (commit, release, ...)
//! 2. arms: waiters := arrivals + 1, ARMED          b. reads `waiters`; done unless ARMED
//! 3. heavy barrier (membarrier)                    c. epoch += 1
//! 4. attempts once more                            d. futex_wake(n) on the epoch
//! 5. futex_wait on the epoch, if it still is 1.    e. if it woke fewer than n: CAS `waiters` from b.,
//!                                                     not ARMED
//! ```
//!
//! Only an order to the compiler separates *a* and *b*, so this costs nothing while no participant
//! sleeps. The sleeper pays the price of the missing fence: its `membarrier` makes every running thread of
//! every registered process execute one (see [`barrier`]). (A sleeper that sleeps for every message pays
//! less: "Wakers fence" below.)
//!
//! ## No wake is lost
//!
//! *Claim.* Let the last attempt (4) of a sleeper `S` miss a change (*a*) that makes the attempt worth
//! repeating. Then `S` does not sleep through the waker's *e*, or `n` other sleepers were woken in its place.
//!
//! *Proof.* `S` did not see the change in 4, so it was not visible when the barrier (3) took effect in the
//! waker's thread: *a* came after the barrier there, and with it *b*. Therefore *b* sees what `S` armed in 2,
//! or a later state of `waiters`.
//!
//! - *b* sees ARMED. Then *c* increments the epoch after the arming of `S`, so after 1: unless `S` is in the
//!   kernel already, 5 does not sleep. If it is, *d* wakes `S`, or `n` others.
//! - *b* sees a later state that is not ARMED. Then another waker's *e* removed ARMED, by a CAS
//!   from a state that counted `S` (`waiters` counts arrivals and never has an old value again).
//!   That waker read this state in its *b*, before its *c*: so its *c* came after 2 of `S`, and its
//!   *d* woke fewer than it wished, that is, every sleeper that was in the kernel then. `S` was one
//!   of them, or finds that the epoch has changed.  ∎
//!
//! *Removing ARMED loses no wake either.* A sleeper that *d* cannot have met, since it read the epoch after
//! *c*, has armed after *b*: so `waiters` is not what *b* read, and *e* fails.
//!
//! One message wakes one sleeper: *d* asks for as many as there are messages, and ARMED stays as long as a
//! sleeper may be left. Each producer waits for room of its own, so releases wake all of them.
//!
//! ## Passing on
//!
//! A consumer that is woken in the place of `S` need not take the message: it cannot take one that is after a
//! position that is claimed and not committed, and sleeps again. So a consumer whose attempt before or after
//! a sleep finds a message notifies one more if it leaves something that could be taken (*f*), and all if
//! the queue is closed: only the taking of the last message tells the others that the queue has ended.
//! ([`pass_on`](EventCount::pass_on))
//!
//! *Claim.* While a consumer sleeps and the message at `head` is committed, a participant is on the way: a
//! waker between *a* and *d*, or a consumer that was woken and has not finished its attempts.
//!
//! *Proof.* Only the following make the message at `head` a committed one.
//!
//! - Its commit. That is an *a*, and by the claim above its waker is on the way, then the
//!   consumer that it wakes.
//! - A take that moves `head` there, from another committed message. Then a participant was on the
//!   way already and still is, unless it was the one that took. In that case it does *f*, and is a
//!   waker (the take is its *a*; if it does not see yet that the next message is committed, that
//!   commit's waker is on the way).
//! - A recovery that makes a tombstone. It notifies all.
//!
//! And a consumer that was woken ends its attempts without taking only if it has seen that the message at
//! `head` was not committed. ∎
//!
//! ## Wakers fence while sleeps follow one another
//!
//! A `membarrier` takes microseconds, and interrupts the threads that run: where each message meets
//! a sleeper, it is most of what a message costs. So arming (2) also sets FENCING. While FENCING is
//! set, wakers fence between *a* and *b* and read `waiters` again. A sleeper that has then made its
//! barrier (3) sets BARRIER_DONE, by a CAS from what it armed. A sleeper that finds BARRIER_DONE
//! when it arms only fences instead of 3. A waker whose fences have met no sleeper for a while
//! removes both flags.
//!
//! *Claim.* A sleeper `S` that armed in a state with BARRIER_DONE, and then fenced, loses no wake either.
//!
//! *Proof.* BARRIER_DONE was set by a CAS from what its setter had armed, FENCING with it. FENCING
//! is set only with an arrival, which is counted, and BARRIER_DONE is removed only together with
//! FENCING: so from before the setter's barrier until `S` armed, `waiters` had FENCING. Take a
//! waker, and its first load of `waiters` after *a*.
//!
//! - The load came before the setter's barrier in the waker's thread. So did *a*, which the setter saw from
//!   then on, and so does `S`, whose arming has acquired BARRIER_DONE.
//! - The load came after that barrier, and sees FENCING. Then the waker fences. If that is before
//!   the fence of `S`, the last attempt of `S` sees *a*. If not, what the waker loads after its
//!   fence is what `S` armed, or a later state, as above.
//! - The load came after that barrier, and does not see FENCING: that is a later state than what `S` armed.
//!   Either ARMED is in it, or ARMED was removed by *e* from a state that counted `S`, as above: FENCING is
//!   not removed while a participant may sleep.
//! - The barrier did not reach the waker. Either its process is out of reach: then it sees
//!   NEED_FENCE, which that process has set itself, and fences, as in the second case. Or its
//!   process registered too late for the setter's barrier, whose call began when FENCING was set:
//!   then what it loads after its registration is no older than that.  ∎
//!
//! Redeliveries (REDELIVER) are announced to all sleepers, so it does not matter which of them was woken for
//! what. All that sleep on *messages* would take one, but for `wait_for_producer`: it does not sleep while
//! there is a producer, and a producer notifies all when it attaches, before its first message.
//!
//! Two notifications of all also end sleeps: a close notifies all after it has set CLOSED, and a
//! [`Canceller`] after it has set its flag. A sleeper that read the epoch (1) before that does not
//! sleep, and one that reads it afterwards sees CLOSED or the flag: the increment releases, 1
//! acquires. So this needs neither ARMED nor a barrier.
//!
//! ## What is not announced
//!
//! SPSC: a consumer that releases room while there is more to be read notifies once for each
//! sixteenth of the ring, not for each frame. A producer that needs less room than that has to wait
//! until the consumer reads on or finds nothing. If the consumer does neither, holding frames or
//! not, the producer continues when its sleep timeout ends.
//!
//! ## What a death costs
//!
//! A waker may be killed or stopped between *a* and *d*, and a sleeper between being woken and its attempt.
//! What would have happened then happens when another participant's sleep timeout ends: no sleep is longer
//! than its timeout (see [`crate::wait`]). That is also the price of 2^32 notifications between 1 and 5 of a
//! sleeper that is paused there.
//!
//! A participant that cannot use membarrier sets `NEED_FENCE`, for good, before its first change to
//! the queue; from then on wakers fence between *a* and *b*. What wakers do while it is being set
//! may cost a sleeper one timeout.
//!
//! All this is checked by models: `waiting` and `room` in `model/`, with the mistakes that are easily made
//! here; and loom checks this code.

pub(crate) mod barrier;
mod cancel;
mod futex;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(not(loom))]
mod many;
#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use cancel::Canceller;
pub(crate) use cancel::{CANCELLED, Cancelled, INTERRUPTED};
pub(crate) use futex::Woken;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) use futex::wake;
#[cfg(not(loom))]
pub(crate) use many::EventSet;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) use many::{MAX_WATCHED, Watched, watch};

use crate::layout::EventWords;
use crate::retry;
use crate::shared_ref::Ref;
use crate::sync::{Ordering, PrivateWord, fence};

/// A participant may sleep.
const ARMED: u64 = 1;
/// Wakers must fence: a participant is attached that cannot make them fence.
const NEED_FENCE: u64 = 2;
/// The queue is closed, or about to be.
const CLOSED: u64 = 4;

/// Whether `waiting`, the waiters' word of the eventcount for messages, says that the queue is closed.
pub(crate) const fn says_closed(waiting: u64) -> bool {
    waiting & CLOSED != 0
}
/// Wakers fence, until the fences of one of them have met no sleeper for long enough.
const FENCING: u64 = 8;
/// There was a heavy barrier since FENCING was set: a fence is enough for a participant that arms
/// now.
const BARRIER_DONE: u64 = 16;
/// Above the flags: the number of times that a participant has armed.
const ARRIVAL: u64 = 1 << 8;

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

/// What a participant can sleep on: one eventcount, or several.
pub(crate) trait Waitable {
    /// The value before a last attempt.
    type Key: Clone;

    /// Registers a sleeper. The caller attempts once more after this, then calls
    /// [`sleep`](Self::sleep).
    fn arm(&self) -> Self::Key;

    /// Sleeps until a notification, unless there was one since the key was read, but no longer than
    /// `timeout`.
    fn sleep(&self, key: Self::Key, timeout: Duration) -> Woken;
}

/// The words of an eventcount when it was armed.
#[cfg(all(feature = "async", not(loom)))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed {
    key: Key,
    waiting: u64,
}

impl EventCount {
    pub(crate) fn new(words: Ref<EventWords>) -> Self {
        Self { words, idle_fences: PrivateWord::new(0) }
    }

    /// Announces a participant that the heavy barriers of others do not reach, or whose own do not
    /// work.
    pub(crate) fn need_fence(&self) {
        self.words.waiters.fetch_or(NEED_FENCE, Ordering::AcqRel);
    }

    /// Wakes up to `count` sleepers, after a change.
    #[inline(always)]
    pub(crate) fn notify(&self, count: u32) {
        if cfg!(ringway_spinning) {
            // For `scripts/cost-of.sh` only, where no participant sleeps either (`crate::wait`):
            // measures the cost of all else.
            return;
        }
        let seen = barrier::light(&self.words.waiters).load(Ordering::Relaxed);
        if seen & (ARMED | NEED_FENCE | FENCING) != 0 {
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
        let seen = self.words.waiters.load(Ordering::Relaxed);
        if seen & ARMED == 0 {
            return self.fenced_without_waiter(seen);
        }
        self.idle_fences.store(0, Ordering::Relaxed);
        if count > 0 && self.bump(count) < count {
            // No sleeper is left, unless one has armed since.
            let _ =
                self.words.waiters.compare_exchange(seen, seen & !ARMED, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// No participant sleeps. If that has been so for a while, wakers stop fencing for possible
    /// sleepers.
    fn fenced_without_waiter(&self, seen: u64) {
        let idle_fences = self.idle_fences.load(Ordering::Relaxed) + 1;
        self.idle_fences.store(idle_fences % MAX_IDLE_FENCES, Ordering::Relaxed);
        if idle_fences >= MAX_IDLE_FENCES && seen & FENCING != 0 {
            let calm = seen & !(FENCING | BARRIER_DONE);
            let _ = self.words.waiters.compare_exchange(seen, calm, Ordering::AcqRel, Ordering::Relaxed);
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

    /// The first half of [`arm`](Waitable::arm): returns the waiters' word as well.
    fn register(&self) -> (Key, u64) {
        let key = self.key();
        let mut seen = self.words.waiters.load(Ordering::Relaxed);
        let mut tries = 0;
        loop {
            let armed = seen.wrapping_add(ARRIVAL) | ARMED | FENCING;
            let exchanged =
                self.words.waiters.compare_exchange_weak(seen, armed, Ordering::AcqRel, Ordering::Relaxed);
            tries += 1;
            match exchanged {
                Ok(_) => return (key, armed),
                // A process that keeps writing invalid values there costs this sleeper its timeout,
                // but does not keep it forever.
                Err(other) if retry::EVENT.is_reached(tries) => {
                    return (key, other & !(FENCING | BARRIER_DONE));
                }
                Err(other) => seen = other,
            }
        }
    }

    /// The second half, for what was announced: a participant that changes something from now on
    /// sees the announcement.
    fn barrier_after_register(announced: &[(&Self, u64)]) {
        if announced.iter().all(|(_, armed)| armed & BARRIER_DONE != 0) {
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
    fn set_barrier_done(&self, armed: u64) {
        if armed & FENCING == 0 {
            return;
        }
        // AcqRel: a sleeper that arms in this state has also acquired what the barrier has shown.
        let _ = self.words.waiters.compare_exchange(
            armed,
            armed | BARRIER_DONE,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    /// The present value of the eventcount.
    pub(crate) fn key(&self) -> Key {
        Key(self.words.epoch.load(Ordering::Acquire))
    }

    /// Marks the queue as closed.
    pub(crate) fn close(&self) {
        self.words.waiters.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Whether the queue is marked as closed.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        says_closed(self.words.waiters.load(Ordering::Relaxed))
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
            && (self.words.waiters.load(Ordering::Acquire) ^ last.waiting) & !BARRIER_DONE == 0
        {
            return last;
        }
        let (key, waiting) = self.register();
        Self::barrier_after_register(&[(self, waiting)]);
        Armed { key, waiting }
    }

    /// The word to sleep on until it differs from `key`.
    pub(crate) fn watched(&self, key: Key) -> Watched<'_> {
        Watched { word: &self.words.epoch, expected: key.0 }
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
