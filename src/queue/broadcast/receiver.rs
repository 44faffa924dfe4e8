//! One of the consumers.
#![allow(unsafe_code, reason = "vouches for the frames that the order ring refers to")]

mod attach;
mod attempt;
mod copies;
mod store;
#[cfg(all(test, not(loom)))]
mod tests;
mod tracker;

use std::cell::Cell;

use self::copies::Copies;
use self::tracker::Tracker;
use super::subscribe::{ConsumerMode, Start};
use crate::lane::Corruption;
use crate::layout::order::EntryRole;
use crate::order_ring::Registry as _;
use crate::order_ring::broadcast::{BroadcastRing, Seen};
use crate::park::barrier;
use crate::queue::events::QueueEvents;
use crate::queue::kind::Receiver;
use crate::queue::mpmc::mapping::Lanes;
use crate::queue::mpmc::participant::Participant;
use crate::queue::mpmc::stall::StallDetector;
use crate::queue::recovery_failures::RecoveryFailures;
use crate::sync::{Ordering, fence};
use crate::wait::Attempt;

/// Its own store, and not `Sync`: frames stay in the thread of their consumer.
pub(crate) struct BroadcastReceiver {
    mode: ConsumerMode,
    /// Where it continues after it has missed messages.
    on_lag: Start,
    /// The position that is taken next.
    next: Cell<u64>,
    /// Positions that were missed and not reported yet.
    lag: Cell<u64>,
    is_blocked: Cell<bool>,
    /// Producers that wait are notified when it has released up to here.
    notify_due: Cell<u64>,
    tracker: Tracker,
    copies: Copies,
    stall: StallDetector,
    /// Lanes that were seen to be ready.
    ready: Vec<Cell<bool>>,
    /// Kept between batches, so that steady traffic allocates nothing.
    spans: Cell<Vec<BroadcastFrame>>,
    max_payload: u64,
    granule: u64,
    /// All lanes, read-only.
    lanes: Lanes,
    events: QueueEvents,
    /// Last, so that everything above is gone when the entry is free.
    participant: Participant<BroadcastRing>,
}

/// A frame in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BroadcastFrame {
    position: u64,
    /// Offset of the payload, in all lanes.
    offset: usize,
    len: usize,
    /// Number of its copy; meaningless for frames that are read in place.
    copy: usize,
}

/// Frames that were taken together.
#[derive(Clone, Copy)]
pub(crate) struct BroadcastRun {
    count: usize,
}

impl BroadcastReceiver {
    #[inline(always)]
    fn ring(&self) -> &BroadcastRing {
        self.participant.ring()
    }

    /// The position of the next message, a moment ago.
    pub(super) fn newest(&self) -> u64 {
        self.ring().newest()
    }
}

// SAFETY: a position is taken once, by moving `next` over it, and again only after it was rejected,
// or after a seek, which needs the consumer exclusively, so that no guard is left.
unsafe impl Receiver for BroadcastReceiver {
    type FrameStore = Self;

    #[inline(always)]
    fn store(&self) -> &Self {
        self
    }

    #[inline(always)]
    fn take(&self) -> Result<Option<BroadcastFrame>, Corruption> {
        self.attempt(true)
    }

    #[inline(always)]
    fn take_waiting(&self, which: Attempt) -> Result<Option<BroadcastFrame>, Corruption> {
        self.attempt(Self::is_exact(which))
    }

    fn can_take(&self, which: Attempt) -> Result<bool, Corruption> {
        if self.lag.get() != 0 || self.tracker.has_rejected() {
            return Ok(true);
        }
        self.is_ready(Self::is_exact(which))
    }

    #[inline(always)]
    fn take_many(
        &self,
        max: usize,
        spans: &mut Vec<BroadcastFrame>,
    ) -> Result<Option<BroadcastRun>, Corruption> {
        self.attempt_many(max, spans, true)
    }

    #[inline(always)]
    fn take_many_waiting(
        &self,
        max: usize,
        spans: &mut Vec<BroadcastFrame>,
        which: Attempt,
    ) -> Result<Option<BroadcastRun>, Corruption> {
        self.attempt_many(max, spans, Self::is_exact(which))
    }

    /// Each consumer is woken for itself.
    fn has_more(&self) -> bool {
        false
    }

    fn position(&self) -> u64 {
        self.next.get()
    }

    fn first_undelivered(&self) -> u64 {
        self.next.get()
    }

    fn flush(&self) {
        self.flush_released();
    }

    fn waiting(&self) -> u64 {
        self.ring().newest().saturating_sub(self.next.get()) + self.tracker.rejected()
    }

    fn lag(&self) -> Option<u64> {
        let lag = self.lag.take();
        (lag != 0).then_some(lag)
    }

    fn is_blocked(&self) -> bool {
        self.is_blocked.get()
    }

    fn has_producer(&self) -> std::io::Result<bool> {
        let probe = self.participant.probe();
        probe.answered(self.ring().order().has_live(EntryRole::Producer, &probe))
    }

    fn recovery_failures(&self) -> Option<&RecoveryFailures> {
        Some(self.participant.recovery_failures())
    }

    /// From now on nothing is claimed, or, by one writer, what was committed before the close is
    /// found by the next attempt.
    fn finish_close(&self) {
        self.ring().close();
        if self.ring().has_one_writer() && !barrier::heavy() {
            // At least what the process that closed had seen.
            fence(Ordering::SeqCst);
        }
    }

    fn is_drained(&self) -> bool {
        !self.tracker.has_rejected()
            && match self.ring().has_one_writer() {
                true => !matches!(self.ring().see(self.next.get()), Seen::Frame(_)),
                false => self.next.get() >= self.ring().newest(),
            }
    }
}
