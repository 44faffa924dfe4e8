//! Where a consumer begins, and moving it.

use std::cell::Cell;
use std::sync::Arc;

use super::super::subscribe::{ConsumerMode, Start, Subscribe};
use super::BroadcastReceiver;
use super::copies::Copies;
use super::tracker::Tracker;
use crate::error::AttachError;
use crate::lane::Corruption;
use crate::layout::order::EntryRole;
use crate::order_ring::Registry as _;
use crate::order_ring::broadcast::BroadcastRing;
use crate::queue::Shared;
use crate::queue::mpmc::mapping::Lanes;
use crate::queue::mpmc::participant::Participant;
use crate::queue::mpmc::stall::StallDetector;

impl BroadcastReceiver {
    pub(in crate::queue::broadcast) fn attach(
        shared: Arc<Shared>,
        subscribe: &Subscribe,
    ) -> Result<Self, AttachError> {
        let geometry = *shared.geometry();
        let admits_gates = geometry.broadcast().is_some_and(|broadcast| broadcast.admits_gates);
        if subscribe.mode != ConsumerMode::Lossy && !admits_gates {
            return Err(AttachError::NotAdmitted { path: shared.path().to_path_buf() });
        }
        let participant = Participant::<BroadcastRing>::attach(Arc::clone(&shared), EntryRole::Consumer)?;
        participant.entry().set_mode(subscribe.mode.into());
        let lanes = Lanes::map(&shared, participant.ring().order())
            .map_err(shared.not_mapped("mapping the lanes", geometry.lane_len))?;
        let lane_count = participant.ring().producers();
        let mut receiver = Self {
            mode: subscribe.mode,
            on_lag: subscribe.on_lag,
            next: Cell::new(0),
            lag: Cell::new(0),
            is_blocked: Cell::new(false),
            notify_due: Cell::new(0),
            tracker: Tracker::new(0),
            copies: Copies::default(),
            stall: StallDetector::default(),
            ready: vec![Cell::new(false); lane_count],
            spans: Cell::default(),
            max_payload: geometry.max_payload,
            granule: geometry.align,
            lanes,
            events: shared.events().clone(),
            participant,
        };
        receiver.seek(subscribe.start)?;
        Ok(receiver)
    }

    /// Continues at another position; returns which. What was missed before and not reported yet is
    /// still reported. Needs the consumer exclusively: no guard may be left.
    pub(in crate::queue) fn seek(&mut self, start: Start) -> Result<u64, AttachError> {
        let shared = self.participant.shared();
        if !self.participant.is_own_process() {
            return Err(match shared.is_truncated() {
                true => AttachError::Truncated { path: shared.path().to_path_buf() },
                false => AttachError::Forked,
            });
        }
        let ring = self.ring();
        let (oldest, newest) = (ring.oldest(), ring.newest());
        let position = start.position(oldest, newest);
        let corrupted = |found| {
            let corruption = Corruption { word: "floor", position: newest, found };
            AttachError::Corrupted(shared.corrupted(corruption))
        };
        if oldest > newest {
            return Err(corrupted(oldest));
        }
        if !ring.is_reached(position) {
            let path = shared.path().to_path_buf();
            return Err(AttachError::NotReached { path, position, newest });
        }
        let (from, cursor) = (position.max(oldest), self.participant.entry().cursor());
        let next = match self.mode {
            ConsumerMode::Reliable => cursor.join(from),
            ConsumerMode::Lossy => from,
            ConsumerMode::LossyInPlace => {
                cursor.remove();
                from
            }
        };
        // Another raise may have come before the join, but not beyond the end.
        if next > from && next > ring.newest() {
            return Err(corrupted(next));
        }
        let lag = if let Start::At(position) = start { next - position } else { 0 };
        self.tracker.restart(next);
        self.copies.release_all();
        self.next.set(next);
        self.lag.set(self.lag.get().saturating_add(lag));
        let entry = self.participant.entry();
        entry.record_next(next);
        entry.count_lagged(lag);
        // What it kept before may be room now.
        self.notify_room();
        Ok(next)
    }
}
