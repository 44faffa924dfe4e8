//! The store of frames whose trailers are hidden.
#![allow(unsafe_code, reason = "vouches for the frames of another store")]

use std::sync::Arc;

use super::serial::SerialStore;
use crate::queue::Shared;
use crate::queue::events::QueueEvents;
use crate::queue::file::trailer::{self, LEN};
use crate::queue::kind::FrameStore;

/// The inner store, without trailers.
#[repr(transparent)]
pub(crate) struct CheckedStore<K>(pub(super) K);

impl<K: SerialStore> CheckedStore<K> {
    pub(super) fn of(inner: &K) -> &Self {
        // SAFETY: the same layout, as `repr(transparent)` says, and no invariant of its own: that
        // frames have trailers is checked before they are delivered.
        unsafe { &*std::ptr::from_ref(inner).cast::<Self>() }
    }

    /// Whether a frame is a whole message, in its place.
    pub(super) fn fits(&self, uuid: [u8; 16], (payload, len, serial): (*const u8, usize, u64)) -> bool {
        if !self.0.shared().is_trusted() {
            // SAFETY: mapped, by the contract of `FrameStore`; and code that trusts no peer
            // accesses payloads by atomics only.
            return unsafe { trailer::fits_shared(uuid, payload, len, serial) };
        }
        // SAFETY: mapped, and does not change while the frame is in flight, by the contract of
        // `FrameStore`.
        let payload = unsafe { std::slice::from_raw_parts(payload, len) };
        trailer::open(uuid, payload).is_some_and(|(_, found)| found == serial)
    }
}

/// The message of a payload that was checked, so that it has a trailer.
fn message((payload, len): (*const u8, usize)) -> (*const u8, usize) {
    (payload, len - LEN)
}

// SAFETY: every frame is one of the inner store's, less its last bytes; the receiver delivers none
// that is shorter than these.
unsafe impl<K: SerialStore> FrameStore for CheckedStore<K> {
    type Taken = K::Taken;
    type RejectToken = K::RejectToken;
    type Run = K::Run;
    type Span = K::Span;

    fn shared(&self) -> &Arc<Shared> {
        self.0.shared()
    }

    fn events(&self) -> &QueueEvents {
        self.0.events()
    }

    fn is_own_process(&self) -> bool {
        self.0.is_own_process()
    }

    fn bytes(&self, taken: K::Taken) -> (*const u8, usize) {
        message(self.0.bytes(taken))
    }

    fn size(taken: K::Taken) -> u64 {
        K::size(taken)
    }

    fn release(&self, taken: K::Taken) {
        self.0.release(taken);
    }

    fn reject_token(taken: K::Taken) -> K::RejectToken {
        K::reject_token(taken)
    }

    fn reject(&self, reject_token: K::RejectToken) {
        self.0.reject(reject_token);
    }

    fn put_back(&self, reject_token: K::RejectToken) {
        self.0.put_back(reject_token);
    }

    fn position(taken: K::Taken) -> u64 {
        K::position(taken)
    }

    fn redeliveries(&self, taken: K::Taken) -> u64 {
        self.0.redeliveries(taken)
    }

    fn run_len(run: K::Run) -> usize {
        K::run_len(run)
    }

    fn run_size(run: K::Run) -> u64 {
        K::run_size(run)
    }

    fn run_bytes<'a>(
        &'a self,
        run: K::Run,
        spans: &'a [K::Span],
    ) -> impl Iterator<Item = (*const u8, usize)> + 'a {
        self.0.run_bytes(run, spans).map(message)
    }

    fn run_redeliveries<'a>(&'a self, run: K::Run, spans: &'a [K::Span]) -> impl Iterator<Item = u64> + 'a {
        self.0.run_redeliveries(run, spans)
    }

    fn run_positions<'a>(&'a self, run: K::Run, spans: &'a [K::Span]) -> impl Iterator<Item = u64> + 'a {
        self.0.run_positions(run, spans)
    }

    fn release_run(&self, run: K::Run, spans: &[K::Span]) {
        self.0.release_run(run, spans);
    }

    fn reject_run(&self, run: K::Run, spans: &[K::Span], seen: usize) {
        self.0.reject_run(run, spans, seen);
    }

    fn has_retry_limit(&self) -> bool {
        self.0.has_retry_limit()
    }

    fn reject_of_run(&self, spans: &mut Vec<K::Span>, indices: Vec<usize>) {
        self.0.reject_of_run(spans, indices);
    }

    fn lend_spans(&self) -> Vec<K::Span> {
        self.0.lend_spans()
    }

    fn return_spans(&self, spans: Vec<K::Span>) {
        self.0.return_spans(spans);
    }
}
