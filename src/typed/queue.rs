//! The typed queue.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::format::schema;
use super::{Consumer, Message, Producer};
use crate::error::{AttachError, CreateError, OpenError, SyncError};
use crate::queue::{
    BytesConsumer, BytesProducer, BytesQueue, CreateOptions, Kind, OpenOptions, Shared, Spsc, Uuid,
};

/// A queue of messages of type `T`, archived with rkyv in the file and read in place. `K` says who
/// may send and receive.
///
/// The handle itself neither sends nor receives: [`producer`](Self::producer) and
/// [`consumer`](Self::consumer) attach the handles that do. Dropping it, or the process ending in
/// whatever way, leaves the file in place; [`unlink`](crate::unlink) removes it.
///
/// ```
/// use ringway::Message;
/// use ringway::spsc::Queue;
/// use rkyv::{Archive, Serialize};
///
/// #[derive(Archive, Serialize, Message)]
/// struct Tick {
///     symbol: String,
///     prices: Vec<f64>,
/// }
///
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("ticks");
/// // SAFETY: every process that can write this file uses ringway.
/// let queue = unsafe { Queue::<Tick>::create(&name)? };
/// let mut producer = queue.producer()?;
/// let consumer = queue.consumer()?;
///
/// producer.send(&Tick { symbol: "RWY".into(), prices: vec![1.5, 2.5] })?;
/// let tick = consumer.recv()?;
/// assert_eq!(tick.symbol, "RWY");
/// assert_eq!(tick.prices[1], 2.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Queues without a name, and what a queue tells about itself:
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
/// use ringway::{CreateOptions, OpenOptions, mpmc::Queue};
///
/// let options = CreateOptions::new().ring_bytes(1 << 16);
/// // SAFETY: only this program and the ones that it is passed to have the file, and all use ringway.
/// let queue = unsafe { Queue::<u64>::create_memfd_with(&options)? };
/// let other = unsafe { Queue::<u64>::create_memfd()? };
/// let (here, there) = UnixStream::pair()?;
/// queue.send_fd(&here)?;
/// queue.send_fd(&here)?;
/// // SAFETY: as above, for all of these.
/// let received = unsafe { Queue::<u64>::recv_fd(&there)? };
/// let with_options = unsafe { Queue::<u64>::recv_fd_with(&there, &OpenOptions::new())? };
/// let by_descriptor = unsafe { Queue::<u64>::open_fd(queue.inheritable_fd()?)? };
/// let both = unsafe { Queue::<u64>::open_fd_with(queue.inheritable_fd()?, &OpenOptions::new())? };
/// assert!(received.uuid() == queue.uuid() && received.uuid() != other.uuid());
///
/// println!("{}: aligned to {}", queue.path().display(), queue.alignment());
/// assert!(queue.ring_bytes() == 1 << 16 && queue.max_message() >= 8);
/// assert!(queue.warnings().is_empty() && !queue.is_orphaned()?);
/// let soon = Duration::from_millis(10);
/// let (mut producer, consumer) = (queue.producer_timeout(soon)?, queue.consumer_timeout(soon)?);
/// producer.send(&7)?;
/// assert_eq!((queue.len(), queue.is_empty()), (1, false));
/// assert!(queue.room() > 0 && queue.stats().sent == 1);
/// assert_eq!(queue.recover()?.deaths, 0);
/// queue.close();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<T, K: Kind = Spsc> {
    shared: Arc<Shared>,
    kind: PhantomData<fn() -> K>,
    message: PhantomData<fn(T) -> T>,
}

impl<T: Message, K: Kind> Queue<T, K> {
    /// Creates a queue with default [`CreateOptions`] and opens it. A bare name lives in `/dev/shm`,
    /// anything with a slash is a path.
    ///
    /// # Errors
    /// [`CreateError`]: `AlreadyExists` if there is a file of that name. A failure leaves no file.
    ///
    /// # Safety
    /// Every process that writes to the file while it is open here must keep to the ringway
    /// protocol, and none may truncate it. In practice: only programs that use this library may be
    /// able to write to it (mode 0600 keeps other users out). A child that this process forks
    /// without exec must not read or write through frames and reservations that it inherits.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::Queue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { Queue::<u64>::create(&name) }?;
    /// // SAFETY: as above.
    /// let again = unsafe { Queue::<u64>::create(&name) };
    /// assert!(again.unwrap_err().is_already_exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create(name: impl AsRef<Path>) -> Result<Self, CreateError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::create_with(name, &CreateOptions::new()) }
    }

    /// Creates a queue and opens it.
    ///
    /// # Errors
    /// As [`create`](Self::create), and `InvalidOptions`.
    ///
    /// # Safety
    /// As [`create`](Self::create).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::CreateOptions;
    /// use ringway::spsc::Queue;
    /// let options = CreateOptions::new().ring_bytes(1 << 16);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { Queue::<u64>::create_with(&name, &options) }?;
    /// assert_eq!(queue.ring_bytes(), 1 << 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create_with(name: impl AsRef<Path>, options: &CreateOptions) -> Result<Self, CreateError> {
        let schema = schema::<T>();
        options.check_creates_only()?;
        let resolved = options.for_type::<K>(&schema)?;
        let shared = Shared::create::<K>(name.as_ref(), &resolved, &schema)?;
        shared.note_options(options, &resolved);
        Ok(Self::from_shared(shared))
    }

    /// Opens an existing queue.
    ///
    /// # Errors
    /// [`OpenError`] if the file is no such queue; it says what the file is instead. The file is not changed.
    ///
    /// # Safety
    /// As [`create`](Self::create).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::Queue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let missing = unsafe { Queue::<u64>::open(&name) };
    /// assert!(missing.unwrap_err().is_not_found());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open(name: impl AsRef<Path>) -> Result<Self, OpenError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::open_with(name, &OpenOptions::new()) }
    }

    /// Opens an existing queue with these options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Safety
    /// As [`create`](Self::create).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::OpenOptions;
    /// use ringway::spsc::Queue;
    /// # drop(unsafe { Queue::<u64>::create(&name) }?);
    /// let options = OpenOptions::new().prefault(false);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { Queue::<u64>::open_with(&name, &options) }?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_with(name: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, OpenError> {
        let schema = schema::<T>();
        let shared = Shared::open::<K>(name.as_ref(), &schema, options.handle_options())?;
        Ok(Self::from_shared(shared))
    }

    /// Opens the queue, or creates it with default options if there is none. When several processes
    /// do this at the same time, one of them creates and all open the same queue.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create).
    ///
    /// # Safety
    /// As [`create`](Self::create).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::Queue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { Queue::<u64>::open_or_create(&name) }?;
    /// // SAFETY: as above.
    /// let same = unsafe { Queue::<u64>::open_or_create(&name) }?;
    /// assert_eq!(same.path(), queue.path());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_or_create(name: impl AsRef<Path>) -> Result<Self, OpenError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::open_or_create_with(name, &CreateOptions::new()) }
    }

    /// Opens the queue, or creates it with these options if there is none. The options of an
    /// existing queue stay as they are.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create_with`](Self::create_with).
    ///
    /// # Safety
    /// As [`create`](Self::create).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::CreateOptions;
    /// use ringway::spsc::Queue;
    /// let options = CreateOptions::new().ring_bytes(1 << 16);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { Queue::<u64>::open_or_create_with(&name, &options) }?;
    /// assert_eq!(queue.warnings(), []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_or_create_with(
        name: impl AsRef<Path>,
        options: &CreateOptions,
    ) -> Result<Self, OpenError> {
        let schema = schema::<T>();
        let resolved = options.for_type::<K>(&schema).map_err(OpenError::Create)?;
        let shared = Shared::open_or_create::<K>(name.as_ref(), &resolved, &schema)?;
        shared.note_options(options, &resolved);
        Ok(Self::from_shared(shared))
    }

    pub(super) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared, kind: PhantomData, message: PhantomData }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The same queue as an untyped one.
    pub(super) fn bytes(&self) -> BytesQueue<K> {
        BytesQueue::from_shared(Arc::clone(&self.shared))
    }

    pub(super) fn from_bytes(bytes: BytesQueue<K>) -> Self {
        Self::from_shared(bytes.into_shared())
    }

    /// Attaches the queue's producer, or (MPMC) one of them.
    ///
    /// # Errors
    /// SPSC: [`AttachError::RoleTaken`] while another producer is alive. MPMC:
    /// [`AttachError::TooManyParticipants`] if the maximum number of participants is attached,
    /// [`AttachError::NoSpace`] if the filesystem has no space for its lane.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::Queue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { Queue::<u64>::create(&name) }?;
    /// let mut producer = queue.producer()?;
    /// producer.send(&7)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<Producer<T, K>, AttachError> {
        BytesProducer::attach(Arc::clone(&self.shared)).map(Producer::new)
    }

    /// Attaches the queue's consumer, or (MPMC) one of them. Frames that an earlier consumer held when it
    /// ended are redelivered, with [`Frame::redeliveries`](super::Frame::redeliveries) of at least 1.
    ///
    /// # Errors
    /// SPSC: [`AttachError::RoleTaken`] while another consumer is alive. MPMC:
    /// [`AttachError::TooManyParticipants`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::Queue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { Queue::<u64>::create(&name) }?;
    /// queue.producer()?.send(&7)?;
    /// let consumer = queue.consumer()?;
    /// let frame = consumer.recv()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<Consumer<T, K>, AttachError> {
        BytesConsumer::attach(Arc::clone(&self.shared)).map(Consumer::new)
    }

    /// Attaches the queue's consumer, waiting for at most `timeout` until that is possible: see
    /// [`BytesQueue::consumer_timeout`].
    ///
    /// # Errors
    /// Those of [`BytesQueue::consumer_timeout`].
    pub fn consumer_timeout(&self, timeout: Duration) -> Result<Consumer<T, K>, AttachError> {
        self.bytes().consumer_timeout(timeout).map(Consumer::new)
    }

    /// Attaches the queue's producer, waiting for at most `timeout` until that is possible: see
    /// [`BytesQueue::producer_timeout`].
    ///
    /// # Errors
    /// Those of [`BytesQueue::producer_timeout`].
    pub fn producer_timeout(&self, timeout: Duration) -> Result<Producer<T, K>, AttachError> {
        self.bytes().producer_timeout(timeout).map(Producer::new)
    }

    /// The backlog, in the units of [`BytesQueue::len`].
    pub fn len(&self) -> u64 {
        self.bytes().len()
    }

    /// Whether no message waits for a consumer. An estimate, as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// The room that producers have, in the units of [`BytesQueue::room`].
    pub fn room(&self) -> u64 {
        self.bytes().room()
    }

    /// Closes the queue for good: see [`BytesQueue::close`].
    pub fn close(&self) {
        self.bytes().close();
    }

    /// Writes all of the queue to the disk and waits until it is there: see [`BytesQueue::sync`].
    ///
    /// # Errors
    /// As [`BytesQueue::sync`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir_in(".")?;
    /// # let queue = unsafe { ringway::spsc::Queue::<u64>::create(dir.path().join("orders"))? };
    /// queue.producer()?.send(&7)?;
    /// match queue.sync() {
    ///     Ok(()) => {} // the order is safe now
    ///     Err(ringway::SyncError::InMemory { .. }) => {} // it never can be
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync(&self) -> Result<(), SyncError> {
        self.bytes().sync()
    }

    /// Whether the queue was closed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::Queue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { Queue::<u64>::create(&name) }?;
    /// assert!(!queue.is_closed());
    /// queue.close();
    /// assert!(queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.bytes().is_closed()
    }

    /// The path of this queue's file. For a memfd queue: a display name, not a path.
    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    /// The unique identifier of this queue; another queue of the same name, created before or after
    /// it, has another one.
    pub fn uuid(&self) -> Uuid {
        self.bytes().uuid()
    }

    /// Bytes of the ring.
    pub fn ring_bytes(&self) -> usize {
        self.shared.geometry().ring_bytes() as usize
    }

    /// Bytes of the largest archive that the queue takes.
    pub fn max_message(&self) -> usize {
        self.shared.geometry().max_message() as usize
    }
}

impl<T, K: Kind> Clone for Queue<T, K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), kind: PhantomData, message: PhantomData }
    }
}

impl<T, K: Kind> std::fmt::Debug for Queue<T, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("path", &self.shared.path())
            .field("message", &std::any::type_name::<T>())
            .finish()
    }
}
