//! The typed sending side.
#![allow(unsafe_code, reason = "lends a reserved frame's bytes to the serialiser")]

use std::marker::PhantomData;
use std::mem::size_of;
use std::time::{Duration, Instant};

use rkyv::ser::allocator::Arena;

use super::Message;
use super::payload::{Attempt, count, serialize_into};
use crate::error::{SendError, SerializeError, SerializeErrorKind};
use crate::lane::{Room, Slot};
use crate::park::Canceller;
use crate::queue::{BytesProducer, Kind, Sender, StagedOf};
use crate::wait::{Until, Wait};

/// A value whose archive has another length each time it is asked for is given up after so many attempts.
const MOST_COUNTS: usize = 4;

/// Where a message goes.
enum Place<'s, S> {
    /// Alone, waiting for room if there is an `Until`.
    AtTail(Option<Until>),
    /// Behind what a batch holds already.
    Behind(&'s S),
}

// Not derived, which would ask the same of `S`.
impl<S> Copy for Place<'_, S> {}
impl<S> Clone for Place<'_, S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

/// The producer of a [`Queue`](super::Queue). Values are serialised straight into the file. Dropping it makes room
/// for another producer; what was sent stays.
pub struct Producer<T, K: Kind> {
    bytes: BytesProducer<K>,
    /// Scratch space of serialisers, reused by every message.
    arena: Arena,
    message: PhantomData<fn(T)>,
}

impl<T: Message, K: Kind> Producer<T, K> {
    pub(super) fn new(bytes: BytesProducer<K>) -> Self {
        Self { bytes, arena: Arena::new(), message: PhantomData }
    }

    /// Sends `value` if there is room now.
    ///
    /// # Errors
    /// [`SendError::Full`]; `TooLarge`, `WrongLength` or `Serialize` if the value can never be sent.
    #[inline(always)]
    pub fn try_send(&mut self, value: &T) -> Result<(), SendError> {
        self.send_until(value, None)
    }

    /// Sends `value`, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`.
    #[inline(always)]
    pub fn send(&mut self, value: &T) -> Result<(), SendError> {
        self.send_until(value, Some(Until::Forever))
    }

    /// Sends `value`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), with `Timeout` instead of `Full`.
    pub fn send_timeout(&mut self, value: &T, timeout: Duration) -> Result<(), SendError> {
        match self.try_send(value) {
            Err(SendError::Full) => self.send_until(value, Some(Until::after(timeout))),
            other => other,
        }
    }

    /// Sends `value`, waiting for room until `deadline`.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), with `Timeout` instead of `Full`.
    pub fn send_deadline(&mut self, value: &T, deadline: Instant) -> Result<(), SendError> {
        self.send_until(value, Some(Until::Deadline(deadline)))
    }

    /// Sends as many of `values` as there is room for, in order and in one commit: after a crash either all of them
    /// exist or none (MPMC: the first few; and no more than 255 in one call). Returns how many.
    ///
    /// # Errors
    /// [`SendError::Full`] if there is no room for the first one; as [`try_send`](Self::try_send) if the first one
    /// can never be sent. A later one that cannot ends the batch before it.
    pub fn try_send_many(&mut self, values: &[T]) -> Result<usize, SendError> {
        self.bytes.check()?;
        let mut staged = self.bytes.sender().begin();
        for value in values {
            match self.write(value, Place::Behind(&staged)) {
                Ok((slot, len)) => self.bytes.sender().stage(&mut staged, slot, len),
                Err(error) if K::Sender::count(&staged) == 0 => return Err(error),
                Err(_) => break,
            }
        }
        self.bytes.publish(staged, false)
    }

    /// Sends all of `values` in order, in as few commits as the room allows, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`; the values before the one that cannot be sent are sent.
    pub fn send_many(&mut self, mut values: &[T]) -> Result<(), SendError> {
        while let Some((first, rest)) = values.split_first() {
            match self.try_send_many(values) {
                Ok(sent) => values = &values[sent..],
                Err(SendError::Full) => {
                    self.send(first)?;
                    values = rest;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether a live process consumes this queue.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn has_consumer(&self) -> std::io::Result<bool> {
        self.bytes.has_consumer()
    }

    #[cfg(not(loom))]
    pub(crate) fn bytes(&self) -> &BytesProducer<K> {
        &self.bytes
    }

    #[cfg(not(loom))]
    pub(crate) fn bytes_mut(&mut self) -> &mut BytesProducer<K> {
        &mut self.bytes
    }

    /// As [`BytesProducer::set_wait`].
    pub fn set_wait(&mut self, wait: Wait) {
        self.bytes.set_wait(wait);
    }

    /// As [`BytesProducer::set_interruptible`].
    pub fn set_interruptible(&mut self, interruptible: bool) {
        self.bytes.set_interruptible(interruptible);
    }

    /// Ends this producer's waits from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.bytes.canceller()
    }

    #[inline(always)]
    fn send_until(&mut self, value: &T, until: Option<Until>) -> Result<(), SendError> {
        self.bytes.check()?;
        let (slot, len) = self.write(value, Place::AtTail(until))?;
        self.bytes.commit_until(slot, len, until)
    }

    /// Serialises into free room.
    #[inline(always)]
    fn write(&mut self, value: &T, place: Place<'_, StagedOf<K>>) -> Result<(Slot, usize), SendError> {
        let sender = self.bytes.sender();
        let room = match place {
            Place::AtTail(_) => sender.contiguous(),
            Place::Behind(staged) => sender.contiguous_behind(staged),
        };
        let (slot, room) = match room {
            Room::UpTo(slot, room) => (slot, room),
            Room::FixedLen => {
                let len = size_of::<T::Archived>();
                (self.reserve(len, place)?, len)
            }
            Room::Unknown => return self.write_again(value, Attempt::Overflow, place),
        };
        match self.serialize(value, slot, room) {
            Ok(len) => Ok((slot, len)),
            Err(attempt) => self.write_again(value, attempt, place),
        }
    }

    #[inline(always)]
    fn reserve(&mut self, len: usize, place: Place<'_, StagedOf<K>>) -> Result<Slot, SendError> {
        match place {
            Place::AtTail(until) => self.bytes.reserve_until(len, until),
            Place::Behind(staged) => match self.bytes.sender().reserve_behind(staged, len) {
                Ok(slot) => Ok(slot),
                Err(refusal) => Err(self.bytes.refused(refusal, len)),
            },
        }
    }

    #[inline(always)]
    fn serialize(&mut self, value: &T, slot: Slot, room: usize) -> Result<usize, Attempt> {
        let payload = self.bytes.payload(slot);
        // SAFETY: the sender granted these `room` mapped bytes behind what is staged (`reserve`, or `contiguous`), by the
        // contract of `Sender`; nobody else accesses them until they are committed, and the slice ends before that.
        let frame = unsafe { std::slice::from_raw_parts_mut(payload, room) };
        serialize_into(value, frame, &mut self.arena)
    }

    /// The room at hand was too small: finds out how much it takes, and reserves exactly that.
    #[cold]
    fn write_again(
        &mut self,
        value: &T,
        attempt: Attempt,
        place: Place<'_, StagedOf<K>>,
    ) -> Result<(Slot, usize), SendError> {
        if let Attempt::Failed(error) = attempt {
            return Err(error);
        }
        // The length may depend on where the frame stands: padding before types that are aligned more than frames are.
        // Room for more than is needed is found on the way; asking again where that was settles it.
        let mut len = count(value, std::ptr::null(), &mut self.arena)?;
        for _ in 0..MOST_COUNTS {
            // On a queue of fixed-size messages this refuses every length but one.
            let slot = self.reserve(len, place)?;
            match self.serialize(value, slot, len) {
                Ok(len) => return Ok((slot, len)),
                Err(Attempt::Failed(error)) => return Err(error),
                Err(Attempt::Overflow) => {
                    len = count(value, self.bytes.payload(slot), &mut self.arena)?.max(len)
                }
            }
        }
        Err(SendError::Serialize(SerializeError(SerializeErrorKind::Overflow)))
    }
}

impl<T, K: Kind> std::fmt::Debug for Producer<T, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bytes.fmt(f)
    }
}
