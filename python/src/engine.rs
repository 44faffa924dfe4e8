//! The only module that names the library's handles: one kind of queue behind each enum, and frames
//! that own what they are lent from.
#![allow(unsafe_code, reason = "opens files; reservations that own their producer")]

use std::cell::UnsafeCell;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringway::asynchronous::{PollConsumer, PollProducer};
use ringway::kind::{
    BytesConsumer, BytesFrame, BytesFrames, BytesOwnedFrame, BytesProducer, BytesQueue, BytesSharedConsumer,
    Mpmc, RawQueue, ReservedFrame, Spsc,
};
use ringway::schema::Description;
use ringway::{
    AttachError, CreateError, CreateOptions, OpenError, OpenOptions, RecvError, SendError, Stats,
    TaskError, Uuid,
};

use crate::signals;

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
    pub(crate) fn create(
        kind: Kind,
        path: Option<&Path>,
        options: &CreateOptions,
    ) -> Result<Self, CreateError> {
        // SAFETY (all four): the documented contract of the Python classes: only programs that use
        // ringway can write to the file.
        Ok(match (kind, path) {
            // SAFETY: as above.
            (Kind::Mpmc, Some(path)) => Self::Mpmc(unsafe { BytesQueue::create_with(path, options)? }),
            // SAFETY: as above.
            (Kind::Spsc, Some(path)) => Self::Spsc(unsafe { BytesQueue::create_with(path, options)? }),
            // SAFETY: as above.
            (Kind::Mpmc, None) => Self::Mpmc(unsafe { BytesQueue::create_memfd_with(options)? }),
            // SAFETY: as above.
            (Kind::Spsc, None) => Self::Spsc(unsafe { BytesQueue::create_memfd_with(options)? }),
        })
    }

    pub(crate) fn open(kind: Kind, path: &Path, options: &OpenOptions) -> Result<Self, OpenError> {
        Ok(match kind {
            // SAFETY: as in `create`.
            Kind::Mpmc => Self::Mpmc(unsafe { BytesQueue::open_with(path, options)? }),
            // SAFETY: as in `create`.
            Kind::Spsc => Self::Spsc(unsafe { BytesQueue::open_with(path, options)? }),
        })
    }

    pub(crate) fn open_or_create(
        kind: Kind,
        path: &Path,
        options: &CreateOptions,
    ) -> Result<Self, OpenError> {
        Ok(match kind {
            // SAFETY: as in `create`.
            Kind::Mpmc => Self::Mpmc(unsafe { BytesQueue::open_or_create_with(path, options)? }),
            // SAFETY: as in `create`.
            Kind::Spsc => Self::Spsc(unsafe { BytesQueue::open_or_create_with(path, options)? }),
        })
    }

    /// Opens the queue of whichever kind and type it is; its description, if it is of a type.
    pub(crate) fn open_any(
        path: &Path,
        options: &OpenOptions,
    ) -> Result<(Self, Option<Description>), OpenError> {
        match Self::open_typed(path, options) {
            Ok((queue, description)) if !description.text().is_empty() => Ok((queue, Some(description))),
            Ok((queue, _)) => Ok((queue, None)),
            Err(error) => Err(error),
        }
    }

    fn open_typed(path: &Path, options: &OpenOptions) -> Result<(Self, Description), OpenError> {
        // SAFETY: as in `create`.
        match unsafe { RawQueue::<Mpmc>::open_with(path, options) } {
            Ok(queue) => {
                // SAFETY: what is sent to a typed queue is checked first: see `typed.rs`.
                let bytes = unsafe { queue.as_bytes() }.clone();
                Ok((Self::Mpmc(bytes), queue.description().clone()))
            }
            Err(OpenError::WrongKind { .. }) => {
                // SAFETY: as in `create`.
                let queue = unsafe { RawQueue::<Spsc>::open_with(path, options)? };
                // SAFETY: as above.
                let bytes = unsafe { queue.as_bytes() }.clone();
                Ok((Self::Spsc(bytes), queue.description().clone()))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn open_fd(
        kind: Kind,
        descriptor: BorrowedFd<'_>,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        Ok(match kind {
            // SAFETY: as in `create`.
            Kind::Mpmc => Self::Mpmc(unsafe { BytesQueue::open_fd_with(descriptor, options)? }),
            // SAFETY: as in `create`.
            Kind::Spsc => Self::Spsc(unsafe { BytesQueue::open_fd_with(descriptor, options)? }),
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

    /// How many messages are not done, which only MPMC counts.
    pub(crate) fn unfinished(&self) -> Option<Result<u64, TaskError>> {
        match self {
            Self::Mpmc(queue) => Some(queue.unfinished()),
            Self::Spsc(_) => None,
        }
    }

    /// Waits until all messages are done, for at most `timeout`. MPMC only.
    pub(crate) fn join_timeout(&self, timeout: Duration) -> Option<Result<(), TaskError>> {
        match self {
            Self::Mpmc(queue) => Some(queue.join_timeout(timeout)),
            Self::Spsc(_) => None,
        }
    }

    pub(crate) fn sender(&self) -> Result<Sender, AttachError> {
        // A reserved message may be committed by another thread than the one that reserved it: the
        // check itself asks which thread it is.
        let shared = match self {
            Self::Mpmc(queue) => {
                let mut producer = queue.producer()?;
                producer.set_interrupt_check(Some(signals::check));
                SharedProducer::Mpmc(UnsafeCell::new(producer))
            }
            Self::Spsc(queue) => {
                let mut producer = queue.producer()?;
                producer.set_interrupt_check(Some(signals::check));
                SharedProducer::Spsc(UnsafeCell::new(producer))
            }
        };
        Ok(Sender { shared: Arc::new(shared) })
    }

    pub(crate) fn receiver(&self) -> Result<Receiver, AttachError> {
        Ok(match self {
            Self::Mpmc(queue) => Receiver::Mpmc(ended_by_signals(queue.consumer()?).into_shared()),
            Self::Spsc(queue) => Receiver::Spsc(ended_by_signals(queue.consumer()?).into_shared()),
        })
    }

    /// `None` for SPSC, of which there is one consumer only.
    pub(crate) fn taker(&self) -> Option<Result<Taker, AttachError>> {
        match self {
            Self::Mpmc(queue) => Some(queue.consumer()),
            Self::Spsc(_) => None,
        }
    }

    /// A consumer for event loops. `None` for SPSC, of which there is one consumer only.
    pub(crate) fn poll_taker(&self) -> Option<Result<PollTaker, PollError>> {
        let Self::Mpmc(queue) = self else { return None };
        let consumer = queue.consumer().map_err(PollError::Attach);
        Some(consumer.and_then(|consumer| PollConsumer::new(consumer).map_err(PollError::System)))
    }

    /// A producer for event loops. `None` for SPSC.
    pub(crate) fn poll_sender(&self) -> Option<Result<PollSender, PollError>> {
        let Self::Mpmc(queue) = self else { return None };
        let producer = queue.producer().map_err(PollError::Attach);
        Some(producer.and_then(|producer| PollProducer::new(producer).map_err(PollError::System)))
    }
}

/// With a descriptor that is readable while a message may be there.
pub(crate) type PollTaker = PollConsumer<BytesConsumer<Mpmc>>;
/// With a descriptor that is readable while there may be room.
pub(crate) type PollSender = PollProducer<BytesProducer<Mpmc>>;

/// Why there is no handle for event loops.
pub(crate) enum PollError {
    Attach(AttachError),
    System(std::io::Error),
}

fn ended_by_signals<K: ringway::kind::Kind>(consumer: BytesConsumer<K>) -> BytesConsumer<K> {
    consumer.set_interrupt_check(Some(signals::check));
    consumer
}

/// A producer that one thread at a time sends with. Not `Clone`.
pub(crate) struct Sender {
    shared: Arc<SharedProducer>,
}

#[allow(clippy::large_enum_variant, reason = "behind an `Arc`, one for each producer")]
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

    /// Waits for room until `deadline`, and the commit then for what it needs; `None`: for ever.
    pub(crate) fn reserve_until(
        &mut self,
        len: usize,
        deadline: Option<Instant>,
    ) -> Result<Reserved<'_>, SendError> {
        match &*self.shared {
            SharedProducer::Mpmc(cell) => {
                // SAFETY: as in `try_reserve`.
                let producer = unsafe { &mut *cell.get() };
                match deadline {
                    Some(deadline) => producer.reserve_deadline(len, deadline),
                    None => producer.reserve(len),
                }
                .map(Reserved::Mpmc)
            }
            SharedProducer::Spsc(cell) => {
                // SAFETY: as in `try_reserve`.
                let producer = unsafe { &mut *cell.get() };
                match deadline {
                    Some(deadline) => producer.reserve_deadline(len, deadline),
                    None => producer.reserve(len),
                }
                .map(Reserved::Spsc)
            }
        }
    }

    /// Sends messages with one commit, as many as there is room for now: each is its length, and
    /// what fills a frame of that length. `Full`: none of them.
    pub(crate) fn try_send_many<W: FnOnce(&mut [u8])>(
        &mut self,
        messages: impl Iterator<Item = (usize, W)>,
    ) -> Result<usize, SendError> {
        match &*self.shared {
            SharedProducer::Mpmc(cell) => {
                // SAFETY: as in `try_reserve`.
                let producer = unsafe { &mut *cell.get() };
                send_batch(producer, messages)
            }
            SharedProducer::Spsc(cell) => {
                // SAFETY: as in `try_reserve`.
                let producer = unsafe { &mut *cell.get() };
                send_batch(producer, messages)
            }
        }
    }

    /// Keeps the mapping of this producer's frames.
    pub(crate) fn mapping(&self) -> KeptMapping {
        KeptMapping::Producer(Arc::clone(&self.shared))
    }
}

fn send_batch<K: ringway::kind::Kind, W: FnOnce(&mut [u8])>(
    producer: &mut BytesProducer<K>,
    messages: impl Iterator<Item = (usize, W)>,
) -> Result<usize, SendError> {
    let mut batch = producer.batch()?;
    for (count, (len, write)) in messages.enumerate() {
        match batch.try_reserve(len) {
            Ok(frame) => write(frame),
            Err(error) if count == 0 => return Err(error),
            // It is met again, as the first of the next batch.
            Err(_) => break,
        }
    }
    batch.commit()
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
        // A reserved frame that is not committed was given up.
        self.sender
    }
}

/// A consumer of the kind that queues of objects have; one thread at a time takes with it.
pub(crate) type Taker = BytesConsumer<Mpmc>;

/// A consumer while one thread takes with it.
pub(crate) struct Turn<'t>(&'t Taker);

// SAFETY: a `&BytesConsumer` must not be used by two threads at a time. This is made of an exclusive
// borrow, and `Link::take`, the only user, keeps it in a local variable: the closure that waits
// without the GIL runs on the same thread.
unsafe impl Sync for Turn<'_> {}

impl<'t> Turn<'t> {
    #[inline]
    pub(crate) fn new(taker: &'t mut Taker) -> Self {
        Self(taker)
    }

    #[inline]
    pub(crate) fn try_recv(&self) -> Result<BytesFrame<'t, Mpmc>, RecvError> {
        self.0.try_recv()
    }

    pub(crate) fn try_recv_many(&self, max: usize) -> Result<BytesFrames<'t, Mpmc>, RecvError> {
        self.0.try_recv_many(max)
    }

    /// As `recv_until`, for the first of up to `max` messages.
    pub(crate) fn recv_many_until(
        &self,
        max: usize,
        deadline: Option<Instant>,
    ) -> Result<BytesFrames<'t, Mpmc>, RecvError> {
        self.0.set_interrupt_check(signals::check_here());
        match deadline {
            Some(deadline) => self.0.recv_many_deadline(max, deadline),
            None => self.0.recv_many(max),
        }
    }

    /// Waits until `deadline`; `None`: for ever.
    pub(crate) fn recv_until(&self, deadline: Option<Instant>) -> Result<BytesFrame<'t, Mpmc>, RecvError> {
        // Only this thread waits with it now: if it handles no signals, it is not woken for them.
        self.0.set_interrupt_check(signals::check_here());
        match deadline {
            Some(deadline) => self.0.recv_deadline(deadline),
            None => self.0.recv(),
        }
    }
}

/// A consumer that threads share, whose frames own their share of it.
#[derive(Clone)]
pub(crate) enum Receiver {
    Mpmc(BytesSharedConsumer<Mpmc>),
    Spsc(BytesSharedConsumer<Spsc>),
}

/// A message in place in the file.
pub(crate) enum OwnedFrame {
    Mpmc(BytesOwnedFrame<Mpmc>),
    Spsc(BytesOwnedFrame<Spsc>),
}

impl Receiver {
    #[inline]
    pub(crate) fn try_recv(&self) -> Result<OwnedFrame, RecvError> {
        Ok(match self {
            Self::Mpmc(consumer) => OwnedFrame::Mpmc(consumer.try_recv()?),
            Self::Spsc(consumer) => OwnedFrame::Spsc(consumer.try_recv()?),
        })
    }

    /// Waits until `deadline`; `None`: for ever.
    pub(crate) fn recv_until(&self, deadline: Option<Instant>) -> Result<OwnedFrame, RecvError> {
        Ok(match (self, deadline) {
            (Self::Mpmc(consumer), Some(deadline)) => OwnedFrame::Mpmc(consumer.recv_deadline(deadline)?),
            (Self::Mpmc(consumer), None) => OwnedFrame::Mpmc(consumer.recv()?),
            (Self::Spsc(consumer), Some(deadline)) => OwnedFrame::Spsc(consumer.recv_deadline(deadline)?),
            (Self::Spsc(consumer), None) => OwnedFrame::Spsc(consumer.recv()?),
        })
    }

    /// How many frames of it this process holds.
    pub(crate) fn held(&self) -> usize {
        each!(self, consumer => consumer.held()).unwrap_or_default()
    }
}

/// What happens to a message when its frame ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Release,
    /// Comes again, with one redelivery more.
    Reject,
    /// Comes again as it was.
    PutBack,
}

impl OwnedFrame {
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        each!(self, frame => frame)
    }

    pub(crate) fn position(&self) -> u64 {
        each!(self, frame => frame.position())
    }

    pub(crate) fn redeliveries(&self) -> u64 {
        each!(self, frame => frame.redeliveries())
    }

    /// Gives the room back.
    pub(crate) fn end(self, fate: Fate) {
        match fate {
            Fate::Release => drop(self),
            Fate::Reject => each!(self, frame => frame.reject()),
            Fate::PutBack => each!(self, frame => frame.put_back()),
        }
    }
}

/// Keeps a mapping in which a message was, so that a view of it never sees freed memory.
#[allow(dead_code, reason = "kept, not read")]
pub(crate) enum KeptMapping {
    Consumer(Receiver),
    Producer(Arc<SharedProducer>),
}
