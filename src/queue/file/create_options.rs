//! The options with which a queue is created.

use super::boot::AfterPowerLoss;
use super::handle_options::HandleOptions;
use super::open_options::handle_setters;
use crate::shm::Sharing;

/// Options for creating a queue: what the queue is, and how this process treats its file.
///
/// What the queue is, it stays: [`ring_bytes`](Self::ring_bytes), [`align`](Self::align),
/// [`framing`](Self::framing), and of an MPMC queue [`max_messages`](Self::max_messages),
/// [`max_participants`](Self::max_participants), [`delivery`](Self::delivery) and
/// [`max_redeliveries`](Self::max_redeliveries). If `open_or_create_with` finds a queue for which
/// another value was chosen, that is one of its [`warnings`](crate::spsc::BytesQueue::warnings).
///
/// How this process treats the file is not recorded in it. Each process chooses that for itself; a
/// process that opens the queue does so with [`OpenOptions`](crate::OpenOptions).
///
/// ```
/// use ringway::{CreateOptions, Sharing, mpmc::BytesQueue};
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("jobs");
/// let options = CreateOptions::new().max_messages(1024).max_redeliveries(3).sharing(Sharing::Group);
/// // SAFETY: only programs that use ringway can write to this file.
/// let queue = unsafe { BytesQueue::create_with(&name, &options)? };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// use ringway::{CreateOptions, Delivery};
/// # let dir = tempfile::tempdir()?;
/// let jobs = CreateOptions::new()
///     .ring_bytes(1 << 16)
///     .max_messages(1000)
///     .max_participants(16)
///     .align(64)
///     .delivery(Delivery::AtLeastOnce)
///     .max_redeliveries(3)
///     .prefault(false)
///     .huge_pages(false)
///     .guard_truncation(true)
///     .unlink_on_last_drop(true);
/// // SAFETY: only programs that use ringway can write to this file.
/// let queue = unsafe { ringway::mpmc::BytesQueue::create_with(dir.path().join("jobs"), &jobs)? };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    pub(in crate::queue) ring_bytes: Option<usize>,
    pub(in crate::queue) align: Option<usize>,
    pub(in crate::queue) framing: Framing,
    pub(in crate::queue) start_position: u64,
    pub(in crate::queue) uuid: Option<[u8; 16]>,
    pub(in crate::queue) max_messages: Option<usize>,
    pub(in crate::queue) max_participants: Option<usize>,
    pub(in crate::queue) delivery: Option<Delivery>,
    pub(in crate::queue) max_redeliveries: Option<u32>,
    pub(in crate::queue) max_producers: Option<usize>,
    pub(in crate::queue) gating: Option<bool>,
    pub(in crate::queue) handle_options: HandleOptions,
}

/// How messages are stored: see [`CreateOptions::framing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// As the message type allows: [`FixedByType`](Self::FixedByType) for a type without out-of-line
    /// data (no `String`, `Vec` or `Box`), otherwise [`Variable`](Self::Variable). Bytes are
    /// `Variable`.
    #[default]
    Auto,
    /// Messages of any size up to nearly half of the ring, each with a header.
    Variable,
    /// For queues of bytes: each message has exactly this many bytes. There are no headers, which is
    /// faster for small messages.
    Fixed(usize),
    /// For typed queues: each message is just its archived root. There are no headers, which is faster
    /// for small messages. It is an error for a type with out-of-line data, and for one whose archive
    /// has no bytes.
    FixedByType,
}

/// What happens to a message whose consumer dies, panics or [rejects](crate::kind::Frame::reject) it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// The message is redelivered, to another consumer or to the same one.
    #[default]
    AtLeastOnce,
    /// The message is dropped. (A message that the consumer had only just taken, and that user code
    /// has not seen yet, is redelivered nevertheless.)
    AtMostOnce,
}

impl CreateOptions {
    /// Returns the defaults: 1 MiB of ring; messages of variable size, or of one size if the type
    /// has one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the bytes of the ring; the default is 1 MiB. The value is rounded up to a power of two
    /// (variable-size messages) or down to whole messages (fixed-size messages).
    ///
    /// MPMC: the bytes of each producer's lane. The default is 512 KiB; the value is rounded up to
    /// a power of two and is at most 256 MiB. A lane takes up memory from the time a producer first
    /// uses it.
    ///
    /// A much larger ring is not faster, unless the consumer pauses for long. A frame may take at
    /// most half of it.
    #[must_use]
    pub fn ring_bytes(mut self, bytes: usize) -> Self {
        self.ring_bytes = Some(bytes);
        self
    }

    /// Sets the alignment of every message, in bytes: a power of two up to 128. The default is 8
    /// for bytes, 16 for variable-size typed messages, and the type's own alignment for fixed-size
    /// ones. An archive type always gets at least its own alignment. 64 keeps messages from sharing
    /// cache lines; it is the default of MPMC, where the minimum is 8.
    #[must_use]
    pub fn align(mut self, bytes: usize) -> Self {
        self.align = Some(bytes);
        self
    }

    /// Sets how messages are stored: with a header that says how long the message is, or without one
    /// because all are of one size. The default is [`Framing::Auto`].
    ///
    /// ```
    /// use ringway::{CreateOptions, Framing, SendError, spsc::BytesQueue};
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// let options = CreateOptions::new().framing(Framing::Fixed(64));
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create_with(&name, &options)? };
    /// let mut producer = queue.producer()?;
    /// producer.send(&[0; 64])?;
    /// assert!(matches!(producer.send(b"short"), Err(SendError::WrongLength { len: 5, expected: 64 })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// MPMC: sets the maximum number of messages in the queue, whatever their sizes; the default is
    /// 8,192. It is exact: while that many messages are sent and not released, producers wait, or get
    /// [`Full`](crate::SendError::Full). Room is made in order: a message that is held keeps later
    /// room. Each takes 16 bytes, rounded up to a power of two; powers of two are a little faster.
    ///
    /// ```
    /// use ringway::{CreateOptions, SendError, mpmc::BytesQueue};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create_with(&name, &CreateOptions::new().max_messages(3))? };
    /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// assert_eq!(producer.try_send_many(&[b"a", b"b", b"c", b"d"])?, 3);
    /// assert!(matches!(producer.try_send(b"d"), Err(SendError::Full)));
    /// consumer.recv()?;
    /// producer.try_send(b"d")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_messages(mut self, count: usize) -> Self {
        self.max_messages = Some(count);
        self
    }

    /// MPMC: sets the maximum number of producers and consumers at a time, together; the default is
    /// 64, the maximum 4,096. Each takes 256 bytes, and each that has been a producer also takes a
    /// lane.
    #[must_use]
    pub fn max_participants(mut self, count: usize) -> Self {
        self.max_participants = Some(count);
        self
    }

    /// MPMC: sets whether a message is redelivered after its consumer died or rejected it. The
    /// default is [`Delivery::AtLeastOnce`]. [`Delivery::AtMostOnce`] excludes
    /// [`max_redeliveries`](Self::max_redeliveries).
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// MPMC: sets the maximum number of redeliveries of a message, from 1 to 14. A message that was
    /// redelivered this many times goes to the [dead-letter queue](crate::kind::BytesQueue::dead_letters)
    /// instead of being redelivered once more. By default there is no maximum.
    ///
    /// Each reject counts, each panic that drops a guard, and each death of a process that held the
    /// message, **whatever its cause**: also a deployment's `kill -9` and the OOM killer's. Leave
    /// room for those.
    ///
    /// With [`Delivery::AtMostOnce`] it is an error: nothing is redelivered then.
    #[must_use]
    pub fn max_redeliveries(mut self, count: u32) -> Self {
        self.max_redeliveries = Some(count);
        self
    }

    /// Broadcast: sets the maximum number of producers at a time; the default is 8, or all participants but one. Each takes a lane
    /// of [`ring_bytes`](Self::ring_bytes) from the time that a producer first uses it, and one of the
    /// [participants](Self::max_participants); the others are for consumers.
    ///
    /// With 1, messages are committed without a locked instruction, and a batch is seen as a whole
    /// or not at all, also if its producer dies.
    ///
    /// ```
    /// use ringway::{AttachError, CreateOptions, broadcast::BytesQueue};
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("ticks");
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create_with(&name, &CreateOptions::new().max_producers(1))? };
    /// let feed = queue.producer()?;
    /// assert!(matches!(queue.producer(), Err(AttachError::TooManyOfRole { .. })));
    /// # drop(feed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_producers(mut self, count: usize) -> Self {
        self.max_producers = Some(count);
        self
    }

    /// Broadcast: sets whether there may be consumers that producers wait for; the default is true.
    /// With false only consumers attach that never hold a producer up
    /// ([`Subscribe::lossy`](crate::broadcast::Subscribe::lossy)).
    ///
    /// ```
    /// use ringway::{AttachError, CreateOptions, broadcast::{BytesQueue, Subscribe}};
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("feed");
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create_with(&name, &CreateOptions::new().gating(false))? };
    /// assert!(matches!(queue.consumer(), Err(AttachError::NotAdmitted { .. })));
    /// let screen = queue.consumer_with(&Subscribe::lossy())?;
    /// # drop(screen);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn gating(mut self, admitted: bool) -> Self {
        self.gating = Some(admitted);
        self
    }

    /// Makes `open_or_create_with` create a new queue in the place of a closed one, if every
    /// message was received and no process is attached. A service that closes its queue to shut
    /// down then finds an open queue at its next start. By default, and if messages are left or a
    /// participant is still attached, the closed queue is opened, and
    /// [`warnings`](crate::kind::BytesQueue::warnings) contain
    /// [`Warning::Closed`](crate::Warning::Closed).
    ///
    /// ```
    /// use ringway::{Warning, CreateOptions, mpmc::BytesQueue};
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("jobs");
    /// let options = CreateOptions::new().replace_closed(true);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options)? };
    /// queue.close();
    /// drop(queue);
    /// // The next start:
    /// // SAFETY: as above.
    /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options)? };
    /// queue.producer()?.send(b"job")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn replace_closed(mut self, replace: bool) -> Self {
        self.handle_options.replace_closed = replace;
        self
    }

    /// Sets the position at which the cursors begin, instead of 0. For tests of the behaviour near
    /// the limits.
    #[doc(hidden)]
    #[must_use]
    pub fn start_position(mut self, position: u64) -> Self {
        self.start_position = position;
        self
    }

    /// Sets the queue's uuid, instead of a random one. For files that must be reproducible.
    #[doc(hidden)]
    #[must_use]
    pub fn uuid(mut self, uuid: [u8; 16]) -> Self {
        self.uuid = Some(uuid);
        self
    }

    handle_setters!();
}
