//! The guard that owns its share of the consumer.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

use super::Inner;
use crate::queue::kind::{FrameStore, FrameStoreOf, Kind, Receiver, TakenBy};

/// A received message, in place in the file, that keeps its consumer attached and its file mapped.
/// Dropping it releases the frame, on any thread.
///
/// If a panic drops it, the message is redelivered. A frame that is forgotten (`mem::forget`) keeps
/// its room, that of everything after it, and the consumer's role, until the process ends. In a
/// forked child the bytes are still mapped, but the parent may release them at any time; dropping
/// the frame there does nothing.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("q"))? };
/// queue.producer()?.send(b"job")?;
/// let consumer = queue.consumer()?.into_shared();
/// let frame = consumer.recv()?;
/// println!("message {}: {:?}", frame.position(), &*frame);
/// assert_eq!(frame.redeliveries(), 0);
/// frame.reject(); // it is delivered once more, and counted
/// consumer.recv()?.put_back(); // the same, but not counted
/// assert_eq!(consumer.recv()?.redeliveries(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesOwnedFrame<K: Kind> {
    inner: Arc<Inner<K>>,
    taken: TakenBy<K::Receiver>,
    payload: *const u8,
    len: usize,
    redeliveries: u64,
}

// SAFETY: the frame is a count of `Inner`, which is `Send + Sync` (a mutex around a consumer that is
// `Send`); numbers that say where the frame lies (`FrameStore::Taken` is `Send + Sync`); and the
// address of bytes that do not change while it is in flight, and that any thread may read.
unsafe impl<K: Kind> Send for BytesOwnedFrame<K> {}
// SAFETY: as for `Send`; a shared frame lends its bytes and copies of its numbers, nothing else.
unsafe impl<K: Kind> Sync for BytesOwnedFrame<K> {}

/// The compiler's part of the proof above.
const fn is_shareable<T: Send + Sync>() {}
const fn parts_are_shareable<K: Kind>() {
    is_shareable::<Inner<K>>();
    is_shareable::<TakenBy<K::Receiver>>();
}

impl<K: Kind> BytesOwnedFrame<K> {
    /// The guard over what the consumer in `inner` has just taken and counted as held; `receiver` is
    /// that consumer's.
    pub(super) fn new(inner: &Arc<Inner<K>>, receiver: &K::Receiver, taken: TakenBy<K::Receiver>) -> Self {
        const { parts_are_shareable::<K>() };
        let store = receiver.store();
        let (payload, len) = store.bytes(taken);
        let redeliveries = store.redeliveries(taken);
        Self { inner: Arc::clone(inner), taken, payload, len, redeliveries }
    }

    /// Returns how many times the message was delivered before: see
    /// [`BytesFrame::redeliveries`](crate::kind::BytesFrame::redeliveries).
    pub fn redeliveries(&self) -> u64 {
        self.redeliveries
    }

    /// Returns the position of the message in the queue's order: see
    /// [`BytesFrame::position`](crate::kind::BytesFrame::position).
    pub fn position(&self) -> u64 {
        FrameStoreOf::<K>::position(self.taken)
    }

    /// Rejects the message: it is redelivered, before any new one, with one redelivery more.
    pub fn reject(self) {
        self.end(reject::<K>);
    }

    /// Returns the message to the queue as it was: it is redelivered, before any new one, with the
    /// same number of redeliveries.
    pub fn put_back(self) {
        self.end(|receiver, taken| {
            receiver.store().put_back(FrameStoreOf::<K>::reject_token(taken));
            receiver.store().events().notify_all();
        });
    }

    fn end(self, how: impl FnOnce(&K::Receiver, TakenBy<K::Receiver>)) {
        let mut this = ManuallyDrop::new(self);
        this.inner.return_frame(|receiver| how(receiver, this.taken));
        // SAFETY: `this` is not dropped, and not used any more.
        unsafe { std::ptr::drop_in_place(&mut this.inner) };
    }
}

fn reject<K: Kind>(receiver: &K::Receiver, taken: TakenBy<K::Receiver>) {
    receiver.store().reject(FrameStoreOf::<K>::reject_token(taken));
    receiver.store().events().notify_all();
}

impl<K: Kind> Deref for BytesOwnedFrame<K> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the receiver took this frame, so its bytes are mapped and do not change while it
        // is in flight and the receiver's store lives, by the contract of `FrameStore`. `inner` owns
        // the receiver; ending the flight consumes the guard, which the slice borrows.
        unsafe { std::slice::from_raw_parts(self.payload, self.len) }
    }
}

impl<K: Kind> Drop for BytesOwnedFrame<K> {
    fn drop(&mut self) {
        let taken = self.taken;
        self.inner.return_frame(|receiver| match std::thread::panicking() {
            true => reject::<K>(receiver, taken),
            false => receiver.store().release(taken),
        });
    }
}

impl<K: Kind> fmt::Debug for BytesOwnedFrame<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesOwnedFrame").field("len", &self.len).finish_non_exhaustive()
    }
}
