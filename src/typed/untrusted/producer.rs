//! Sends archives into files that untrusted peers may write to.

use std::marker::PhantomData;
use std::mem::size_of;
use std::time::{Duration, Instant};

use rkyv::ser::allocator::Arena;

use crate::error::{SendError, SerializeError, SerializeErrorKind};
use crate::lane::{Reserved, Room};
use crate::queue::Kind;
use crate::queue::producer_controls;
use crate::queue::untrusted::{Buffer, BytesProducer, offset_in_page};
use crate::typed::Message;
use crate::typed::format::Known;
use crate::typed::frame::check_readable;
use crate::typed::payload::{Attempt, count, serialize_into};
use crate::wait::Until;

/// Retry limit for a value whose archive has another length each time.
const MAX_ATTEMPTS: usize = 4;

/// A producer of a [`Queue`](super::Queue): values are serialised in private memory, and copied
/// into the file.
// In C's layout, which does not depend on `T`: see `of`.
///
/// ```
/// use std::time::{Duration, Instant};
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// use ringway::untrusted::spsc::Queue;
/// let queue = Queue::<u64>::create(&name)?;
/// let mut producer = queue.producer()?;
/// let soon = Duration::from_millis(10);
/// producer.send(&1)?;
/// producer.try_send(&2)?;
/// producer.send_timeout(&3, soon)?;
/// producer.send_deadline(&4, Instant::now() + soon)?;
/// assert!(producer.max_message() <= queue.max_message());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
pub struct Producer<T, K: Kind> {
    bytes: BytesProducer<K>,
    buffer: Buffer,
    /// Scratch space of serialisers, reused by every message.
    arena: Arena,
    /// The type besides `T` that was compared last and may be sent.
    known: Known,
    message: PhantomData<fn(T)>,
}

impl<T: Message, K: Kind> Producer<T, K> {
    pub(super) fn new(bytes: BytesProducer<K>) -> Self {
        Self {
            bytes,
            buffer: Buffer::default(),
            arena: Arena::new(),
            known: Known::of::<T>(),
            message: PhantomData,
        }
    }

    /// Returns this producer for values of another type with an identical archive: see
    /// [`Producer::of`](crate::kind::Producer::of).
    ///
    /// # Errors
    /// Those of [`Producer::of`](crate::kind::Producer::of).
    ///
    /// ```
    /// use ringway::Message;
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
    /// let queue = ringway::untrusted::spsc::Queue::<Log<'static>>::create(&name)?;
    /// let mut producer = queue.producer()?;
    /// for number in 0..3 {
    ///     let line = format!("line {number}"); // lives shorter than the producer
    ///     producer.of()?.send(&Log { level: 6, line: &line })?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "two types of one layout")]
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
    /// never be sent; `Corrupted`.
    pub fn try_send(&mut self, value: &T) -> Result<(), SendError> {
        self.send_until(value, None)
    }

    /// Sends `value`, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), but never `Full`.
    pub fn send(&mut self, value: &T) -> Result<(), SendError> {
        self.send_until(value, Some(Until::Forever))
    }

    /// Sends `value`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), with `Timeout` instead of `Full`.
    pub fn send_timeout(&mut self, value: &T, timeout: Duration) -> Result<(), SendError> {
        self.send_until(value, Some(Until::after(timeout)))
    }

    /// Sends `value`, waiting for room until `deadline`.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send), with `Timeout` instead of `Full`.
    pub fn send_deadline(&mut self, value: &T, deadline: Instant) -> Result<(), SendError> {
        self.send_until(value, Some(Until::Deadline(deadline)))
    }

    /// Padding in an archive may depend on its address, and the address on its length: guesses the
    /// address, and serialises again if the reserved one differs.
    fn send_until(&mut self, value: &T, until: Option<Until>) -> Result<(), SendError> {
        self.bytes.check(0)?;
        let mut reserved = None;
        let mut place = match self.bytes.contiguous() {
            Room::UpTo(target, _) => self.bytes.payload(target),
            Room::Unknown => std::ptr::null(),
            Room::FixedLen => {
                let len = size_of::<T::Archived>();
                let target = self.reserve(len, until)?;
                reserved = Some((target, len));
                self.bytes.payload(target)
            }
        };
        for _ in 0..MAX_ATTEMPTS {
            let len = self.serialize(value, place)?;
            let (target, room) = match reserved {
                Some((target, room)) if len <= room => (target, room),
                _ => (self.reserve(len, until)?, len),
            };
            let standing = self.bytes.payload(target);
            if offset_in_page(standing) == offset_in_page(place) {
                return self.bytes.commit_until(target, self.buffer.bytes(place, len), until);
            }
            reserved = Some((target, room));
            place = standing;
        }
        Err(SendError::Serialize(SerializeError(SerializeErrorKind::Overflow)))
    }

    fn reserve(&mut self, len: usize, until: Option<Until>) -> Result<Reserved, SendError> {
        self.bytes.check(len)?;
        self.bytes.reserve_until(len, until)
    }

    /// Serialises the archive into the buffer as it would be at `place`. Returns its length.
    fn serialize(&mut self, value: &T, place: *const u8) -> Result<usize, SendError> {
        let max = self.bytes.max_message();
        match serialize_into(value, self.buffer.room(place, max), &mut self.arena) {
            Ok(len) => {
                if self.bytes.is_recursive() {
                    check_readable::<T>(self.buffer.bytes(place, len), self.bytes.limits().max_depth())?;
                }
                Ok(len)
            }
            Err(Attempt::Failed(error)) => Err(error),
            Err(Attempt::Overflow) => {
                let len = count(value, place, &mut self.arena)?;
                Err(SendError::TooLarge { len, max })
            }
        }
    }

    /// Bytes of the largest archive that is sent here.
    pub fn max_message(&self) -> usize {
        self.bytes.max_message()
    }

    producer_controls!();

    fn engine(&self) -> &crate::queue::BytesProducer<K> {
        self.bytes.engine()
    }
}

impl<T, K: Kind> std::fmt::Debug for Producer<T, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bytes.fmt(f)
    }
}
