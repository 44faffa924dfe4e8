//! Guards over received archives.
#![allow(unsafe_code, reason = "lends archives in frames that a guard holds")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::size_of;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::path::Path;
use std::ptr::NonNull;

use rkyv::api::access_with_context;
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::validation::shared::SharedValidator;
use rkyv::{access_unchecked, rancor};

use super::Message;
use crate::error::{InvalidFrame, RecvError, SendError, SerializeError, SerializeErrorKind};
use crate::queue::{BytesFrame, BytesFrames, FrameStore, FrameStoreOf, Kind, TakenBy};

/// The maximum depth of archives; deeper ones are refused: validation recurses, and a hostile
/// nesting would overflow the stack. A level takes up to 1 KiB of it in debug builds, so threads
/// that receive deep archives need more than 1 MiB.
///
/// rkyv's validator counts down from it at each pointer that it follows, and refuses to reach 0;
/// the first step is to the root.
pub(super) const MAX_DEPTH: NonZeroUsize = NonZeroUsize::new(MAX_POINTERS + 2).expect("not zero");
/// The maximum length of a chain of pointers in a message.
const MAX_POINTERS: usize = 1022;

/// Checks that consumers will be able to read this archive, which a producer is about to commit.
///
/// `depth`: consumers refuse deeper archives.
#[cold]
pub(super) fn check_readable<T: Message>(bytes: &[u8], depth: NonZeroUsize) -> Result<(), SendError> {
    let mut validator = validator(bytes, depth);
    let checked = access_with_context::<T::Archived, _, rancor::Error>(bytes, &mut validator);
    let Err(reason) = checked else { return Ok(()) };
    // A validator that refuses to follow one more pointer has one level left and stops there. Its debug
    // text is the only way to read that; the error says its cause in builds with debug assertions only.
    match format!("{validator:?}").contains("max_subtree_depth: Some(1)") {
        true => Err(SendError::TooDeep { limit: depth.get().saturating_sub(2) }),
        false => Err(SendError::Serialize(SerializeError(SerializeErrorKind::Failed(reason)))),
    }
}

/// Validates an archive of `T` in place.
#[inline(always)]
fn access<T: Message>(bytes: &[u8]) -> Result<&T::Archived, rancor::Error> {
    access_within::<T>(bytes, MAX_DEPTH)
}

/// Validates an archive of `T` of at most this depth in place.
#[inline(always)]
pub(super) fn access_within<T: Message>(
    bytes: &[u8],
    depth: NonZeroUsize,
) -> Result<&T::Archived, rancor::Error> {
    access_with_context::<T::Archived, _, rancor::Error>(bytes, &mut validator(bytes, depth))
}

#[inline(always)]
fn validator(bytes: &[u8], depth: NonZeroUsize) -> Validator<ArchiveValidator<'_>, SharedValidator> {
    Validator::new(ArchiveValidator::with_max_depth(bytes, Some(depth)), SharedValidator::new())
}

#[cold]
pub(super) fn invalid(path: &Path, bytes: &[u8], is_kept: bool, reason: rancor::Error) -> RecvError {
    RecvError::Invalid(Box::new(InvalidFrame { path: path.to_path_buf(), len: bytes.len(), is_kept, reason }))
}

/// Releases an invalid frame, or rejects it where rejection leads to a dead letter, and returns the
/// error. Takes the parts of the guard, not the guard, whose address must not escape.
#[cold]
#[inline(never)]
fn skip<K: Kind>(store: &FrameStoreOf<K>, taken: TakenBy<K::Receiver>, reason: rancor::Error) -> RecvError {
    // Dropping it releases the frame.
    let bytes = BytesFrame::<K>::new(store, taken);
    let is_kept = store.has_retry_limit();
    let error = invalid(store.shared().path(), &bytes, is_kept, reason);
    if is_kept {
        bytes.reject();
    }
    error
}

/// A received message: derefs to the archive in the file. Dropping it releases the frame.
///
/// If a panic drops the guard, the message is redelivered, because it was not processed to the end.
/// A frame that is forgotten (`mem::forget`) keeps its room, and that of everything after it, until
/// the consumer is gone.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::mpmc::Queue::<String>::create(dir.path().join("q"))? };
/// queue.producer()?.send(&"hello".to_string())?;
/// let consumer = queue.consumer()?;
/// let frame = consumer.recv()?;
/// assert_eq!(&*frame, "hello");
/// println!("its archive: {:?}", frame.as_bytes());
/// assert_eq!((frame.redeliveries(), frame.dead_letter()), (0, None));
/// frame.reject(); // it is delivered once more
/// assert_eq!(consumer.recv()?.redeliveries(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Frame<'c, T: Message, K: Kind> {
    /// Points into the bytes that `bytes` guards.
    archived: NonNull<T::Archived>,
    bytes: BytesFrame<'c, K>,
}

// SAFETY: a frame is its two fields. `archived` is only ever used as a shared reference to a
// `T::Archived` (`deref`), which may be sent to another thread if a `T::Archived` may be shared
// between threads; the archive itself stays in the file and is never dropped. The other field may
// be sent by the condition.
unsafe impl<'c, T: Message<Archived: Sync>, K: Kind> Send for Frame<'c, T, K> where BytesFrame<'c, K>: Send {}
// SAFETY: a shared frame gives out what a shared reference to each field gives out: `&T::Archived`,
// which several threads may have if a `T::Archived` may be shared between them, and `&BytesFrame`,
// which they may have by the condition.
unsafe impl<'c, T: Message<Archived: Sync>, K: Kind> Sync for Frame<'c, T, K> where BytesFrame<'c, K>: Sync {}

impl<'c, T: Message, K: Kind> Frame<'c, T, K> {
    #[inline(always)]
    pub(crate) fn checked(bytes: BytesFrame<'c, K>) -> Result<Self, RecvError> {
        match access::<T>(&bytes) {
            Ok(archived) => Ok(Self { archived: NonNull::from(archived), bytes }),
            Err(reason) => {
                let (store, taken) = bytes.into_parts();
                Err(skip::<K>(store, taken, reason))
            }
        }
    }

    /// # Safety
    /// The bytes must be a valid archive of `T`, if they are long enough for one.
    #[inline(always)]
    pub(super) unsafe fn unchecked(bytes: BytesFrame<'c, K>) -> Result<Self, RecvError> {
        if bytes.len() < size_of::<T::Archived>() {
            // The length is checked even here, so that no pointer leaves the frame.
            return Self::checked(bytes);
        }
        // SAFETY: long enough (above), and valid by the caller's promise.
        let archived = NonNull::from(unsafe { access_unchecked::<T::Archived>(&bytes) });
        Ok(Self { archived, bytes })
    }

    /// The number of earlier deliveries of the message: 0 only if there were none; MPMC counts up to 15. See
    /// [`BytesFrame::redeliveries`](crate::kind::BytesFrame::redeliveries).
    pub fn redeliveries(&self) -> u64 {
        self.bytes.redeliveries()
    }

    /// Rejects the message: it is redelivered before any new one, with one redelivery more.
    pub fn reject(self) {
        self.bytes.reject();
    }

    pub(super) fn bytes(&self) -> &BytesFrame<'c, K> {
        &self.bytes
    }

    /// The whole archive, root at the end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T: Message, K: Kind> Deref for Frame<'_, T, K> {
    type Target = T::Archived;

    #[inline(always)]
    fn deref(&self) -> &T::Archived {
        // SAFETY: points to an archive that was validated, or promised valid, in bytes that nothing
        // writes to while `self.bytes` lives.
        unsafe { self.archived.as_ref() }
    }
}

impl<T: Message<Archived: fmt::Debug>, K: Kind> fmt::Debug for Frame<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Messages received together. Dropping it releases all of them; if a panic drops it, all of them
/// are redelivered.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::mpmc::Queue::<String>::create(dir.path().join("q"))? };
/// queue.producer()?.send_many(&["one", "two"].map(String::from))?;
/// let consumer = queue.consumer()?;
/// let frames = consumer.recv_many(10)?;
/// assert!(!frames.is_empty() && frames.len() == 2);
/// for (message, position) in frames.iter().zip(frames.positions()) {
///     println!("{position}: {}", message?);
/// }
/// assert!(frames.redeliveries().all(|count| count == 0));
/// // SAFETY: only this program, with this type, sends to this queue.
/// assert_eq!(unsafe { frames.iter_unchecked() }.count(), 2);
/// frames.reject(); // all of them are delivered once more
/// assert_eq!(&*consumer.recv()?, "one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Frames<'c, T, K: Kind> {
    pub(super) bytes: BytesFrames<'c, K>,
    message: PhantomData<fn() -> T>,
}

impl<'c, T: Message, K: Kind> Frames<'c, T, K> {
    #[inline(always)]
    pub(crate) fn new(bytes: BytesFrames<'c, K>) -> Self {
        Self { bytes, message: PhantomData }
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never true: a guard holds at least one message.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The number of earlier deliveries of each message, in the order of [`iter`](Self::iter): see
    /// [`Frame::redeliveries`].
    pub fn redeliveries(&self) -> impl Iterator<Item = u64> + '_ {
        self.bytes.redeliveries()
    }

    /// The messages in order, each validated when it is reached.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = Result<&T::Archived, RecvError>> + '_ {
        self.bytes
            .iter()
            .enumerate()
            .map(|(index, bytes)| access::<T>(bytes).map_err(|reason| self.unreadable(index, bytes, reason)))
    }

    /// The messages in order, without validation.
    ///
    /// # Safety
    /// Every frame of the queue must be a valid archive of `T`, as [`Producer`](super::Producer) writes it.
    ///
    /// # Panics
    /// If a frame is too short to be an archive of `T`.
    #[inline(always)]
    pub unsafe fn iter_unchecked(&self) -> impl Iterator<Item = &T::Archived> + '_ {
        self.bytes.iter().map(|bytes| {
            assert!(bytes.len() >= size_of::<T::Archived>(), "a frame is too short for an archive");
            // SAFETY: long enough (above), and valid by the caller's promise.
            unsafe { access_unchecked::<T::Archived>(bytes) }
        })
    }

    /// Like [`skip`], but the other messages of the batch stay in flight.
    #[cold]
    fn unreadable(&self, index: usize, bytes: &[u8], reason: rancor::Error) -> RecvError {
        let store = self.bytes.store();
        let is_kept = store.has_retry_limit();
        if is_kept {
            self.bytes.reject_later(index);
        }
        invalid(store.shared().path(), bytes, is_kept, reason)
    }

    /// Rejects all the messages: they are redelivered before any new one, with one redelivery more.
    pub fn reject(self) {
        self.bytes.reject();
    }
}

impl<T, K: Kind> fmt::Debug for Frames<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}
