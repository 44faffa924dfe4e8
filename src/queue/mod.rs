//! The queue of bytes: everything but types. Composes file, lease and lane.

mod attached;
mod claim;
mod consumer;
mod frame;
mod kind;
mod mpmc;
mod opening;
mod options;
mod producer;
mod schema;
mod shared;
mod spsc;
pub(crate) mod untrusted;

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

pub use claim::{BytesBatch, Claim};
pub use consumer::BytesConsumer;
pub use frame::{BytesFrame, BytesFrames};
pub use kind::{Kind, Mpmc, Spsc};
pub use mpmc::{DeadLetter, ParticipantStats, Recovery, Stats};
pub use options::{Delivery, Options};
pub use producer::BytesProducer;

pub(crate) use kind::{Keeper, KeeperOf, Sender, StagedOf, TakenBy};
pub(crate) use schema::Schema;
pub(crate) use shared::Shared;

use crate::error::{AttachError, CreateError, OpenError, UnlinkError};

/// A queue of byte messages: for data that is not an rkyv archive. `K` says who may send and receive.
///
/// The handle itself takes no part in the traffic: [`producer`](Self::producer) and
/// [`consumer`](Self::consumer) do. Dropping it, or the process ending in whatever way, leaves the file in place;
/// [`unlink`](crate::unlink) removes it.
///
/// ```
/// use ringway::spsc::BytesQueue;
///
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("bytes");
/// // SAFETY: every process that can write this file uses ringway.
/// let queue = unsafe { BytesQueue::create(&name)? };
/// let mut producer = queue.producer()?;
/// let consumer = queue.consumer()?;
///
/// producer.send(b"hello")?;
/// assert_eq!(&*consumer.recv()?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesQueue<K: Kind = Spsc> {
    shared: Arc<Shared>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> BytesQueue<K> {
    /// Creates a queue with default [`Options`] and opens it. A bare name lives in `/dev/shm`, anything with a
    /// slash is a path.
    ///
    /// # Errors
    /// [`CreateError`]: `AlreadyExists` if there is a file of that name; nothing is left behind in any case.
    ///
    /// # Safety
    /// Every process that writes to the file while it is open here must keep to the ringway protocol, and none may
    /// truncate it. In practice: only programs that use this library may be able to write to it (mode 0600 keeps
    /// other users out). A child that this process forks without exec must not read or write through frames and
    /// claims that it inherits.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create(name: impl AsRef<Path>) -> Result<Self, CreateError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::create_with(name, &Options::new()) }
    }

    /// Creates a queue and opens it.
    ///
    /// # Errors
    /// As [`create`](Self::create), and `BadOptions`.
    ///
    /// # Safety
    /// As [`create`](Self::create).
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create_with(name: impl AsRef<Path>, options: &Options) -> Result<Self, CreateError> {
        let resolved = options.for_bytes(K::NUMBER)?;
        Shared::create::<K>(name.as_ref(), &resolved, &Schema::bytes()).map(Self::from_shared)
    }

    /// Opens an existing queue.
    ///
    /// # Errors
    /// [`OpenError`] says what the file is instead; it is not changed.
    ///
    /// # Safety
    /// As [`create`](Self::create).
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open(name: impl AsRef<Path>) -> Result<Self, OpenError> {
        Shared::open::<K>(name.as_ref(), &Schema::bytes()).map(Self::from_shared)
    }

    /// Opens the queue, or creates it with default options if there is none. When several processes do this at
    /// once, one of them creates and all open the same queue.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create).
    ///
    /// # Safety
    /// As [`create`](Self::create).
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_or_create(name: impl AsRef<Path>) -> Result<Self, OpenError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::open_or_create_with(name, &Options::new()) }
    }

    /// Opens the queue, or creates it with these options if there is none. The options of an existing queue stay
    /// as they are.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create_with`](Self::create_with).
    ///
    /// # Safety
    /// As [`create`](Self::create).
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_or_create_with(name: impl AsRef<Path>, options: &Options) -> Result<Self, OpenError> {
        let resolved = options.for_bytes(K::NUMBER).map_err(OpenError::Create)?;
        Shared::open_or_create::<K>(name.as_ref(), &resolved, &Schema::bytes()).map(Self::from_shared)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn into_shared(self) -> Arc<Shared> {
        self.shared
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared, kind: PhantomData }
    }

    /// Becomes the queue's producer, or (MPMC) one of them.
    ///
    /// # Errors
    /// SPSC: [`AttachError::RoleTaken`] while another producer is alive. MPMC: [`AttachError::NoEntry`] if there are as
    /// many participants as can be, [`AttachError::NoSpace`] if there is none for its lane.
    pub fn producer(&self) -> Result<BytesProducer<K>, AttachError> {
        BytesProducer::attach(Arc::clone(&self.shared))
    }

    /// Becomes the queue's consumer, or (MPMC) one of them. Frames that an earlier consumer held when it ended come again, with
    /// [`BytesFrame::redeliveries`] of at least 1.
    ///
    /// # Errors
    /// SPSC: [`AttachError::RoleTaken`] while another consumer is alive. MPMC: [`AttachError::NoEntry`].
    pub fn consumer(&self) -> Result<BytesConsumer<K>, AttachError> {
        BytesConsumer::attach(Arc::clone(&self.shared))
    }

    /// Closes the queue, for good: sending returns `Closed` from now on, receiving when everything was taken. Whoever waits
    /// is woken. Closing again does nothing.
    ///
    /// A send that has passed its check already goes through. SPSC: its message may come after a consumer was told
    /// `Closed`; it is kept for whoever receives next. To be sure, close from the producer's thread.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// producer.send(b"the last one")?;
    /// queue.close();
    /// assert!(matches!(producer.send(b"too late"), Err(ringway::SendError::Closed)));
    /// for message in consumer.iter() {
    ///     assert_eq!(*message?, *b"the last one");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        // First, for whoever finds this does the rest should we die here.
        self.shared.bells().messages.close();
        K::close(&self.shared);
        self.shared.bells().wake_everybody();
    }

    /// Whether the queue was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.bells().messages.is_closed()
    }

    /// The file of this queue.
    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    /// Bytes of the ring.
    pub fn capacity(&self) -> usize {
        self.shared.geometry().ring_bytes() as usize
    }

    /// Bytes of the largest message that the queue takes.
    pub fn max_message(&self) -> usize {
        self.shared.geometry().max_payload as usize
    }
}

impl<K: Kind> Clone for BytesQueue<K> {
    fn clone(&self) -> Self {
        Self::from_shared(Arc::clone(&self.shared))
    }
}

impl<K: Kind> std::fmt::Debug for BytesQueue<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BytesQueue").field("path", &self.path()).field("capacity", &self.capacity()).finish()
    }
}

/// Removes a queue's file. Whoever has it open keeps it until they close it, and nobody attaches any more.
///
/// Only a file that is a ringway queue is removed; anything else is an error and stays. A queue's dead letters are a queue
/// of their own, called `<name>.dead`, and stay until that is unlinked.
///
/// # Errors
/// [`UnlinkError`]; the file stays.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("queue");
/// # drop(unsafe { ringway::spsc::BytesQueue::create(&name)? });
/// ringway::unlink(&name)?;
/// assert!(!name.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unlink(name: impl AsRef<Path>) -> Result<(), UnlinkError> {
    Shared::unlink(name.as_ref())
}
