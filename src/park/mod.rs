//! Sleeping until another process says that something has changed: a [`EventCount`].
//!
//! A queue has two: *messages*, on which consumers sleep and which producers ring, and *room*, the other way round.
//!
//! # The protocol
//!
//! ```text
//! sleeper                                        waker
//! 1. reads the eventcount                              a. changes the queue (commit, release, ...)
//! 2. arms: waiting := arrivals + 1, ARMED        b. reads `waiting`; done unless ARMED
//! 3. heavy barrier (membarrier)                  c. epoch: eventcount += 1
//! 4. attempts at the queue once more                d. futex_wake(n) on the eventcount
//! 5. futex_wait on the eventcount, if it still is 1.   e. if it woke fewer than n: CAS `waiting` from b., not ARMED
//! ```
//!
//! Between *a* and *b* stands nothing but an order to the compiler, so nobody who is not slept upon pays for it: the price
//! of the missing fence is paid by the sleeper, whose `membarrier` makes every running thread of every process that is
//! registered execute one (see [`barrier`]). (Who sleeps for every message pays less: "Wakers fence" below.)
//!
//! ## No wake is lost
//!
//! *Claim.* If a change (*a*) makes the look (4) of a sleeper `S` that did not see it worth repeating, then `S` does not
//! sleep through the waker's *e*, or `n` others who slept were woken in its place.
//!
//! *Proof.* `S` did not see the change in 4, so it was not visible when the barrier (3) took effect in the waker's thread:
//! *a* came behind the barrier there, and with it *b*, which therefore sees what `S` armed in 2, or a later state of
//! `waiting`.
//!
//! - *b* sees ARMED. Then the eventcount is notified behind the arming of `S`, so behind 1: unless `S` is in the kernel already, 5 does
//!   not sleep. If it is, *d* wakes `S`, or `n` others.
//! - *b* sees a later state that is not ARMED. Somebody else's *e* took ARMED away, by a CAS from a state that counted
//!   `S` (`waiting` counts arrivals and never has an old value again). That waker read this state in its *b*, before its
//!   *c*: so it rang behind 2 of `S` and woke fewer than it wished, that is, everybody who was in the kernel then. `S` was
//!   one of them, or finds that the eventcount has changed.  ∎
//!
//! *Nor is one lost to the clearing.* A sleeper that *d* cannot have met, since it read the eventcount behind *c*, has armed
//! behind *b*: so `waiting` is not what *b* read, and *e* fails.
//!
//! One message wakes one sleeper: *d* asks for as many as there are messages, and ARMED stays as long as somebody may be
//! left. Whoever waits for room waits for room in a place of its own, so releases wake all of them.
//!
//! ## A ring is passed on
//!
//! Somebody woken in the place of `S` need not take the message: a consumer cannot take one that stands behind a position
//! that is claimed and not committed, and sleeps again. So whoever finds something in a look beside a sleep epoch for one more
//! if it leaves something that could be taken (*f*), and for all if the queue is closed: nothing but the last message being
//! taken tells the others that it is over. ([`pass_on`](EventCount::pass_on))
//!
//! *Claim.* While a consumer sleeps and the message at `head` is committed, somebody is on the way: a waker between *a* and
//! *d*, or a consumer that was woken and has not finished its attempts.
//!
//! *Proof.* Only these make it so that the message at `head` is committed. Its commit: that is an *a*, and by the claim above
//! its waker is on the way, then whom it wakes. A take that moves `head` there, from another committed message: somebody was
//! on the way already and still is, unless it was that one who took; then it does *f*, and is a waker (the take is its *a*; if
//! it does not see yet that the next message is committed, that commit's waker is on the way). A recovery that makes a
//! tombstone: it epoch for all. And whoever was woken ends its attempts without taking only if it has seen that the message at
//! `head` was not committed. ∎
//!
//! ## Wakers fence while sleeps follow one another
//!
//! A `membarrier` takes microseconds, and interrupts whoever runs: where each message meets a sleeper, that is most of what a
//! message takes. So arming (2) also sets FENCING, by which wakers fence between *a* and *b* and read `waiting` again; and
//! whoever has then made its barrier (3) says so by BARRIER_DONE, by a CAS from what it armed. A sleeper that finds BARRIER_DONE when it arms
//! only fences instead of 3. A waker that has fenced in vain for a while takes both away.
//!
//! *Claim.* A sleeper `S` that armed in a state with BARRIER_DONE, and then fenced, loses no wake either.
//!
//! *Proof.* BARRIER_DONE was set by a CAS from what its setter had armed, FENCING with it. FENCING comes only with an arrival, which is
//! counted, and BARRIER_DONE goes only together with FENCING: so from before the setter's barrier until `S` armed, `waiting` had
//! FENCING. Take a waker, and its first load of `waiting` behind *a*.
//!
//! - It came before the setter's barrier in the waker's thread. So did *a*, which the setter saw from then on, and so does
//!   `S`, whose arming has acquired BARRIER_DONE.
//! - It came behind that barrier, and sees FENCING. Then the waker fences. If that is before the fence of `S`, the look of `S`
//!   sees *a*. If not, what the waker loads behind its fence is what `S` armed, or a later state, as above.
//! - It came behind that barrier, and does not see FENCING: that is a later state than what `S` armed. Either ARMED is in it, or
//!   was taken away by *e* from a state that counted `S`, as above: FENCING is not taken away while somebody may sleep.
//! - No barrier reached it. Either its process is out of reach: then it sees NEED_FENCE, which that process has set itself, and
//!   fences, as in the second case. Or its process registered too late for the setter's barrier, whose call began when FENCING
//!   was set: then what it loads behind its registration is no older than that.  ∎
//!
//! What comes again (REDELIVER) is announced to all sleepers, so it does not matter which of them was woken for what. Nobody
//! sleeps at *messages* who would not take one, but for `wait_for_producer`: and that one does not sleep while there is a
//! producer, which epoch for all when it comes, before its first message.
//!
//! The sleep also ends by a ring for all: at a close, after CLOSED is set, and by a [`Canceller`], after its flag. Whoever has
//! read the eventcount (1) before that does not sleep, and whoever reads it behind sees CLOSED or the flag: the ring releases, 1
//! acquires. So that needs neither ARMED nor barrier.
//!
//! ## What is no change
//!
//! SPSC: a consumer that gives back room while there is more to be read epoch for a sixteenth of the ring, not for each frame.
//! A producer that wants less has to wait until the consumer reads on or finds nothing; one whose consumer does neither,
//! holding or not, goes on when its timeout ends.
//!
//! ## What a death costs
//!
//! A waker may be killed between *a* and *d*, and a sleeper between being woken and its look, or be stopped there: what would
//! have happened then happens when another's timeout ends. No sleep is longer than its timeout (see [`crate::wait`]). That is also
//! the price of 2^32 epoch between 1 and 5 of somebody who is paused there.
//!
//! `NEED_FENCE` is set for good by whoever cannot use membarrier, before its first change to the queue; then wakers fence
//! between *a* and *b*. What they do while it is being set may cost a sleeper one timeout.
//!
//! All this is checked in models: `model/`, `waiting` and `room`, with the mistakes that are easily made here; and this code
//! under loom.

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

pub(crate) use cancel::Cancelled;
pub use cancel::Canceller;
pub(crate) use futex::Woken;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) use futex::wake;
#[cfg(not(loom))]
pub(crate) use many::EventSet;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) use many::{MAX_WATCHED, Watched, watch};

use crate::layout::EventWords;
use crate::shared_ref::Ref;
use crate::sync::{Ordering, PrivateWord, fence};

/// Somebody may sleep.
const ARMED: u64 = 1;
/// Wakers must fence: somebody takes part who cannot make them.
const NEED_FENCE: u64 = 2;
/// The queue is closed, or about to be.
const CLOSED: u64 = 4;

/// Whether the `waiting` word of the eventcount for messages says that the queue is closed.
pub(crate) const fn says_closed(waiting: u64) -> bool {
    waiting & CLOSED != 0
}
/// Wakers fence, until one of them has done so in vain for long enough.
const FENCING: u64 = 8;
/// There was a heavy barrier since FENCING was set: a fence is enough for whoever arms now.
const BARRIER_DONE: u64 = 16;
/// Above the flags: how often somebody has armed.
const ARRIVAL: u64 = 1 << 8;

/// So many fences that met nobody, one after the other, and a waker fences no more: sleeps have become rare.
const MAX_IDLE_FENCES: u64 = if cfg!(loom) { 2 } else { 32 };

/// Retry limit, so that corrupt words cannot cause a livelock.
const RETRY_LIMIT: u32 = 1 << 16;

/// Where processes sleep, and are woken.
pub(crate) struct EventCount {
    words: Ref<EventWords>,
    /// Fences of this handle that met nobody, since one did. Whoever uses it at the same time may miscount: it is about time
    /// only.
    idle_fences: PrivateWord,
}

/// Each handle counts for itself.
impl Clone for EventCount {
    fn clone(&self) -> Self {
        Self::new(self.words.clone())
    }
}

/// What the eventcount was before a last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u32);

/// What can be slept on: one eventcount, or several.
pub(crate) trait Waitable {
    /// What was before a last look.
    type Key;

    /// Announces a sleeper. Look once more after this, then [`sleep`](Self::sleep).
    fn arm(&self) -> Self::Key;

    /// Sleeps until it epoch, unless it has since the key was given, but no longer than `timeout`.
    fn sleep(&self, key: Self::Key, timeout: Duration) -> Woken;
}

/// The words of a eventcount when somebody armed it.
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

    /// Somebody takes part whom others' heavy barriers do not reach, or whose own do not work.
    pub(crate) fn need_fence(&self) {
        self.words.waiters.fetch_or(NEED_FENCE, Ordering::AcqRel);
    }

    /// Wakes up to `count` sleepers, after a change.
    #[inline(always)]
    pub(crate) fn notify(&self, count: u32) {
        if cfg!(ringway_spinning) {
            // For `scripts/cost-of.sh` only, where nobody sleeps either (`crate::wait`): what the rest costs.
            return;
        }
        let seen = barrier::light(&self.words.waiters).load(Ordering::Relaxed);
        if seen & (ARMED | NEED_FENCE | FENCING) != 0 {
            self.notify_slowly(count);
        }
    }

    /// Wakes everybody, after a change.
    #[inline(always)]
    pub(crate) fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    #[cold]
    #[inline(never)]
    fn notify_slowly(&self, count: u32) {
        // SYNC fencing: between the change and the look at who sleeps.
        fence(Ordering::SeqCst);
        let seen = self.words.waiters.load(Ordering::Relaxed);
        if seen & ARMED == 0 {
            return self.fenced_without_waiter(seen);
        }
        self.idle_fences.store(0, Ordering::Relaxed);
        if count > 0 && self.bump(count) < count {
            // Nobody is left, unless somebody has armed since.
            let _ =
                self.words.waiters.compare_exchange(seen, seen & !ARMED, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Nobody sleeps. If that has been so for a while, nobody need fence for those who may.
    fn fenced_without_waiter(&self, seen: u64) {
        let idle_fences = self.idle_fences.load(Ordering::Relaxed) + 1;
        self.idle_fences.store(idle_fences % MAX_IDLE_FENCES, Ordering::Relaxed);
        if idle_fences >= MAX_IDLE_FENCES && seen & FENCING != 0 {
            let calm = seen & !(FENCING | BARRIER_DONE);
            let _ = self.words.waiters.compare_exchange(seen, calm, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Something was found beside a sleep: whoever was not woken, because that one was, may have to be now.
    #[cold]
    pub(crate) fn pass_on(&self, has_more: impl FnOnce() -> bool) {
        if self.is_closed() {
            self.notify_all();
        } else if has_more() {
            self.notify(1);
        }
    }

    /// Whoever sleeps here wakes up, armed or not.
    #[cold]
    pub(crate) fn force_notify_all(&self) {
        self.bump(u32::MAX);
    }

    fn bump(&self, count: u32) -> u32 {
        // AcqRel: whoever sees the new value also sees that `waiting` was read before.
        self.words.epoch.fetch_add(1, Ordering::AcqRel);
        futex::wake(&self.words.epoch, count)
    }

    /// How often it was notified.
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
                // Whoever writes nonsense there all the time costs this sleeper its timeout, but does not keep it for ever.
                Err(other) if tries == RETRY_LIMIT => return (key, other & !(FENCING | BARRIER_DONE)),
                Err(other) => seen = other,
            }
        }
    }

    /// The second half, for what was announced: whoever changes something from now on sees that.
    fn barrier_after_register(announced: &[(&Self, u64)]) {
        if announced.iter().all(|(_, armed)| armed & BARRIER_DONE != 0) {
            // SYNC fencing: between arming and the last look.
            fence(Ordering::SeqCst);
        } else if barrier::heavy() {
            announced.iter().for_each(|(event, armed)| event.set_barrier_done(*armed));
        } else {
            announced.iter().for_each(|(event, _)| event.need_fence());
            fence(Ordering::SeqCst);
        }
    }

    /// There was a heavy barrier since that was armed.
    fn set_barrier_done(&self, armed: u64) {
        if armed & FENCING == 0 {
            return;
        }
        // AcqRel: whoever arms in this state has also acquired what the barrier has shown.
        let _ = self.words.waiters.compare_exchange(
            armed,
            armed | BARRIER_DONE,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    /// What the eventcount is now.
    pub(crate) fn key(&self) -> Key {
        Key(self.words.epoch.load(Ordering::Acquire))
    }

    /// Says that the queue is closed.
    pub(crate) fn close(&self) {
        self.words.waiters.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Whether somebody has said so.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        says_closed(self.words.waiters.load(Ordering::Relaxed))
    }
}

/// A eventcount that only this process knows.
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

/// For whoever sleeps for others.
#[cfg(all(feature = "async", not(loom)))]
impl EventCount {
    /// As [`arm`](Waitable::arm), unless `last`, of the same eventcount, still holds: nobody has notified and nobody has armed since, so
    /// whoever changes something now still finds what was armed then.
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

    /// To be slept on until it is something else than then.
    pub(crate) fn watched(&self, key: Key) -> Watched<'_> {
        Watched { word: &self.words.epoch, expected: key.0 }
    }

    /// Where it is: two eventcounts at one address are one.
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
