//! Typed queues with untrusted peers.

mod consumer;
mod producer;

use std::marker::PhantomData;
use std::path::Path;

pub use consumer::{Consumer, Frame};
pub use producer::Producer;

use super::Message;
use super::format::schema;
use crate::error::{AttachError, CreateError, OpenError};
use crate::queue::untrusted::{BytesQueue, Limits, untrusted};
use crate::queue::{CreateOptions, Kind, OpenOptions, Shared, Spsc};
use crate::shm::Warning;

/// A queue of messages of type `T` with untrusted peers.
///
/// See the [module](crate::untrusted) for an example, and for the guarantees.
///
/// What a queue tells about itself:
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// use ringway::untrusted::spsc::Queue;
/// let queue = Queue::<u64>::create(&name)?;
/// assert_eq!(queue.path(), name);
/// assert!(queue.warnings().is_empty());
/// println!("messages of up to {} bytes in a ring of {}", queue.max_message(), queue.ring_bytes());
/// queue.close();
/// assert!(queue.is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<T, K: Kind = Spsc> {
    bytes: BytesQueue<K>,
    message: PhantomData<fn(T) -> T>,
}

impl<T: Message, K: Kind> Queue<T, K> {
    /// Creates a queue with default [`CreateOptions`] and [`Limits`] and opens it. A bare name lives in
    /// `/dev/shm`, anything with a slash is a path. Only processes of the same user can write the
    /// file, until its mode is changed.
    ///
    /// # Errors
    /// [`CreateError`]: `AlreadyExists` if there is a file of that name. A failure leaves no file.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::Queue;
    /// let queue = Queue::<u64>::create(&name)?;
    /// let again = Queue::<u64>::create(&name);
    /// assert!(again.unwrap_err().is_already_exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<Path>) -> Result<Self, CreateError> {
        Self::create_with(name, &CreateOptions::new(), &Limits::new())
    }

    /// Creates a queue and opens it. `options` determine the size of its file; `limits` do not apply to it.
    ///
    /// # Errors
    /// As [`create`](Self::create), and `InvalidOptions`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::CreateOptions;
    /// use ringway::untrusted::Limits;
    /// use ringway::untrusted::spsc::Queue;
    /// let options = CreateOptions::new().ring_bytes(1 << 16);
    /// let queue = Queue::<u64>::create_with(&name, &options, &Limits::new())?;
    /// assert_eq!(queue.ring_bytes(), 1 << 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_with(
        name: impl AsRef<Path>,
        options: &CreateOptions,
        limits: &Limits,
    ) -> Result<Self, CreateError> {
        options.check_creates_only()?;
        let schema = schema::<T>();
        let resolved = options.for_type::<K>(&schema)?;
        let shared = Shared::create::<K>(name.as_ref(), &resolved, &schema)?;
        shared.note_options(options, &resolved);
        Ok(Self::new(BytesQueue::from_shared(shared, *limits)))
    }

    /// Opens an existing queue, with default [`OpenOptions`] and [`Limits`].
    ///
    /// # Errors
    /// [`OpenError`] if the file is no such queue; it says what the file is instead. The file is not changed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::Queue;
    /// let missing = Queue::<u64>::open(&name);
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
    /// use ringway::untrusted::spsc::Queue;
    /// # drop(Queue::<u64>::create(&name)?);
    /// let options = OpenOptions::new().prefault(false);
    /// let queue = Queue::<u64>::open_with(&name, &options, &Limits::new())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_with(
        name: impl AsRef<Path>,
        options: &OpenOptions,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        let handle_options = untrusted(options.handle_options(), limits);
        let shared = Shared::open::<K>(name.as_ref(), &schema::<T>(), handle_options)?;
        Ok(Self::new(BytesQueue::from_shared(shared, *limits)))
    }

    /// Opens the queue, or creates it, with default options and [`Limits`].
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::Queue;
    /// let queue = Queue::<u64>::open_or_create(&name)?;
    /// let same = Queue::<u64>::open_or_create(&name)?;
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
    /// use ringway::untrusted::spsc::Queue;
    /// let options = CreateOptions::new().ring_bytes(1 << 16);
    /// let queue = Queue::<u64>::open_or_create_with(&name, &options, &Limits::new())?;
    /// assert_eq!(queue.warnings(), []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create_with(
        name: impl AsRef<Path>,
        options: &CreateOptions,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        let schema = schema::<T>();
        let mut resolved = options.for_type::<K>(&schema).map_err(OpenError::Create)?;
        resolved.handle_options = untrusted(resolved.handle_options, limits);
        let shared = Shared::open_or_create::<K>(name.as_ref(), &resolved, &schema)?;
        shared.note_options(options, &resolved);
        Ok(Self::new(BytesQueue::from_shared(shared, *limits)))
    }

    fn new(bytes: BytesQueue<K>) -> Self {
        Self { bytes, message: PhantomData }
    }

    /// Attaches the queue's producer, or (MPMC) one of them.
    ///
    /// # Errors
    /// See [`Queue::producer`](crate::kind::Queue::producer).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::Queue;
    /// let queue = Queue::<u64>::create(&name)?;
    /// let mut producer = queue.producer()?;
    /// producer.send(&7)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<Producer<T, K>, AttachError> {
        self.bytes.producer().map(Producer::new)
    }

    /// Attaches the queue's consumer, or (MPMC) one of them.
    ///
    /// # Errors
    /// See [`Queue::consumer`](crate::kind::Queue::consumer).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::Queue;
    /// let queue = Queue::<u64>::create(&name)?;
    /// queue.producer()?.send(&7)?;
    /// let consumer = queue.consumer()?;
    /// let frame = consumer.recv()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<Consumer<T, K>, AttachError> {
        Ok(Consumer::new(self.bytes.consumer()?, self.bytes.limits()))
    }

    /// Closes the queue for good, as far as peers follow the protocol.
    pub fn close(&self) {
        self.bytes.close();
    }

    /// Whether the queue was closed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::untrusted::spsc::Queue;
    /// let queue = Queue::<u64>::create(&name)?;
    /// assert!(!queue.is_closed());
    /// queue.close();
    /// assert!(queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.bytes.is_closed()
    }

    /// Non-fatal warnings of this handle, its clones and the participants attached through them:
    /// options that could not be honoured, filesystem caveats.
    pub fn warnings(&self) -> Vec<Warning> {
        self.bytes.warnings()
    }

    /// The path of this queue's file.
    pub fn path(&self) -> &Path {
        self.bytes.path()
    }

    /// Bytes of the ring.
    pub fn ring_bytes(&self) -> usize {
        self.bytes.ring_bytes()
    }

    /// Bytes of the largest archive that is sent or received here.
    pub fn max_message(&self) -> usize {
        self.bytes.max_message()
    }
}

impl<T, K: Kind> Clone for Queue<T, K> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), message: PhantomData }
    }
}

impl<T, K: Kind> std::fmt::Debug for Queue<T, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = std::any::type_name::<T>();
        f.debug_struct("untrusted::Queue").field("path", &self.bytes.path()).field("message", &name).finish()
    }
}
