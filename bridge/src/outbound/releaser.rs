//! What the publisher tells the taker: how many messages are acknowledged, and that it has ended.
//!
//! The taker says where it is about to wait before it checks the count for the last time; the publisher stores the count
//! before it reads where the taker waits. Both with sequential consistency: one of them sees the other, so no wake-up is
//! missed, and none is sent while the taker is busy.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

use ringway::Canceller;

const BUSY: u8 = 0;
/// It waits for messages: an interrupt of its consumer ends that.
const FOR_MESSAGES: u8 = 1;
/// It is parked, until there are acknowledgements.
const FOR_ACKS: u8 = 2;

/// Shared by both.
#[derive(Debug, Default)]
pub(crate) struct Releaser {
    acked: AtomicU64,
    waits: AtomicU8,
    /// The publisher has ended: nothing more will be acknowledged.
    is_over: AtomicBool,
    /// The taker could not go on, and waits for what is on its way.
    has_failed: AtomicBool,
    taker: OnceLock<(Canceller, Thread)>,
}

impl Releaser {
    /// The taker: where to reach it.
    pub(crate) fn introduce(&self, canceller: Canceller) {
        let _ = self.taker.set((canceller, std::thread::current()));
    }

    /// The publisher: `count` messages are acknowledged, since the beginning.
    pub(crate) fn acked(&self, count: u64) {
        self.acked.store(count, Ordering::SeqCst);
        self.wake();
    }

    /// The publisher: no more messages are to be taken.
    pub(crate) fn stop_taking(&self) {
        if let Some((canceller, _)) = self.taker.get() {
            canceller.cancel();
        }
    }

    /// The publisher has ended.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.stop_taking();
        self.wake();
    }

    fn wake(&self) {
        let Some((canceller, thread)) = self.taker.get() else { return };
        match self.waits.load(Ordering::SeqCst) {
            FOR_MESSAGES => canceller.interrupt(),
            FOR_ACKS => thread.unpark(),
            _ => {}
        }
    }

    /// The taker: how many messages are acknowledged.
    pub(crate) fn count(&self) -> u64 {
        self.acked.load(Ordering::SeqCst)
    }

    /// The taker: whether nothing more will be acknowledged.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// The taker: it could not go on.
    pub(crate) fn fail(&self) {
        self.has_failed.store(true, Ordering::SeqCst);
    }

    /// The publisher: whether the taker could not go on.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }

    /// The taker: runs a wait for messages, unless more than `seen` messages are acknowledged. An acknowledgement
    /// interrupts it.
    pub(crate) fn while_waiting<T>(&self, seen: u64, wait: impl FnOnce() -> T) -> Option<T> {
        self.waits.store(FOR_MESSAGES, Ordering::SeqCst);
        let result = (self.count() == seen && !self.is_over()).then(wait);
        self.waits.store(BUSY, Ordering::SeqCst);
        result
    }

    /// The taker: waits until more than `seen` messages are acknowledged, or the publisher has ended. Spurious wakes
    /// are possible.
    pub(crate) fn wait_for_acks(&self, seen: u64) {
        self.unless_acked(seen, std::thread::park);
    }

    /// The taker: the same, for this time at most.
    pub(crate) fn pause(&self, seen: u64, at_most: Duration) {
        self.unless_acked(seen, || std::thread::park_timeout(at_most));
    }

    fn unless_acked(&self, seen: u64, park: impl FnOnce()) {
        self.waits.store(FOR_ACKS, Ordering::SeqCst);
        if self.count() == seen && !self.is_over() {
            park();
        }
        self.waits.store(BUSY, Ordering::SeqCst);
    }
}
