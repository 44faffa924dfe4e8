//! The queue of bytes: everything but types. Composes file, liveness locks and lane.

mod broadcast;
pub(crate) mod checksummed;
mod consumer;
mod controls;
mod copy;
mod estimates;
mod events;
mod file;
mod frame;
mod held_here;
mod interrupts;
mod kind;
mod liveness;
mod mpmc;
mod name_watch;
mod owned;
mod positions;
mod producer;
mod raw;
mod recovery_failures;
mod reserved_frame;
mod spsc;
mod takeover;
mod tasks;
pub(crate) mod untrusted;

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

pub use broadcast::{BroadcastStats, ConsumerMode, ConsumerStats, Start, Subscribe};
pub use checksummed::Checksummed;
pub use consumer::BytesConsumer;
pub use file::boot::{AfterPowerLoss, Boot, Survival, discard_unproven, sync};
pub use file::create_options::{CreateOptions, Delivery, Framing};
pub use file::description::Description;
pub use file::open_options::OpenOptions;
pub use file::unlink::{is_in_use, is_temporary_name, unlink, unlink_if_unused, unlink_with_letters};
pub use file::uuid::Uuid;
pub use frame::{BytesFrame, BytesFrames};
pub use kind::{Broadcast, Kind, Mpmc, MpmcKind, Spsc};
pub use mpmc::{DeadLetter, ParticipantStats, Recovery, Stats, recover};
pub use owned::{BytesOwnedFrame, BytesSharedConsumer};
pub use producer::BytesProducer;
pub use raw::RawQueue;
pub use reserved_frame::{BytesBatch, ReservedFrame};

#[cfg(all(feature = "async", not(loom)))]
pub(crate) use consumer::RunOf;
pub(crate) use controls::{consumer_controls, producer_controls};
pub(crate) use file::boot::inspect as inspect_boot;
pub(crate) use file::open::{kind_of_file, open_error, read_preamble, resolve};
pub(crate) use file::schema::Schema;
pub(crate) use file::shared::Shared;
pub(crate) use file::trailer;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) use kind::Engine;
pub(crate) use kind::{FrameStore, FrameStoreOf, Sender, StagedOf, TakenBy};
pub(crate) use liveness::KernelProbe;

use crate::error::{AttachError, CreateError, OpenError};
use crate::shm::Warning;

/// A queue of byte messages, for data that is not an rkyv archive. `K` is the kind: who may send
/// and receive.
///
/// The queue itself neither sends nor receives: [`producer`](Self::producer) and
/// [`consumer`](Self::consumer) attach participants that do. The file stays in place when the queue
/// is dropped, and when the process ends in whatever way; [`unlink`](crate::unlink) removes it.
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
///
/// Queues without a name, and what a queue tells about itself:
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
/// use ringway::{CreateOptions, OpenOptions, spsc::BytesQueue};
///
/// // A queue without a name, passed to another process.
/// let options = CreateOptions::new().ring_bytes(1 << 16);
/// // SAFETY: only this program and the one that it is passed to have the file, and both use ringway.
/// let queue = unsafe { BytesQueue::create_memfd_with(&options)? };
/// let (here, there) = UnixStream::pair()?;
/// queue.send_fd(&here)?;
/// queue.send_fd(&here)?;
/// // SAFETY: as above, for all of these.
/// let received = unsafe { BytesQueue::recv_fd(&there)? };
/// let with_options = unsafe { BytesQueue::recv_fd_with(&there, &OpenOptions::new())? };
/// let by_descriptor = unsafe { BytesQueue::open_fd(&queue)? };
/// let both = unsafe { BytesQueue::open_fd_with(&queue, &OpenOptions::new())? };
///
/// assert_eq!(received.uuid(), queue.uuid());
/// assert!(queue.is_empty() && !queue.is_orphaned()? && queue.warnings().is_empty());
/// assert!(queue.ring_bytes() == 1 << 16 && queue.max_message() < 1 << 15);
/// let mut producer = queue.producer_timeout(Duration::from_millis(10))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesQueue<K: Kind = Spsc> {
    shared: Arc<Shared>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> BytesQueue<K> {
    /// Creates a queue with default [`CreateOptions`] and opens it. A name without a slash is a file in
    /// `/dev/shm`; a name with a slash is a path.
    ///
    /// # Errors
    /// [`CreateError`]: `AlreadyExists` if there is a file of that name. No error leaves a new file
    /// in place.
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
    /// use ringway::spsc::BytesQueue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create(&name) }?;
    /// // SAFETY: as above.
    /// let again = unsafe { BytesQueue::create(&name) };
    /// assert!(again.unwrap_err().is_already_exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create(name: impl AsRef<Path>) -> Result<Self, CreateError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::create_with(name, &CreateOptions::new()) }
    }

    /// Creates a queue with these options and opens it.
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
    /// use ringway::spsc::BytesQueue;
    /// let options = CreateOptions::new().ring_bytes(1 << 16);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create_with(&name, &options) }?;
    /// assert_eq!(queue.ring_bytes(), 1 << 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create_with(name: impl AsRef<Path>, options: &CreateOptions) -> Result<Self, CreateError> {
        options.check_creates_only()?;
        let resolved = options.for_bytes::<K>()?;
        let schema = Schema::bytes();
        let shared = Shared::create::<K>(name.as_ref(), &resolved, &schema)?;
        shared.note_options(options, &resolved);
        Ok(Self::from_shared(shared))
    }

    /// Opens an existing queue.
    ///
    /// # Errors
    /// [`OpenError`] tells what the file is instead; the file is not changed.
    ///
    /// # Safety
    /// As [`create`](Self::create).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::BytesQueue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let missing = unsafe { BytesQueue::open(&name) };
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
    /// use ringway::spsc::BytesQueue;
    /// # drop(unsafe { BytesQueue::create(&name) }?);
    /// let options = OpenOptions::new().prefault(false);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::open_with(&name, &options) }?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_with(name: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, OpenError> {
        let schema = Schema::bytes();
        let shared = Shared::open::<K>(name.as_ref(), &schema, options.handle_options())?;
        Ok(Self::from_shared(shared))
    }

    /// Opens the queue, or creates it with default options if there is none. If several processes
    /// do this at the same time, one of them creates the queue and all open the same one.
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
    /// use ringway::spsc::BytesQueue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::open_or_create(&name) }?;
    /// // SAFETY: as above.
    /// let same = unsafe { BytesQueue::open_or_create(&name) }?;
    /// assert_eq!(same.path(), queue.path());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_or_create(name: impl AsRef<Path>) -> Result<Self, OpenError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::open_or_create_with(name, &CreateOptions::new()) }
    }

    /// Opens the queue, or creates it with these options if there is none. An existing queue keeps
    /// its own options; each that differs is one of the [`warnings`](Self::warnings).
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
    /// use ringway::spsc::BytesQueue;
    /// let options = CreateOptions::new().ring_bytes(1 << 16);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options) }?;
    /// assert_eq!(queue.warnings(), []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_or_create_with(
        name: impl AsRef<Path>,
        options: &CreateOptions,
    ) -> Result<Self, OpenError> {
        let resolved = options.for_bytes::<K>().map_err(OpenError::Create)?;
        let schema = Schema::bytes();
        let shared = Shared::open_or_create::<K>(name.as_ref(), &resolved, &schema)?;
        shared.note_options(options, &resolved);
        Ok(Self::from_shared(shared))
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

    /// Attaches as the queue's producer, or (MPMC) as one of them.
    ///
    /// # Errors
    /// SPSC: [`AttachError::RoleTaken`] while another producer is alive. This is retried for 50 ms,
    /// since a process that was just killed takes a while to end. MPMC:
    /// [`AttachError::TooManyParticipants`] if the maximum number of participants is attached,
    /// [`AttachError::NoSpace`] if there is no space for its lane.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::BytesQueue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create(&name) }?;
    /// let mut producer = queue.producer()?;
    /// producer.send(b"hello")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<BytesProducer<K>, AttachError> {
        BytesProducer::attach(Arc::clone(&self.shared))
    }

    /// Attaches as the queue's consumer, or (MPMC) as one of them. Frames that an earlier consumer
    /// held when it ended are redelivered, with [`BytesFrame::redeliveries`] of at least 1.
    ///
    /// # Errors
    /// SPSC: [`AttachError::RoleTaken`] while another consumer is alive. MPMC:
    /// [`AttachError::TooManyParticipants`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::BytesQueue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create(&name) }?;
    /// queue.producer()?.send(b"hello")?;
    /// let consumer = queue.consumer()?;
    /// let frame = consumer.recv()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<BytesConsumer<K>, AttachError> {
        BytesConsumer::attach(Arc::clone(&self.shared))
    }

    /// Closes the queue, for good. From then on sending returns `Closed`, and receiving returns
    /// `Closed` once every message was taken. Participants that wait are woken. Closing again does
    /// nothing. It takes no role, so a forked child may close a queue that its parent has opened.
    ///
    /// A send that has already passed its check succeeds. SPSC: its message may be committed after
    /// a consumer was told `Closed`; it is kept for the next consumer that receives. To exclude
    /// this, close from the producer's thread.
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
        // First: if this process dies here, a participant that finds this mark does the rest.
        self.shared.events().messages.close();
        K::close(&self.shared);
        self.shared.events().force_notify_all();
    }

    /// Returns whether the queue was closed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// use ringway::spsc::BytesQueue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create(&name) }?;
    /// assert!(!queue.is_closed());
    /// queue.close();
    /// assert!(queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared.events().messages.is_closed()
    }

    /// Returns the non-fatal warnings of this handle, its clones and the participants attached
    /// through them: options that could not be honoured, filesystem caveats.
    pub fn warnings(&self) -> Vec<Warning> {
        self.shared.warnings()
    }

    /// Returns whether the queue is orphaned, so that no peer finds it by its name any more: it was
    /// unlinked or renamed, or another file is in its place. Participants that are already attached
    /// can continue; a long-lived process may want to open the name again. A memfd queue has no
    /// name and is never orphaned.
    ///
    /// # Errors
    /// If the system does not tell which file has the name.
    pub fn is_orphaned(&self) -> std::io::Result<bool> {
        self.shared.is_orphaned()
    }

    /// Returns the path of this queue's file. For a memfd queue: a display name, not a path.
    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    /// Returns the identity of this queue. It differs from that of every other queue, also of one
    /// of the same name that was created before or after it.
    pub fn uuid(&self) -> Uuid {
        Uuid::from(self.shared.uuid())
    }

    /// Returns the bytes of the ring (MPMC: of each lane): the requested value, rounded as
    /// [`CreateOptions::ring_bytes`] describes.
    pub fn ring_bytes(&self) -> usize {
        self.shared.geometry().ring_bytes() as usize
    }

    /// Returns the bytes of the largest message that the queue takes.
    pub fn max_message(&self) -> usize {
        self.shared.geometry().max_message() as usize
    }
}

impl<K: Kind> Clone for BytesQueue<K> {
    fn clone(&self) -> Self {
        Self::from_shared(Arc::clone(&self.shared))
    }
}

impl<K: Kind> std::fmt::Debug for BytesQueue<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BytesQueue")
            .field("path", &self.path())
            .field("ring_bytes", &self.ring_bytes())
            .finish()
    }
}
