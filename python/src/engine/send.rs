//! Producers, and reserved frames that own theirs.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::time::Instant;

use ringway::SendError;
use ringway::kind::{BytesProducer, Mpmc, ReservedFrame, Spsc};

use super::KeptMapping;
use crate::signals;

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
    // A reserved message may be committed by another thread than the one that reserved it: the check
    // itself asks which thread it is.

    pub(super) fn mpmc(mut producer: BytesProducer<Mpmc>) -> Self {
        producer.set_interrupt_check(Some(signals::check));
        Self { shared: Arc::new(SharedProducer::Mpmc(UnsafeCell::new(producer))) }
    }

    pub(super) fn spsc(mut producer: BytesProducer<Spsc>) -> Self {
        producer.set_interrupt_check(Some(signals::check));
        Self { shared: Arc::new(SharedProducer::Spsc(UnsafeCell::new(producer))) }
    }

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
