//! Consumers, and frames that own their share of one.

use std::sync::Arc;
use std::time::Instant;

use ringway::kind::{
    BytesConsumer, BytesFrame, BytesFrames, BytesOwnedFrame, BytesSharedConsumer, Mpmc, Spsc,
};
use ringway::{RecvError, TaskError};

use super::send::SharedProducer;
use crate::signals;

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

    pub(crate) fn task_done(&self) -> Result<(), TaskError> {
        self.0.task_done()
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

    /// Declares one message done. `None` for SPSC, which does not count.
    pub(crate) fn task_done(&self) -> Option<Result<(), TaskError>> {
        match self {
            Self::Mpmc(consumer) => Some(consumer.task_done()),
            Self::Spsc(_) => None,
        }
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
