//! The only module that names the library's handles: one kind of queue behind each enum, and frames
//! that own what they are lent from.
#![allow(unsafe_code, reason = "opens files; reservations that own their producer")]

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use ringway::asynchronous::{PollConsumer, PollProducer};
use ringway::kind::{BytesConsumer, BytesProducer, BytesQueue, Mpmc, RawQueue, Spsc};
use ringway::schema::Description;
use ringway::{AttachError, CreateError, CreateOptions, OpenError, OpenOptions, Stats, TaskError, Uuid};

use crate::signals;

macro_rules! each {
    ($on:expr, $each:ident => $do:expr) => {
        match $on {
            Self::Mpmc($each) => $do,
            Self::Spsc($each) => $do,
        }
    };
}

mod receive;
mod send;

pub(crate) use receive::{Fate, KeptMapping, OwnedFrame, Receiver, Taker, Turn};
pub(crate) use send::{OwnedReservation, Reserved, Sender};

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
        match self {
            Self::Mpmc(queue) => queue.producer().map(Sender::mpmc),
            Self::Spsc(queue) => queue.producer().map(Sender::spsc),
        }
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
