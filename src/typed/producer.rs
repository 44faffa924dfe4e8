//! The producer of a typed queue.
#![allow(unsafe_code, reason = "lends a reserved frame's bytes to the serialiser")]

use std::marker::PhantomData;
use std::mem::size_of;
use std::time::{Duration, Instant};

use rkyv::ser::allocator::Arena;

use super::Message;
use super::format::Known;
use super::frame::{MAX_DEPTH, check_readable};
use super::payload::{Attempt, count, serialize_into};
use crate::error::{SendError, SerializeError, SerializeErrorKind};
use crate::lane::{Reserved, Room};
use crate::queue::producer_controls;
use crate::queue::{BytesProducer, Kind, Sender, StagedOf};
use crate::wait::Until;

/// Retry limit for a value whose archive has another length each time.
const MAX_COUNTS: usize = 4;

/// Where a message goes.
enum Place<'s, S> {
    /// As a message of its own; waits for room if there is an `Until`.
    AtTail(Option<Until>),
    /// After the frames that a batch has staged already.
    AfterStaged(&'s S),
}

// Not derived: a derive would require `S: Copy`.
impl<S> Copy for Place<'_, S> {}
impl<S> Clone for Place<'_, S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

/// The producer of a [`Queue`](super::Queue). Values are serialised straight into the file.
/// Dropping it frees the role for another producer; sent messages stay.
///
/// It sends values of `T`; and, through [`of`](Self::of), of every type with an identical archive,
/// such as `T` with another lifetime.
// In C's layout, which does not depend on `T`: see `of`.
///
/// ```
/// use std::time::{Duration, Instant};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::Queue::<String>::create(dir.path().join("q"))? };
/// let mut producer = queue.producer()?;
/// let (message, soon) = ("hello".to_string(), Duration::from_millis(10));
/// producer.send_timeout(&message, soon)?;
/// producer.send_deadline(&message, Instant::now() + soon)?;
/// producer.send_many(&[message.clone(), message.clone()])?;
/// assert_eq!(producer.try_send_many(&[message])?, 1);
/// assert!(!producer.is_empty() && producer.len() > 0 && producer.room() > 0);
/// println!("the next message has position {}", producer.position());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
pub struct Producer<T, K: Kind> {
    pub(super) bytes: BytesProducer<K>,
    /// Scratch space of serialisers, reused by every message.
    arena: Arena,
    /// The type besides `T` that was compared last and may be sent.
    known: Known,
    message: PhantomData<fn(T)>,
}

impl<T: Message, K: Kind> Producer<T, K> {
    pub(super) fn new(mut bytes: BytesProducer<K>) -> Self {
        if bytes.is_recursive() {
            bytes.watch();
        }
        Self { bytes, arena: Arena::new(), known: Known::of::<T>(), message: PhantomData }
    }

    /// Returns this producer for values of another type `U`, with which this queue could be opened
    /// as well, since its archive is identical. That is `T` with another lifetime, so that values
    /// which borrow need not outlive the producer; or another type of the same name and fields,
    /// with `Box<str>` where `T` has a type with the same archive. The compiler infers `U` from the
    /// value that is sent.
    ///
    /// The descriptions are compared at the first call for each type in a row; after that it costs
    /// a nanosecond.
    ///
    /// # Errors
    /// [`SendError::WrongSchema`] if the archive of `U` is not identical.
    ///
    /// ```
    /// use ringway::Message;
    /// use ringway::spsc::Queue;
    /// use rkyv::with::InlineAsBox;
    /// use rkyv::{Archive, Serialize};
    ///
    /// #[derive(Archive, Serialize, Message)]
    /// struct Log<'a> {
    ///     level: u8,
    ///     #[rkyv(with = InlineAsBox)]
    ///     line: &'a str,
    /// }
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("log");
    /// // SAFETY: every process that can write this file uses ringway.
    /// let queue = unsafe { Queue::<Log<'static>>::create(&name)? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// for number in 0..3 {
    ///     let line = format!("line {number}"); // lives shorter than the producer
    ///     producer.of()?.send(&Log { level: 6, line: &line })?;
    ///     assert_eq!(&*consumer.recv()?.line, line);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn of<U: Message>(&mut self) -> Result<&mut Producer<U, K>, SendError> {
        if !self.known.is::<U>() {
            self.known = Known::compared::<U>(self.bytes.schema())?;
        }
        let this: *mut Producer<U, K> = std::ptr::from_mut(self).cast();
        // SAFETY: both types are the same fields in C's layout: `T` and `U` only name a marker of
        // size 0 and alignment 1. The queue holds what a producer of `U` may send (above). The
        // result continues the borrow.
        Ok(unsafe { &mut *this })
    }

    /// Sends `value` if there is room now.
    ///
    /// # Errors
    /// [`SendError::Full`]; `TooLarge`, `WrongLength`, `TooDeep` or `Serialize` if the value can
    /// never be sent.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::Queue::<(u32, bool)>::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// while producer.try_send(&(7, true)).is_ok() {}
    /// assert!(producer.try_send(&(7, true)).unwrap_err().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_send(&mut self, value: &T) -> Result<(), SendError> {
        self.send_until(value, None)
    }

    /// Sends `value`, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::Queue::<(u32, bool)>::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send(&(7, true))?;
    /// assert_eq!(consumer.recv()?.0, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Sends as many of `values` as there is room for, in order and in one commit: after a crash
    /// either all of them exist or none (MPMC: the first few; and no more than 255 in one call).
    /// Returns the number sent.
    ///
    /// # Errors
    /// [`SendError::Full`] if there is no room for the first one; the errors of
    /// [`try_send`](Self::try_send) if the first one can never be sent. A later one that can never
    /// be sent ends the batch before it.
    pub fn try_send_many(&mut self, values: &[T]) -> Result<usize, SendError> {
        if self.bytes.is_watched() {
            return self.try_send_many_carefully(values);
        }
        self.bytes.check_open()?;
        self.stage_and_publish(values, Self::write)
    }

    #[cold]
    fn try_send_many_carefully(&mut self, values: &[T]) -> Result<usize, SendError> {
        self.bytes.check()?;
        self.stage_and_publish(values, Self::write_carefully)
    }

    #[inline(always)]
    fn stage_and_publish(
        &mut self,
        values: &[T],
        write: impl Fn(&mut Self, &T, Place<'_, StagedOf<K>>) -> Result<(Reserved, usize), SendError>,
    ) -> Result<usize, SendError> {
        let mut staged = self.bytes.sender().begin();
        for value in values {
            match write(self, value, Place::AfterStaged(&staged)) {
                Ok((reserved, len)) => self.bytes.sender().stage(&mut staged, reserved, len),
                Err(error) if K::Sender::count(&staged) == 0 => return Err(error),
                Err(_) => break,
            }
        }
        self.bytes.publish(staged, false)
    }

    /// Sends all of `values` in order, in as few commits as the room allows, waiting as long as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`; the values before the one that cannot be
    /// sent are sent.
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

    /// The backlog, in the units of [`BytesQueue::len`](crate::kind::BytesQueue::len).
    pub fn len(&self) -> u64 {
        self.bytes.len()
    }

    /// Whether no message waits for a consumer. An estimate, as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The room that producers have, in the units of [`BytesQueue::room`](crate::kind::BytesQueue::room).
    pub fn room(&self) -> u64 {
        self.bytes.room()
    }

    #[cfg(not(loom))]
    pub(crate) fn bytes(&self) -> &BytesProducer<K> {
        &self.bytes
    }

    #[cfg(not(loom))]
    pub(crate) fn bytes_mut(&mut self) -> &mut BytesProducer<K> {
        &mut self.bytes
    }

    producer_controls!();

    fn engine(&self) -> &BytesProducer<K> {
        &self.bytes
    }

    #[inline(always)]
    fn send_until(&mut self, value: &T, until: Option<Until>) -> Result<(), SendError> {
        if self.bytes.is_watched() {
            return self.send_carefully(value, until);
        }
        self.bytes.check_open()?;
        let (reserved, len) = self.write(value, Place::AtTail(until))?;
        self.bytes.commit_until(reserved, len, until)
    }

    #[cold]
    fn send_carefully(&mut self, value: &T, until: Option<Until>) -> Result<(), SendError> {
        self.bytes.check()?;
        let (reserved, len) = self.write_carefully(value, Place::AtTail(until))?;
        self.bytes.commit_until(reserved, len, until)
    }

    /// Serialises into free room, and, if values may be nested to any depth, checks that the
    /// archive can be read again. An archive that cannot be read is not committed, and the next
    /// message takes its room.
    fn write_carefully(
        &mut self,
        value: &T,
        place: Place<'_, StagedOf<K>>,
    ) -> Result<(Reserved, usize), SendError> {
        let (reserved, len) = self.write(value, place)?;
        if self.bytes.is_recursive() {
            // SAFETY: the sender granted these `len` mapped bytes, which nothing else accesses
            // until they are committed; they were written just now.
            let archive = unsafe { std::slice::from_raw_parts(self.bytes.payload(reserved), len) };
            check_readable::<T>(archive, MAX_DEPTH)?;
        }
        Ok((reserved, len))
    }

    /// Serialises into free room.
    #[inline(always)]
    fn write(&mut self, value: &T, place: Place<'_, StagedOf<K>>) -> Result<(Reserved, usize), SendError> {
        let sender = self.bytes.sender();
        let room = match place {
            Place::AtTail(_) => sender.contiguous(),
            Place::AfterStaged(staged) => sender.contiguous_after(staged),
        };
        let (reserved, room) = match room {
            Room::UpTo(reserved, room) => (reserved, room),
            Room::FixedLen => {
                let len = size_of::<T::Archived>();
                (self.reserve(len, place)?, len)
            }
            Room::Unknown => return self.write_again(value, Attempt::Overflow, place),
        };
        match self.serialize(value, reserved, room) {
            Ok(len) => Ok((reserved, len)),
            Err(attempt) => self.write_again(value, attempt, place),
        }
    }

    #[inline(always)]
    fn reserve(&mut self, len: usize, place: Place<'_, StagedOf<K>>) -> Result<Reserved, SendError> {
        match place {
            Place::AtTail(until) => self.bytes.reserve_until(len, until),
            Place::AfterStaged(staged) => match self.bytes.sender().reserve_after(staged, len) {
                Ok(reserved) => Ok(reserved),
                Err(refusal) => Err(self.bytes.refused(refusal, len)),
            },
        }
    }

    #[inline(always)]
    fn serialize(&mut self, value: &T, reserved: Reserved, room: usize) -> Result<usize, Attempt> {
        let payload = self.bytes.payload(reserved);
        // SAFETY: the sender granted these `room` mapped bytes after what is staged (`reserve`, or
        // `contiguous`), by the contract of `Sender`; nothing else accesses them until they are
        // committed, and the slice ends before that.
        let frame = unsafe { std::slice::from_raw_parts_mut(payload, room) };
        serialize_into(value, frame, &mut self.arena)
    }

    /// The contiguous room was too small: counts the bytes of the archive, and reserves exactly that many.
    #[cold]
    fn write_again(
        &mut self,
        value: &T,
        attempt: Attempt,
        place: Place<'_, StagedOf<K>>,
    ) -> Result<(Reserved, usize), SendError> {
        if let Attempt::Failed(error) = attempt {
            return Err(error);
        }
        // The length may depend on the address of the frame: types with a larger alignment than
        // frames need padding. So an archive that does not fit the room that was reserved is
        // counted again at that address.
        let mut len = count(value, std::ptr::null(), &mut self.arena)?;
        for _ in 0..MAX_COUNTS {
            // On a queue of fixed-size messages this refuses every length but one.
            let reserved = self.reserve(len, place)?;
            match self.serialize(value, reserved, len) {
                Ok(len) => return Ok((reserved, len)),
                Err(Attempt::Failed(error)) => return Err(error),
                Err(Attempt::Overflow) => {
                    len = count(value, self.bytes.payload(reserved), &mut self.arena)?.max(len)
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
