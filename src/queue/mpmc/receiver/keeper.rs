//! Giving frames back, from whatever thread.

use super::{MpmcKeeper, Run, Taken};
use crate::links::{Held, SentLetter};
use crate::queue::Shared;
use crate::queue::bells::Bells;
use crate::queue::checksummed::serial::SerialKeeper;
use crate::queue::kind::Keeper;
use crate::sync::Ordering;

impl MpmcKeeper {
    /// What a dead letter says of itself.
    pub(in crate::queue::mpmc) fn letter(&self, taken: Taken) -> Option<SentLetter> {
        self.member.links.letter_at(taken.position)
    }
}

// SAFETY: `out` checked that each payload lies in a lane that is ready, and lanes are mapped as long as the keeper lives. A
// frame that is HELD keeps its link, and its producer does not write there before the link has moved on, by the protocol
// of links and the contract of opening the file.
unsafe impl Keeper for MpmcKeeper {
    type Taken = Taken;
    /// Its position.
    type Stub = u64;
    type Run = Run;
    type Span = Taken;

    #[inline(always)]
    fn shared(&self) -> &Shared {
        self.member.shared()
    }

    #[inline(always)]
    fn bells(&self) -> &Bells {
        &self.bells
    }

    #[inline(always)]
    fn is_own_process(&self) -> bool {
        self.member.is_own_process()
    }

    #[inline(always)]
    fn bytes(&self, taken: Taken) -> (*const u8, usize) {
        (self.lanes.memory.payload(taken.offset), taken.len)
    }

    #[inline(always)]
    fn size(_taken: Taken) -> u64 {
        1
    }

    #[inline(always)]
    fn release(&self, taken: Taken) {
        self.member.links.release(Held { position: taken.position, redeliveries: 0 });
        self.bells.room.notify_all();
    }

    #[inline(always)]
    fn stub(taken: Taken) -> u64 {
        taken.position
    }

    fn reject(&self, position: u64) {
        let links = &self.member.links;
        links.reject(links.held_at(position));
        // Guards may be anywhere: not only this thread counts here.
        links.entries[self.member.me].own.rejected.fetch_add(1, Ordering::Relaxed);
    }

    fn put_back(&self, position: u64) {
        self.member.links.put_back(self.member.links.held_at(position));
    }

    fn position(taken: Taken) -> u64 {
        taken.position
    }

    fn redeliveries(&self, taken: Taken) -> u64 {
        self.member.links.held_at(taken.position).redeliveries
    }

    #[inline(always)]
    fn run_len(run: Run) -> usize {
        run.count
    }

    #[inline(always)]
    fn run_size(_run: Run) -> u64 {
        1
    }

    #[inline(always)]
    fn run_bytes<'a>(
        &'a self,
        _run: Run,
        spans: &'a [Taken],
    ) -> impl Iterator<Item = (*const u8, usize)> + 'a {
        spans.iter().map(|taken| self.bytes(*taken))
    }

    fn run_redeliveries<'a>(&'a self, _run: Run, spans: &'a [Taken]) -> impl Iterator<Item = u64> + 'a {
        spans.iter().map(|taken| self.redeliveries(*taken))
    }

    #[inline(always)]
    fn release_run(&self, _run: Run, spans: &[Taken]) {
        self.member.links.release_all(spans.iter().map(|taken| taken.position));
        self.bells.room.notify_all();
    }

    fn reject_run(&self, _run: Run, spans: &[Taken], seen: usize) {
        let (seen, unseen) = spans.split_at(seen.min(spans.len()));
        seen.iter().for_each(|taken| self.reject(taken.position));
        unseen.iter().for_each(|taken| self.put_back(taken.position));
    }

    fn has_retry_limit(&self) -> bool {
        let policy = self.member.links.policy;
        policy.max_redeliveries != 0 && !policy.at_most_once
    }

    fn reject_of_run(&self, spans: &mut Vec<Taken>, mut indices: Vec<usize>) {
        indices.sort_unstable();
        for index in indices.into_iter().rev() {
            self.reject(spans.remove(index).position);
        }
    }

    #[inline(always)]
    fn lend_spans(&self) -> Vec<Taken> {
        self.spans.try_lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default()
    }

    #[inline(always)]
    fn return_spans(&self, spans: Vec<Taken>) {
        if let Ok(mut spare) = self.spans.try_lock() {
            spare.push(spans);
        }
    }
}

impl SerialKeeper for MpmcKeeper {
    fn serial(&self, taken: Taken) -> u64 {
        taken.position
    }

    fn run_serials<'a>(
        &'a self,
        _run: Run,
        spans: &'a [Taken],
    ) -> impl Iterator<Item = (*const u8, usize, u64)> + 'a {
        spans.iter().map(|taken| {
            let (payload, len) = self.bytes(*taken);
            (payload, len, taken.position)
        })
    }
}
