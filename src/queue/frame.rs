//! Guards over received messages.
#![allow(unsafe_code, reason = "lends payload bytes that the lane protocol grants to this guard")]

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use super::kind::{FrameStore, FrameStoreOf, Kind, RunBy, SpansOf, TakenBy};

/// A received message, in place in the file. Dropping it releases the frame.
///
/// If a panic drops the guard, the message is redelivered: a panic does not count as having
/// processed it. A frame that is forgotten (`mem::forget`) keeps its room, and that of everything
/// after it, until the consumer is gone.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("q"))? };
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// producer.send_many(&["one", "two"])?;
/// let frame = consumer.recv()?;
/// println!("message {}: {:?}", frame.position(), &*frame);
/// assert_eq!((frame.redeliveries(), frame.dead_letter()), (0, None));
/// frame.reject(); // it is delivered once more, and counted
/// let again = consumer.recv()?;
/// assert_eq!(again.redeliveries(), 1);
/// again.put_back(); // the same, but not counted
/// assert_eq!(consumer.recv()?.redeliveries(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesFrame<'c, K: Kind> {
    store: &'c FrameStoreOf<K>,
    taken: TakenBy<K::Receiver>,
}

impl<'c, K: Kind> BytesFrame<'c, K> {
    #[inline(always)]
    pub(crate) fn new(store: &'c FrameStoreOf<K>, taken: TakenBy<K::Receiver>) -> Self {
        Self { store, taken }
    }

    /// Returns how many times the message was delivered before: 0 only if never. Counts the
    /// consumers that ended while they held it, and rejections. MPMC counts up to 15 and no
    /// further. SPSC: exact for rejections by this consumer; the rejections of each earlier
    /// consumer count as one.
    pub fn redeliveries(&self) -> u64 {
        self.store.redeliveries(self.taken)
    }

    /// Returns the position of the message in the queue's order. MPMC, and SPSC with fixed-size
    /// messages: the number of messages before it. Otherwise: the bytes of the ring before it.
    pub fn position(&self) -> u64 {
        FrameStoreOf::<K>::position(self.taken)
    }

    /// Rejects the message: it is redelivered, before any new one, with one redelivery more.
    pub fn reject(self) {
        let this = ManuallyDrop::new(self);
        put_back(this.store, FrameStoreOf::<K>::reject_token(this.taken));
    }

    /// Returns the message to the queue as it was: it is redelivered, before any new one, with the
    /// same number of redeliveries. For a message that was not processed; see
    /// [`BytesFrames::reject_seen`].
    pub fn put_back(self) {
        let this = ManuallyDrop::new(self);
        if this.store.is_own_process() {
            this.store.put_back(FrameStoreOf::<K>::reject_token(this.taken));
            this.store.events().notify_all();
        }
    }

    /// The address and the length of the payload, which was checked. The bytes are mapped and
    /// initialised while the frame is in flight; only code that trusts all writers relies on that
    /// they do not change.
    #[inline(always)]
    pub(super) fn payload(&self) -> (*const u8, usize) {
        self.store.bytes(self.taken)
    }

    pub(super) fn store(&self) -> &'c FrameStoreOf<K> {
        self.store
    }

    pub(super) fn taken(&self) -> TakenBy<K::Receiver> {
        self.taken
    }

    /// The arguments of `new`; the frame stays in flight.
    #[inline(always)]
    pub(crate) fn into_parts(self) -> (&'c FrameStoreOf<K>, TakenBy<K::Receiver>) {
        let this = ManuallyDrop::new(self);
        (this.store, this.taken)
    }
}

impl<K: Kind> Deref for BytesFrame<'_, K> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        let (payload, len) = self.store.bytes(self.taken);
        // SAFETY: the store's receiver took this frame, so its bytes are mapped and do not change
        // while it is in flight, by the contract of `FrameStore`; releasing it consumes the guard,
        // which the slice borrows.
        unsafe { std::slice::from_raw_parts(payload, len) }
    }
}

impl<K: Kind> Drop for BytesFrame<'_, K> {
    #[inline(always)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            put_back(self.store, FrameStoreOf::<K>::reject_token(self.taken));
        } else if self.store.is_own_process() {
            self.store.release(self.taken);
        }
    }
}

impl<K: Kind> fmt::Debug for BytesFrame<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesFrame").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// No code panics while it holds such a lock.
fn unpoisoned<R>(locked: Result<R, PoisonError<R>>) -> R {
    locked.unwrap_or_else(PoisonError::into_inner)
}

// Free functions that take values, not methods that take the guard: a guard whose address does not
// escape can live in registers. They are never inlined, so that dropping a guard is little code and
// is inlined everywhere itself.

#[cold]
#[inline(never)]
fn put_back<P: FrameStore>(store: &P, reject_token: P::RejectToken) {
    if store.is_own_process() {
        store.reject(reject_token);
        store.events().notify_all();
    }
}

#[cold]
#[inline(never)]
fn put_run_back<P: FrameStore>(store: &P, run: P::Run, spans: &[P::Span], seen: usize) {
    if store.is_own_process() {
        store.reject_run(run, spans, seen);
        store.events().notify_all();
    }
}

/// Messages received together, in place in the file. Dropping the guard releases all of them; if a
/// panic drops it, all of them are redelivered.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("q"))? };
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// producer.send_many(&["one", "two"])?;
/// let frames = consumer.recv_many(10)?;
/// assert!(!frames.is_empty() && frames.len() == 2);
/// assert_eq!(frames.iter().next(), Some(&b"one"[..]));
/// frames.reject(); // all of them are delivered once more
/// assert_eq!(*consumer.recv()?, *b"one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesFrames<'c, K: Kind> {
    pub(super) store: &'c FrameStoreOf<K>,
    pub(super) run: RunBy<K::Receiver>,
    /// Lent by the store, so that steady traffic allocates nothing.
    pub(super) spans: SpansOf<K::Receiver>,
    /// Indices of the frames that are rejected when the others are released.
    to_reject: Mutex<Vec<usize>>,
}

impl<'c, K: Kind> BytesFrames<'c, K> {
    #[inline(always)]
    pub(super) fn new(
        store: &'c FrameStoreOf<K>,
        run: RunBy<K::Receiver>,
        spans: SpansOf<K::Receiver>,
    ) -> Self {
        Self { store, run, spans, to_reject: Mutex::default() }
    }

    /// Returns the number of messages.
    pub fn len(&self) -> usize {
        FrameStoreOf::<K>::run_len(self.run)
    }

    /// Returns false: a guard holds at least one message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the messages, in order.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + '_ {
        self.store.run_bytes(self.run, &self.spans).map(|(payload, len)| {
            // SAFETY: as in `BytesFrame::deref`: the spans came with the run, and the run is in
            // flight until `self` is consumed, which the slices borrow.
            unsafe { std::slice::from_raw_parts(payload, len) }
        })
    }

    /// Returns how many times each message was delivered before, in the order of
    /// [`iter`](Self::iter), counted as by [`BytesFrame::redeliveries`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send_many(&[b"one", b"two"])?;
    /// consumer.recv()?.reject();
    /// assert_eq!(consumer.recv_many(2)?.redeliveries().collect::<Vec<_>>(), [1]);
    /// assert_eq!(consumer.recv_many(2)?.redeliveries().collect::<Vec<_>>(), [0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn redeliveries(&self) -> impl Iterator<Item = u64> + '_ {
        self.store.run_redeliveries(self.run, &self.spans)
    }

    /// Rejects all the messages: they are redelivered, before any new one, with one redelivery
    /// more.
    pub fn reject(self) {
        self.reject_seen(usize::MAX);
    }

    /// Rejects all the messages, of which the first `seen` count as delivered: these have one
    /// redelivery more, the others as many as before. For a consumer that took messages together
    /// and had to stop after some of them: a message that it did not process comes no nearer to the
    /// [retry limit](crate::CreateOptions::max_redeliveries), and is redelivered even by a queue that
    /// delivers at most once.
    ///
    /// SPSC: the death of a consumer counts for every message that was delivered to it and that it
    /// did not release.
    ///
    /// ```
    /// use ringway::mpmc::BytesQueue;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("queue");
    /// let queue = unsafe { BytesQueue::create(&name)? };
    /// queue.producer()?.send_many(&[b"one", b"two"])?;
    /// let consumer = queue.consumer()?;
    /// consumer.recv_many(10)?.reject_seen(1);
    /// let (one, two) = (consumer.recv()?, consumer.recv()?);
    /// assert_eq!(one.redeliveries() + two.redeliveries(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reject_seen(mut self, seen: usize) {
        put_run_back(self.store, self.run, &self.spans, seen);
        self.store.return_spans(std::mem::take(&mut self.spans));
        // The list may own memory: the messages of `reject_later` were rejected above.
        drop(std::mem::take(unpoisoned(self.to_reject.get_mut())));
        std::mem::forget(self);
    }

    /// Rejects one message when the batch is dropped.
    #[cold]
    pub(crate) fn reject_later(&self, index: usize) {
        let mut indices = unpoisoned(self.to_reject.lock());
        if !indices.contains(&index) {
            indices.push(index);
        }
    }

    #[cold]
    #[inline(never)]
    fn reject_some(&mut self) {
        let indices = std::mem::take(unpoisoned(self.to_reject.get_mut()));
        self.store.reject_of_run(&mut self.spans, indices);
        self.store.events().notify_all();
    }

    pub(crate) fn store(&self) -> &'c FrameStoreOf<K> {
        self.store
    }
}

impl<K: Kind> Drop for BytesFrames<'_, K> {
    #[inline(always)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            put_run_back(self.store, self.run, &self.spans, usize::MAX);
        } else if self.store.is_own_process() {
            if !unpoisoned(self.to_reject.get_mut()).is_empty() {
                self.reject_some();
            }
            self.store.release_run(self.run, &self.spans);
        }
        self.store.return_spans(std::mem::take(&mut self.spans));
    }
}

impl<K: Kind> fmt::Debug for BytesFrames<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesFrames").field("len", &self.len()).finish_non_exhaustive()
    }
}
