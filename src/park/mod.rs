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
mod event_count;
mod futex;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(not(loom))]
mod many;

use std::time::Duration;

pub use cancel::Canceller;
pub(crate) use cancel::{CANCELLED, Cancelled, INTERRUPTED};
#[cfg(all(feature = "async", not(loom)))]
pub(crate) use event_count::Armed;
pub(crate) use event_count::EventCount;
#[cfg(not(loom))]
pub(crate) use event_count::Key;
pub(crate) use futex::Woken;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) use futex::wake;
#[cfg(not(loom))]
pub(crate) use many::EventSet;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) use many::{MAX_WATCHED, Watched, watch};

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
