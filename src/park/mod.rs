//! Sleeping until another process says that something has changed: a [`Bell`].
//!
//! A queue has two: *messages*, on which consumers sleep and which producers ring, and *room*, the other way round.
//!
//! # The protocol
//!
//! ```text
//! sleeper                                        waker
//! 1. reads the bell                              a. changes the queue (commit, release, ...)
//! 2. arms: waiting := arrivals + 1, ARMED        b. reads `waiting`; done unless ARMED
//! 3. heavy barrier (membarrier)                  c. rings: bell += 1
//! 4. looks at the queue once more                d. futex_wake(n) on the bell
//! 5. futex_wait on the bell, if it still is 1.   e. if it woke fewer than n: CAS `waiting` from b., not ARMED
//! ```
//!
//! Between *a* and *b* stands nothing but an order to the compiler, so nobody who is not slept upon pays for it: the price
//! of the missing fence is paid by the sleeper, whose `membarrier` makes every running thread of every process that is
//! registered execute one (see [`barrier`]).
//!
//! ## No wake is lost
//!
//! *Claim.* If a change (*a*) makes the look (4) of a sleeper `S` that did not see it worth repeating, then `S` does not
//! sleep through the waker's *e*, or somebody else who sleeps was woken in its place.
//!
//! *Proof.* `S` did not see the change in 4, so it was not visible when the barrier (3) took effect in the waker's thread:
//! *a* came behind the barrier there, and with it *b*, which therefore sees what `S` armed in 2, or a later state of
//! `waiting`.
//!
//! - *b* sees ARMED. Then the bell is rung behind the arming of `S`, so behind 1: unless `S` is in the kernel already, 5 does
//!   not sleep. If it is, *d* wakes `S`, or `n` others.
//! - *b* sees a later state that is not ARMED. Somebody else's *e* took ARMED away, by a CAS from a state that counted
//!   `S` (`waiting` counts arrivals and never has an old value again). That waker read this state in its *b*, before its
//!   *c*: so it rang behind 2 of `S` and woke fewer than it wished, that is, everybody who was in the kernel then. `S` was
//!   one of them, or finds that the bell has changed.  ∎
//!
//! *Nor is one lost to the clearing.* A sleeper that *d* cannot have met, since it read the bell behind *c*, has armed
//! behind *b*: so `waiting` is not what *b* read, and *e* fails.
//!
//! One message wakes one sleeper: *d* asks for as many as there are messages, and ARMED stays as long as somebody may be
//! left. Whoever waits for room waits for room in a place of its own, so releases wake all of them.
//!
//! ## What a death costs
//!
//! A waker may be killed between *a* and *d*, and a sleeper between being woken and its look: what would have happened then
//! happens when another's slice ends. No sleep is longer than its slice (see [`crate::wait`]).
//!
//! `NEED_FENCE` is set for good by whoever cannot use membarrier; then wakers fence between *a* and *b*. What they do while
//! it is being set may cost a sleeper one slice.

pub(crate) mod barrier;
mod cancel;
mod futex;

use std::time::Duration;

pub(crate) use cancel::Cancelled;
pub use cancel::Canceller;
pub(crate) use futex::Woken;

use crate::lane::Ref;
use crate::layout::Doorbell;
use crate::sync::{Ordering, fence};

/// Somebody may sleep.
const ARMED: u64 = 1;
/// Wakers must fence: somebody takes part who cannot make them.
const NEED_FENCE: u64 = 2;
/// The queue is closed, or about to be.
const CLOSED: u64 = 4;
/// Above the flags: how often somebody has armed.
const ARRIVAL: u64 = 1 << 8;

/// So often at most is arming tried.
const MOST_TRIES: u32 = 1 << 16;

/// Where processes sleep, and are woken.
#[derive(Clone)]
pub(crate) struct Bell {
    words: Ref<Doorbell>,
}

/// What the bell was before a last look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u32);

impl Bell {
    pub(crate) fn new(words: Ref<Doorbell>) -> Self {
        Self { words }
    }

    /// Somebody takes part whom others' heavy barriers do not reach, or whose own do not work.
    pub(crate) fn need_fence(&self) {
        self.words.waiting.fetch_or(NEED_FENCE, Ordering::AcqRel);
    }

    /// Wakes up to `count` sleepers, after a change.
    #[inline(always)]
    pub(crate) fn notify(&self, count: u32) {
        let seen = barrier::light(&self.words.waiting).load(Ordering::Relaxed);
        if seen & (ARMED | NEED_FENCE) != 0 {
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
        fence(Ordering::SeqCst);
        let seen = self.words.waiting.load(Ordering::Relaxed);
        if seen & ARMED == 0 {
            return;
        }
        if self.ring(count) < count {
            // Nobody is left, unless somebody has armed since.
            let _ =
                self.words.waiting.compare_exchange(seen, seen & !ARMED, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Whoever sleeps here wakes up, armed or not.
    #[cold]
    pub(crate) fn ring_for_all(&self) {
        self.ring(u32::MAX);
    }

    fn ring(&self, count: u32) -> u32 {
        // AcqRel: whoever sees the new value also sees that `waiting` was read before.
        self.words.bell.fetch_add(1, Ordering::AcqRel);
        futex::wake(&self.words.bell, count)
    }

    /// Announces a sleeper. Look once more after this, then [`sleep`](Self::sleep).
    pub(crate) fn arm(&self) -> Ticket {
        let ticket = Ticket(self.words.bell.load(Ordering::Acquire));
        let mut seen = self.words.waiting.load(Ordering::Relaxed);
        // Bounded: whoever writes nonsense there all the time costs this sleeper its slice, not for ever.
        for _ in 0..MOST_TRIES {
            match self.words.waiting.compare_exchange_weak(
                seen,
                seen.wrapping_add(ARRIVAL) | ARMED,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(other) => seen = other,
            }
        }
        if !barrier::heavy() {
            self.need_fence();
            fence(Ordering::SeqCst);
        }
        ticket
    }

    /// Sleeps until the bell is rung, unless it was since the ticket was given, but no longer than `slice`.
    pub(crate) fn sleep(&self, ticket: Ticket, slice: Duration) -> Woken {
        futex::wait(&self.words.bell, ticket.0, slice)
    }

    /// Says that the queue is closed.
    pub(crate) fn close(&self) {
        self.words.waiting.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Whether somebody has said so.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.words.waiting.load(Ordering::Relaxed) & CLOSED != 0
    }
}
