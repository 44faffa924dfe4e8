//! The only module that names the library's handles: one kind of queue behind each enum, and frames
//! that own what they are lent from.
#![allow(unsafe_code, reason = "frames that outlive a borrow, and handles that one thread at a time uses")]

use std::cell::UnsafeCell;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use ringway::{
    AttachError, BytesConsumer, BytesFrame, BytesProducer, BytesQueue, CreateError, Mpmc, OpenError, Options,
    RecvError, ReservedFrame, SendError, Spsc, Stats, Uuid,
};

/// A queue of bytes, of either kind.
#[derive(Clone)]
pub(crate) enum Queue {
    Mpmc(BytesQueue<Mpmc>),
    Spsc(BytesQueue<Spsc>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mpmc,
    Spsc,
}

macro_rules! each {
    ($on:expr, $each:ident => $do:expr) => {
        match $on {
            Self::Mpmc($each) => $do,
            Self::Spsc($each) => $do,
        }
    };
}

impl Queue {
    pub(crate) fn create(kind: Kind, path: Option<&Path>, options: &Options) -> Result<Self, CreateError> {
        // SAFETY (all four): the documented contract of the Python classes: only programs that use
        // ringway can write to the file.
        Ok(match (kind, path) {
            // SAFETY: as above.
            (Kind::Mpmc, Some(path)) => Self::Mpmc(unsafe { BytesQueue::create_with(path, options)? }),
            // SAFETY: as above.
            (Kind::Spsc, Some(path)) => Self::Spsc(unsafe { BytesQueue::create_with(path, options)? }),
            // SAFETY: as above.
            (Kind::Mpmc, None) => Self::Mpmc(unsafe { BytesQueue::create_memfd(options)? }),
            // SAFETY: as above.
            (Kind::Spsc, None) => Self::Spsc(unsafe { BytesQueue::create_memfd(options)? }),
        })
    }

    pub(crate) fn open(kind: Kind, path: &Path, options: &Options) -> Result<Self, OpenError> {
        Ok(match kind {
            // SAFETY: as in `create`.
            Kind::Mpmc => Self::Mpmc(unsafe { BytesQueue::open_with(path, options)? }),
            // SAFETY: as in `create`.
            Kind::Spsc => Self::Spsc(unsafe { BytesQueue::open_with(path, options)? }),
        })
    }

    pub(crate) fn open_or_create(kind: Kind, path: &Path, options: &Options) -> Result<Self, OpenError> {
        Ok(match kind {
            // SAFETY: as in `create`.
            Kind::Mpmc => Self::Mpmc(unsafe { BytesQueue::open_or_create_with(path, options)? }),
            // SAFETY: as in `create`.
            Kind::Spsc => Self::Spsc(unsafe { BytesQueue::open_or_create_with(path, options)? }),
        })
    }

    /// Opens the queue of whichever kind it is.
    pub(crate) fn open_any(path: &Path, options: &Options) -> Result<Self, OpenError> {
        match Self::open(Kind::Mpmc, path, options) {
            Err(OpenError::WrongKind { .. }) => Self::open(Kind::Spsc, path, options),
            opened => opened,
        }
    }

    pub(crate) fn open_fd(kind: Kind, descriptor: BorrowedFd<'_>, options: &Options) -> Result<Self, OpenError> {
        Ok(match kind {
            // SAFETY: as in `create`.
            Kind::Mpmc => Self::Mpmc(unsafe { BytesQueue::open_fd(descriptor, options)? }),
            // SAFETY: as in `create`.
            Kind::Spsc => Self::Spsc(unsafe { BytesQueue::open_fd(descriptor, options)? }),
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Mpmc(_) => Kind::Mpmc,
            Self::Spsc(_) => Kind::Spsc,
        }
    }

    pub(crate) fn uuid(&self) -> Uuid {
        each!(self, queue => queue.uuid())
    }

    pub(crate) fn path(&self) -> &Path {
        each!(self, queue => queue.path())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        each!(self, queue => queue.as_fd())
    }

    pub(crate) fn len(&self) -> u64 {
        each!(self, queue => queue.len())
    }

    pub(crate) fn room(&self) -> u64 {
        each!(self, queue => queue.room())
    }

    pub(crate) fn ring_bytes(&self) -> usize {
        each!(self, queue => queue.ring_bytes())
    }

    pub(crate) fn max_message(&self) -> usize {
        each!(self, queue => queue.max_message())
    }

    pub(crate) fn shut_down(&self) {
        each!(self, queue => queue.close())
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        each!(self, queue => queue.is_closed())
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        each!(self, queue => queue.warnings()).iter().map(ToString::to_string).collect()
    }

    /// The counters, which only MPMC has.
    pub(crate) fn stats(&self) -> Option<Stats> {
        match self {
            Self::Mpmc(queue) => Some(queue.stats()),
            Self::Spsc(_) => None,
        }
    }

    pub(crate) fn sender(&self) -> Result<Sender, AttachError> {
        let shared = match self {
            Self::Mpmc(queue) => SharedProducer::Mpmc(UnsafeCell::new(queue.producer()?)),
            Self::Spsc(queue) => SharedProducer::Spsc(UnsafeCell::new(queue.producer()?)),
        };
        Ok(Sender { shared: Arc::new(shared) })
    }

    pub(crate) fn receiver(&self) -> Result<Receiver, AttachError> {
        Ok(Receiver {
            shared: Arc::new(match self {
                Self::Mpmc(queue) => SharedConsumer::Mpmc(waiting_for_signals(queue.consumer()?)),
                Self::Spsc(queue) => SharedConsumer::Spsc(LockedConsumer {
                    consumer: waiting_for_signals(queue.consumer()?),
                    turn: Mutex::new(()),
                    to_release: Mutex::default(),
                }),
            }),
        })
    }

    /// A consumer for an event loop; only MPMC has more than one.
    pub(crate) fn mpmc(&self) -> Option<&BytesQueue<Mpmc>> {
        match self {
            Self::Mpmc(queue) => Some(queue),
            Self::Spsc(_) => None,
        }
    }
}

fn waiting_for_signals<K: ringway::Kind>(consumer: BytesConsumer<K>) -> BytesConsumer<K> {
    consumer.set_interruptible(true);
    consumer
}

/// A producer that one thread at a time sends with. Not `Clone`.
pub(crate) struct Sender {
    shared: Arc<SharedProducer>,
}

pub(crate) enum SharedProducer {
    Mpmc(UnsafeCell<BytesProducer<Mpmc>>),
    Spsc(UnsafeCell<BytesProducer<Spsc>>),
}

// SAFETY: the cell is accessed through `&mut Sender` only, of which there is one for each
// `SharedProducer`; other owners of the `Arc` keep it, and nothing else. Producers are `Send`.
unsafe impl Sync for SharedProducer {}

/// A reserved frame.
pub(crate) enum Reserved<'p> {
    Mpmc(ReservedFrame<'p, Mpmc>),
    Spsc(ReservedFrame<'p, Spsc>),
}

impl Sender {
    #[inline]
    pub(crate) fn try_reserve(&mut self, len: usize) -> Result<Reserved<'_>, SendError> {
        match &*self.shared {
            SharedProducer::Mpmc(cell) => {
                // SAFETY: see `Sync` above: the borrow lasts as long as that of `self`.
                let producer = unsafe { &mut *cell.get() };
                producer.try_reserve(len).map(Reserved::Mpmc)
            }
            SharedProducer::Spsc(cell) => {
                // SAFETY: as above.
                let producer = unsafe { &mut *cell.get() };
                producer.try_reserve(len).map(Reserved::Spsc)
            }
        }
    }

    pub(crate) fn reserve_timeout(&mut self, len: usize, timeout: Duration) -> Result<Reserved<'_>, SendError> {
        match &*self.shared {
            SharedProducer::Mpmc(cell) => {
                // SAFETY: as in `try_reserve`.
                let producer = unsafe { &mut *cell.get() };
                producer.reserve_timeout(len, timeout).map(Reserved::Mpmc)
            }
            SharedProducer::Spsc(cell) => {
                // SAFETY: as in `try_reserve`.
                let producer = unsafe { &mut *cell.get() };
                producer.reserve_timeout(len, timeout).map(Reserved::Spsc)
            }
        }
    }

    /// Keeps the mapping of this producer's frames.
    pub(crate) fn mapping(&self) -> KeptMapping {
        KeptMapping::Producer(Arc::clone(&self.shared))
    }
}

impl Reserved<'_> {
    #[inline]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        each!(self, frame => frame)
    }

    #[inline]
    pub(crate) fn commit(self) -> Result<(), SendError> {
        each!(self, frame => frame.commit())
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        each!(self, frame => frame.truncate(len));
    }
}

/// A reserved frame with its producer.
pub(crate) struct OwnedReservation {
    /// Before `sender`, which it refers to. `'static` stands for: as long as the producer, which
    /// `sender` keeps at its address, and with which nothing else is done meanwhile.
    reserved: Reserved<'static>,
    sender: Sender,
}

impl OwnedReservation {
    /// Reserves with `reserve`; on an error the sender comes back.
    pub(crate) fn make<E>(
        mut sender: Sender,
        reserve: impl FnOnce(&mut Sender) -> Result<Reserved<'_>, E>,
    ) -> Result<Self, (Sender, E)> {
        let reserved = match reserve(&mut sender) {
            // SAFETY: only the lifetime changes: see the field. The producer is behind an `Arc`, so
            // that moving the sender does not move it.
            Ok(reserved) => unsafe { std::mem::transmute::<Reserved<'_>, Reserved<'static>>(reserved) },
            Err(error) => return Err((sender, error)),
        };
        Ok(Self { reserved, sender })
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.reserved.bytes()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.reserved.truncate(len);
    }

    pub(crate) fn mapping(&self) -> KeptMapping {
        self.sender.mapping()
    }

    /// Commits the frame, which may wait; the sender comes back.
    pub(crate) fn commit(self) -> (Sender, Result<(), SendError>) {
        let Self { reserved, sender } = self;
        let result = reserved.commit();
        (sender, result)
    }

    /// Gives the frame up.
    pub(crate) fn abort(self) -> Sender {
        let Self { reserved, sender } = self;
        drop(reserved);
        sender
    }
}

/// A consumer that one thread at a time receives with, while any number of frames of it are held.
/// Not `Clone`: whoever owns it is the one that receives.
pub(crate) struct Receiver {
    shared: Arc<SharedConsumer>,
}

pub(crate) enum SharedConsumer {
    Mpmc(BytesConsumer<Mpmc>),
    Spsc(LockedConsumer),
}

// SAFETY: MPMC: the consumer's methods are called through `&mut Receiver` only, of which there is
// one for each `SharedConsumer`, and it is `Send`; frames refer to its store, which is `Sync` (that
// is why `BytesFrame<Mpmc>` is `Send`). SPSC: every access to the consumer, also the release of its
// frames, is made with `turn` locked.
unsafe impl Sync for SharedConsumer {}

// SAFETY: consumers are `Send`; the frames that wait for their release are those of this consumer.
unsafe impl Send for SharedConsumer {}

/// An SPSC consumer: its frames are released through its own cells, so that one lock guards both.
pub(crate) struct LockedConsumer {
    consumer: BytesConsumer<Spsc>,
    turn: Mutex<()>,
    /// Frames whose last owner went while another thread had its turn. `'static` stands for: as
    /// long as `consumer`, which is not moved and outlives the list, for `release_waiting` empties
    /// it first.
    to_release: Mutex<Vec<BytesFrame<'static, Spsc>>>,
}

impl LockedConsumer {
    /// Releases a frame, now or as soon as the thread that has its turn ends it. Never waits.
    fn release(&self, frame: BytesFrame<'static, Spsc>) {
        unpoisoned(self.to_release.lock()).push(frame);
        self.release_waiting();
    }

    fn release_waiting(&self) {
        // A frame that is added while another thread has its turn: that thread looks again after
        // its turn, so none stays.
        while !unpoisoned(self.to_release.lock()).is_empty() {
            let turn = match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            self.empty_list();
            drop(turn);
        }
    }

    /// The caller has its turn.
    fn empty_list(&self) {
        let frames = std::mem::take(&mut *unpoisoned(self.to_release.lock()));
        drop(frames);
    }

    fn take_turn<R>(&self, act: impl FnOnce(&BytesConsumer<Spsc>) -> R) -> R {
        let turn = unpoisoned(self.turn.lock());
        self.empty_list();
        let result = act(&self.consumer);
        self.empty_list();
        drop(turn);
        self.release_waiting();
        result
    }
}

impl Drop for LockedConsumer {
    fn drop(&mut self) {
        self.empty_list();
    }
}

/// No code panics while it holds such a lock.
fn unpoisoned<R>(locked: Result<R, PoisonError<R>>) -> R {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// How a frame gives its room back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Release,
    /// Comes again, with one redelivery more.
    Reject,
    /// Comes again as it was.
    PutBack,
}

/// How many frames this process holds.
pub(crate) static HELD: AtomicUsize = AtomicUsize::new(0);

/// A message in place in the file. It keeps the consumer, and so the mapping.
pub(crate) struct OwnedFrame {
    /// `None` once the room was given back. Before `owner`, which outlives it.
    lent: Option<Lent>,
    owner: Arc<SharedConsumer>,
    payload: (*const u8, usize),
}

// SAFETY: an MPMC frame is `Send`; an SPSC frame is only touched with the lock of its consumer. The
// payload is read-only and mapped as long as `owner` lives.
unsafe impl Send for OwnedFrame {}

// SAFETY: shared references only read the payload, which does not change while the frame is in
// flight, and the constant position; redeliveries of SPSC are read with the lock.
unsafe impl Sync for OwnedFrame {}

/// `'static` stands for: as long as the consumer, which `OwnedFrame::owner` keeps at its address.
enum Lent {
    Mpmc(BytesFrame<'static, Mpmc>),
    Spsc(BytesFrame<'static, Spsc>),
}

impl Receiver {
    #[inline]
    pub(crate) fn try_recv(&mut self) -> Result<OwnedFrame, RecvError> {
        self.recv_with(None)
    }

    pub(crate) fn recv_timeout(&mut self, timeout: Duration) -> Result<OwnedFrame, RecvError> {
        self.recv_with(Some(timeout))
    }

    #[inline]
    fn recv_with(&mut self, timeout: Option<Duration>) -> Result<OwnedFrame, RecvError> {
        let lent = match &*self.shared {
            SharedConsumer::Mpmc(consumer) => Lent::Mpmc(forever(receive(consumer, timeout)?)),
            SharedConsumer::Spsc(locked) => locked.take_turn(|consumer| {
                receive(consumer, timeout).map(|frame| Lent::Spsc(forever(frame)))
            })?,
        };
        HELD.fetch_add(1, Ordering::Relaxed);
        let payload = match &lent {
            Lent::Mpmc(frame) => (frame.as_ptr(), frame.len()),
            Lent::Spsc(frame) => (frame.as_ptr(), frame.len()),
        };
        Ok(OwnedFrame { lent: Some(lent), owner: Arc::clone(&self.shared), payload })
    }
}

#[inline]
fn receive<K: ringway::Kind>(
    consumer: &BytesConsumer<K>,
    timeout: Option<Duration>,
) -> Result<BytesFrame<'_, K>, RecvError> {
    match timeout {
        None => consumer.try_recv(),
        Some(timeout) => consumer.recv_timeout(timeout),
    }
}

/// Frees a frame of its borrow. The caller keeps the consumer for as long as the frame, at its
/// address.
#[inline]
fn forever<K: ringway::Kind>(frame: BytesFrame<'_, K>) -> BytesFrame<'static, K> {
    // SAFETY: only the lifetime changes; the callers put the frame beside an `Arc` of what holds
    // the consumer, and give it up before the `Arc`.
    unsafe { std::mem::transmute(frame) }
}

impl OwnedFrame {
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        let (payload, len) = self.payload;
        // SAFETY: the payload of a frame in flight, which `self` holds: mapped, initialised and not
        // written by the contract of opening the queue.
        unsafe { std::slice::from_raw_parts(payload, len) }
    }

    pub(crate) fn position(&self) -> u64 {
        match &self.lent {
            Some(Lent::Mpmc(frame)) => frame.position(),
            Some(Lent::Spsc(frame)) => frame.position(),
            None => 0,
        }
    }

    pub(crate) fn redeliveries(&self) -> u64 {
        match (&self.lent, &*self.owner) {
            (Some(Lent::Mpmc(frame)), _) => frame.redeliveries(),
            (Some(Lent::Spsc(frame)), SharedConsumer::Spsc(locked)) => {
                locked.take_turn(|_| frame.redeliveries())
            }
            _ => 0,
        }
    }

    /// What keeps the mapping when the frame is gone.
    pub(crate) fn mapping(&self) -> KeptMapping {
        KeptMapping::Consumer(Arc::clone(&self.owner))
    }

    /// Gives the room back.
    pub(crate) fn end(mut self, fate: Fate) {
        self.end_in_place(fate);
    }

    #[inline]
    fn end_in_place(&mut self, fate: Fate) {
        let Some(lent) = self.lent.take() else { return };
        HELD.fetch_sub(1, Ordering::Relaxed);
        match (lent, &*self.owner) {
            (Lent::Mpmc(frame), _) => end(frame, fate),
            (Lent::Spsc(frame), SharedConsumer::Spsc(locked)) => match fate {
                Fate::Release => locked.release(frame),
                _ => locked.take_turn(|_| end(frame, fate)),
            },
            (Lent::Spsc(_), SharedConsumer::Mpmc(_)) => unreachable!("a frame is of its consumer's kind"),
        }
    }
}

fn end<K: ringway::Kind>(frame: BytesFrame<'_, K>, fate: Fate) {
    match fate {
        Fate::Release => drop(frame),
        Fate::Reject => frame.reject(),
        Fate::PutBack => frame.put_back(),
    }
}

impl Drop for OwnedFrame {
    #[inline]
    fn drop(&mut self) {
        self.end_in_place(Fate::Release);
    }
}

/// Keeps the mapping in which a frame was, so that a view of it never sees freed memory.
#[allow(dead_code, reason = "kept, not read")]
pub(crate) enum KeptMapping {
    Consumer(Arc<SharedConsumer>),
    Producer(Arc<SharedProducer>),
}
