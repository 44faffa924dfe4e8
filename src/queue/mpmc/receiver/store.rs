//! Releasing and rejecting frames, from any thread.

use super::{MpmcFrame, MpmcFrameStore, MpmcRun};
use std::sync::Arc;

use crate::order_ring::{HeldSlot, SentDeadLetter};
use crate::queue::Shared;
use crate::queue::checksummed::serial::SerialStore;
use crate::queue::events::QueueEvents;
use crate::queue::kind::FrameStore;

impl MpmcFrameStore {
    /// The origin and the history of a dead letter.
    pub(in crate::queue::mpmc) fn letter(&self, taken: MpmcFrame) -> Option<SentDeadLetter> {
        self.participant.ring().letter_at(taken.position)
    }
}

// SAFETY: `out` checked that each payload lies in a lane that is ready, and lanes are mapped as
// long as the store lives. A frame that is HELD keeps its slot, and its producer does not write
// there before the slot has moved on, by the protocol of the order ring and the contract of opening
// the file.
unsafe impl FrameStore for MpmcFrameStore {
    type Taken = MpmcFrame;
    /// Its position.
    type RejectToken = u64;
    type Run = MpmcRun;
    type Span = MpmcFrame;

    #[inline(always)]
    fn shared(&self) -> &Arc<Shared> {
        self.participant.shared()
    }

    #[inline(always)]
    fn events(&self) -> &QueueEvents {
        &self.events
    }

    #[inline(always)]
    fn is_own_process(&self) -> bool {
        self.participant.is_own_process()
    }

    #[inline(always)]
    fn bytes(&self, taken: MpmcFrame) -> (*const u8, usize) {
        (self.lanes.memory.payload(taken.offset), taken.len)
    }

    #[inline(always)]
    fn size(_taken: MpmcFrame) -> u64 {
        1
    }

    #[inline(always)]
    fn release(&self, taken: MpmcFrame) {
        self.participant.entry().release(HeldSlot { position: taken.position, redeliveries: 0 });
        self.events.room.notify_all();
    }

    #[inline(always)]
    fn reject_token(taken: MpmcFrame) -> u64 {
        taken.position
    }

    fn reject(&self, position: u64) {
        let entry = self.participant.entry();
        entry.reject(entry.ring().held_at(position));
        entry.count_rejected();
    }

    fn put_back(&self, position: u64) {
        let entry = self.participant.entry();
        entry.put_back(entry.ring().held_at(position));
    }

    fn position(taken: MpmcFrame) -> u64 {
        taken.position
    }

    fn redeliveries(&self, taken: MpmcFrame) -> u64 {
        self.participant.ring().held_at(taken.position).redeliveries
    }

    #[inline(always)]
    fn run_len(run: MpmcRun) -> usize {
        run.count
    }

    #[inline(always)]
    fn run_size(_run: MpmcRun) -> u64 {
        1
    }

    #[inline(always)]
    fn run_bytes<'a>(
        &'a self,
        _run: MpmcRun,
        spans: &'a [MpmcFrame],
    ) -> impl Iterator<Item = (*const u8, usize)> + 'a {
        spans.iter().map(|taken| self.bytes(*taken))
    }

    fn run_redeliveries<'a>(
        &'a self,
        _run: MpmcRun,
        spans: &'a [MpmcFrame],
    ) -> impl Iterator<Item = u64> + 'a {
        spans.iter().map(|taken| self.redeliveries(*taken))
    }

    fn run_positions<'a>(&'a self, _run: MpmcRun, spans: &'a [MpmcFrame]) -> impl Iterator<Item = u64> + 'a {
        spans.iter().map(|taken| taken.position)
    }

    #[inline(always)]
    fn release_run(&self, _run: MpmcRun, spans: &[MpmcFrame]) {
        self.participant.entry().release_all(spans.iter().map(|taken| taken.position));
        self.events.room.notify_all();
    }

    fn reject_run(&self, _run: MpmcRun, spans: &[MpmcFrame], seen: usize) {
        let (seen, unseen) = spans.split_at(seen.min(spans.len()));
        seen.iter().for_each(|taken| self.reject(taken.position));
        unseen.iter().for_each(|taken| self.put_back(taken.position));
    }

    fn has_retry_limit(&self) -> bool {
        let policy = self.participant.ring().policy();
        policy.max_redeliveries != 0 && !policy.at_most_once
    }

    fn reject_of_run(&self, spans: &mut Vec<MpmcFrame>, mut indices: Vec<usize>) {
        indices.sort_unstable();
        for index in indices.into_iter().rev() {
            self.reject(spans.remove(index).position);
        }
    }

    #[inline(always)]
    fn lend_spans(&self) -> Vec<MpmcFrame> {
        self.spans.try_lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default()
    }

    #[inline(always)]
    fn return_spans(&self, spans: Vec<MpmcFrame>) {
        if let Ok(mut spare) = self.spans.try_lock() {
            spare.push(spans);
        }
    }
}

impl SerialStore for MpmcFrameStore {
    fn serial(&self, taken: MpmcFrame) -> u64 {
        taken.position
    }

    fn run_serials<'a>(
        &'a self,
        _run: MpmcRun,
        spans: &'a [MpmcFrame],
    ) -> impl Iterator<Item = (*const u8, usize, u64)> + 'a {
        spans.iter().map(|taken| {
            let (payload, len) = self.bytes(*taken);
            (payload, len, taken.position)
        })
    }
}
