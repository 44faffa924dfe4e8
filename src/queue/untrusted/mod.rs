//! Queues of bytes whose peers are untrusted. This page shows why that is sound whatever they
//! write: every word of the file that is read, and what is done with it.
//!
//! The engines are those of trusted queues, which do not take anything in the file for granted
//! either. They rely on the contract of opening for one thing only: that payloads do not change
//! between commit and release ([`super::kind::FrameStore`]), or between reserve and commit
//! ([`super::kind::Sender`]). No code here makes a slice of shared bytes, so none relies on it;
//! payloads are copied by atomics ([`copy`](super::copy)), and their places and lengths come from the engine's
//! own memory.
//!
//! | read | where | what is done with it |
//! |---|---|---|
//! | preamble | `pread` into private memory, once | checked and turned into a geometry that all else is bounded by |
//! | length of the file | `fstat`, once | must be the geometry's, which [`Limits::file`] bounds before anything is mapped |
//! | `dead`, hard link count | attach | an error |
//! | entry's pid | a role is taken | a number for the error's text |
//! | `released`, `taken`, `redelivered_until`, `redelivery_count`, `tail` | SPSC attach, once each | against each other and 2^62, so that no later sum overflows |
//! | commit words | each attempt, once | length against the geometry and the ring, before any sum |
//! | `tail` of fixed sizes | each attempt, once | must lie within one ring of the reader's own position |
//! | commit words at a producer's attach | a walk | at most one ring: positions only grow, up to the limit |
//! | `head`, `released` | a producer's room | not beyond its own `tail`; room is never more than a ring |
//! | slot's frame reference | after a take, once | lane, offset, length and alignment against the geometry |
//! | slot's state, MPMC cursors, intents | takes, claims, recovery | compared, exchanged, taken apart; never an index but through the mask, or an owner below the count |
//! | counters | adds | wrap |
//! | `lane_ready` | first frame of a lane | whether to read there; the lane is mapped in any case |
//! | eventcounts | waits | whether to call the kernel; every sleep has a timeout, every loop an end |
//!
//! A consumer's position is its own count, which [`BytesConsumer`] keeps below where sums could
//! overflow. Loops over slots and entries are as long as the geometry says, that is, as [`Limits`]
//! allow; loops that repeat when other participants were faster end after a fixed number of turns.

mod buffer;
mod consumer;
mod producer;

use std::path::Path;
use std::sync::Arc;

pub use super::file::limits::Limits;
pub(crate) use buffer::{Buffer, offset_in_page};
pub use consumer::{BytesConsumer, BytesFrame};
pub use producer::BytesProducer;

use super::file::handle_options::HandleOptions;
use super::{CreateOptions, Kind, OpenOptions, Schema, Shared, Spsc};
use crate::error::{AttachError, CreateError, OpenError};
use crate::shm::Warning;

/// A queue of byte messages whose peers are untrusted.
///
/// ```
/// use ringway::untrusted::spsc::BytesQueue;
///
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("bytes");
/// let queue = BytesQueue::create(&name)?;
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// producer.send(b"hello")?;
/// assert_eq!(&*consumer.recv()?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What a queue tells about itself:
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// use ringway::untrusted::spsc::BytesQueue;
/// let queue = BytesQueue::create(&name)?;
/// assert_eq!(queue.path(), name);
/// assert!(queue.warnings().is_empty());
/// println!("messages of up to {} bytes in a ring of {}", queue.max_message(), queue.ring_bytes());
/// queue.close();
/// assert!(queue.is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesQueue<K: Kind = Spsc> {
    inner: super::BytesQueue<K>,
    limits: Limits,
}

impl<K: Kind> BytesQueue<K> {
    /// Creates a queue with default [`CreateOptions`] and [`Limits`] and opens it. A name without a slash
    /// is a file in `/dev/shm`; a name with a slash is a path. Only processes of the same user can
    /// write the file, until its mode is changed.
    ///
    /// # Errors
    /// [`CreateError`]: `AlreadyExists` if there is a file of that name. No error leaves a new file
    /// in place.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::BytesQueue;
    /// let queue = BytesQueue::create(&name)?;
    /// let again = BytesQueue::create(&name);
    /// assert!(again.unwrap_err().is_already_exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<Path>) -> Result<Self, CreateError> {
        Self::create_with(name, &CreateOptions::new(), &Limits::new())
    }

    /// Creates a queue and opens it. The size of its file follows from `options`, not from
    /// `limits`.
    ///
    /// # Errors
    /// As [`create`](Self::create), and `InvalidOptions`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::CreateOptions;
    /// use ringway::untrusted::Limits;
    /// use ringway::untrusted::spsc::BytesQueue;
    /// let options = CreateOptions::new().ring_bytes(1 << 16);
    /// let queue = BytesQueue::create_with(&name, &options, &Limits::new())?;
    /// assert_eq!(queue.ring_bytes(), 1 << 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_with(
        name: impl AsRef<Path>,
        options: &CreateOptions,
        limits: &Limits,
    ) -> Result<Self, CreateError> {
        options.check_creates_only()?;
        let resolved = options.for_bytes::<K>()?;
        let shared = Shared::create::<K>(name.as_ref(), &resolved, &Schema::bytes())?;
        shared.note_options(options, &resolved);
        Ok(Self::from_shared(shared, *limits))
    }

    /// Opens an existing queue, with default [`OpenOptions`] and [`Limits`].
    ///
    /// # Errors
    /// [`OpenError`] tells what the file is instead; the file is not changed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::BytesQueue;
    /// let missing = BytesQueue::open(&name);
    /// assert!(missing.unwrap_err().is_not_found());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(name: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(name, &OpenOptions::new(), &Limits::new())
    }

    /// Opens an existing queue, with these options and limits. Unless [`OpenOptions::sharing`] is set,
    /// any user may be able to write to the file; unless [`OpenOptions::prefault`] is set, its pages
    /// are mapped when they are used.
    ///
    /// # Errors
    /// As [`open`](Self::open); `TooLarge` if its file is larger than the limit.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::OpenOptions;
    /// use ringway::untrusted::Limits;
    /// use ringway::untrusted::spsc::BytesQueue;
    /// # drop(BytesQueue::create(&name)?);
    /// let options = OpenOptions::new().prefault(false);
    /// let queue = BytesQueue::open_with(&name, &options, &Limits::new())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_with(
        name: impl AsRef<Path>,
        options: &OpenOptions,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        let handle_options = untrusted(options.handle_options(), limits);
        let shared = Shared::open::<K>(name.as_ref(), &Schema::bytes(), handle_options)?;
        Ok(Self::from_shared(shared, *limits))
    }

    /// Opens the queue, or creates it, with default options and [`Limits`].
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::BytesQueue;
    /// let queue = BytesQueue::open_or_create(&name)?;
    /// let same = BytesQueue::open_or_create(&name)?;
    /// assert_eq!(same.path(), queue.path());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_or_create_with(name, &CreateOptions::new(), &Limits::new())
    }

    /// Opens the queue, or creates it with these options if there is none.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with) and [`create_with`](Self::create_with).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::CreateOptions;
    /// use ringway::untrusted::Limits;
    /// use ringway::untrusted::spsc::BytesQueue;
    /// let options = CreateOptions::new().ring_bytes(1 << 16);
    /// let queue = BytesQueue::open_or_create_with(&name, &options, &Limits::new())?;
    /// assert_eq!(queue.warnings(), []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create_with(
        name: impl AsRef<Path>,
        options: &CreateOptions,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        let mut resolved = options.for_bytes::<K>().map_err(OpenError::Create)?;
        resolved.handle_options = untrusted(resolved.handle_options, limits);
        let shared = Shared::open_or_create::<K>(name.as_ref(), &resolved, &Schema::bytes())?;
        shared.note_options(options, &resolved);
        Ok(Self::from_shared(shared, *limits))
    }

    /// `shared` must not be shared yet.
    pub(crate) fn from_shared(shared: Arc<Shared>, limits: Limits) -> Self {
        Self { inner: super::BytesQueue::from_shared(shared.into_untrusted()), limits }
    }

    /// Attaches as the queue's producer, or (MPMC) as one of them.
    ///
    /// # Errors
    /// As [`BytesQueue::producer`](crate::kind::BytesQueue::producer).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::BytesQueue;
    /// let queue = BytesQueue::create(&name)?;
    /// let mut producer = queue.producer()?;
    /// producer.send(b"hello")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<BytesProducer<K>, AttachError> {
        Ok(BytesProducer::new(self.inner.producer()?, self.limits))
    }

    /// Attaches as the queue's consumer, or (MPMC) as one of them.
    ///
    /// # Errors
    /// As [`BytesQueue::consumer`](crate::kind::BytesQueue::consumer).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::BytesQueue;
    /// let queue = BytesQueue::create(&name)?;
    /// queue.producer()?.send(b"hello")?;
    /// let consumer = queue.consumer()?;
    /// let frame = consumer.recv()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<BytesConsumer<K>, AttachError> {
        Ok(BytesConsumer::new(self.inner.consumer()?, self.limits))
    }

    /// Closes the queue, for good, as far as its peers keep to the protocol.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Returns whether the queue was closed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::BytesQueue;
    /// let queue = BytesQueue::create(&name)?;
    /// assert!(!queue.is_closed());
    /// queue.close();
    /// assert!(queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Returns the non-fatal warnings of this handle, its clones and the participants attached
    /// through them: options that could not be honoured, filesystem caveats.
    pub fn warnings(&self) -> Vec<Warning> {
        self.inner.warnings()
    }

    /// Returns the path of this queue's file.
    pub fn path(&self) -> &Path {
        self.inner.path()
    }

    /// Returns the bytes of the ring.
    pub fn ring_bytes(&self) -> usize {
        self.inner.ring_bytes()
    }

    /// Returns the bytes of the largest message that is sent or received here.
    pub fn max_message(&self) -> usize {
        self.inner.max_message().min(self.limits.max_bytes())
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }
}

impl<K: Kind> Clone for BytesQueue<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), limits: self.limits }
    }
}

impl<K: Kind> std::fmt::Debug for BytesQueue<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("untrusted::BytesQueue")
            .field("path", &self.path())
            .field("limits", &self.limits)
            .finish()
    }
}

/// The options of a handle whose peers are untrusted.
pub(crate) fn untrusted(handle_options: HandleOptions, limits: &Limits) -> HandleOptions {
    HandleOptions { limits: Some(*limits), ..handle_options }
}
