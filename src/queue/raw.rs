//! Taking part in a queue of any message type, as bytes: for bindings and bridges, which learn of
//! the type from its description.
#![allow(unsafe_code, reason = "the trust contract of the file, and that of its messages")]

use std::path::Path;

use super::file::create_options::CreateOptions;
use super::file::open::find;
use super::file::open_options::OpenOptions;
use super::{BytesConsumer, BytesProducer, BytesQueue, Description, Kind, Shared, Spsc};
use crate::error::{AttachError, CreateError, OpenError};

/// A queue whose messages are of a type that this program does not have, or of none: its messages
/// as bytes, together with the [description](Description) of their type.
///
/// Every message of a queue with a description must be a valid archive of the described type, in the
/// described format, as a typed [`Producer`](crate::kind::Producer) writes it. Consumers with the type
/// validate what they receive, and skip what is invalid, unless they chose not to
/// ([`recv_unchecked`](crate::kind::Consumer::recv_unchecked)), in which case an invalid message is undefined
/// behaviour there. Hence producing is `unsafe` here. The crate `ringway-value` checks messages of a
/// fixed layout, and encodes them; messages of another queue with the same description and
/// [format](Description::format_word) are valid if their [alignment](Self::archive_alignment) is kept.
///
/// ```
/// use ringway::spsc::{Queue, RawQueue};
///
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("numbers");
/// // SAFETY: every process that can write this file uses ringway.
/// let typed = unsafe { Queue::<(u32, bool)>::create(&name)? };
/// typed.producer()?.send(&(7, true))?;
///
/// // Another program, without the type:
/// // SAFETY: as above.
/// let raw = unsafe { RawQueue::open(&name)? };
/// assert!(raw.description().text().starts_with("message (u32, bool)\n"));
/// let consumer = raw.consumer()?;
/// let message = consumer.recv()?.to_vec();
/// assert_eq!(message[..5], [7, 0, 0, 0, 1]);
///
/// // SAFETY: it sends nothing but what it received from a queue of this type.
/// unsafe { raw.producer()? }.send(&message)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What it tells about the messages:
///
/// ```
/// use ringway::{OpenOptions, spsc::{Queue, RawQueue}};
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// # drop(unsafe { Queue::<u64>::create(&name)? });
/// // SAFETY: only programs that use ringway can write to this file.
/// let queue = unsafe { RawQueue::open_with(&name, &OpenOptions::new())? };
/// assert_eq!((queue.alignment(), queue.fixed_len()), (8, Some(8)));
/// // SAFETY: what is sent here is no archive of another type.
/// assert!(unsafe { queue.as_bytes() }.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RawQueue<K: Kind = Spsc> {
    queue: BytesQueue<K>,
    description: Description,
}

impl<K: Kind> RawQueue<K> {
    /// Opens an existing queue, whatever its messages are.
    ///
    /// # Errors
    /// As [`BytesQueue::open`], except that every type is right.
    ///
    /// # Safety
    /// As [`BytesQueue::create`].
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
    /// As [`BytesQueue::create`].
    pub unsafe fn open_with(name: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, OpenError> {
        let handle_options = options.handle_options();
        let found = find(name.as_ref(), Some(handle_options.accepted_sharing()))?;
        let checked = &found.checked;
        let description = Description::read(&checked.path, &found.file, &found.preamble, &checked.geometry)?;
        let schema = description.schema();
        let shared = Shared::open_found::<K>(found, &schema, handle_options)?;
        Ok(Self { queue: BytesQueue::from_shared(shared), description })
    }

    /// Creates a queue for messages of the described type, of any size, with default
    /// [`CreateOptions`]: see [`create_with`](Self::create_with).
    ///
    /// # Errors
    /// As [`create_with`](Self::create_with).
    ///
    /// # Safety
    /// As [`BytesQueue::create`].
    pub unsafe fn create(name: impl AsRef<Path>, description: &Description) -> Result<Self, CreateError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::create_with(name, description, &CreateOptions::new()) }
    }

    /// Creates a queue for messages of the described type, which programs with the type can open.
    /// By default messages may have any size. For a type without out-of-line data, which only the
    /// caller knows, [`Framing::FixedByType`](crate::Framing::FixedByType) makes a queue of a fixed
    /// size, as a typed queue would be. Messages are aligned for whatever is in them.
    ///
    /// # Errors
    /// As [`BytesQueue::create_with`]. `InvalidOptions` if the description is that of bytes, or for
    /// `Framing::Fixed` of another length than the description's [size](Description::size).
    ///
    /// # Safety
    /// As [`BytesQueue::create`].
    ///
    /// ```
    /// use ringway::schema::Description;
    /// use ringway::spsc::RawQueue;
    /// use ringway::{CreateOptions, Framing};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("copy");
    /// // From the other machine came the text and the number:
    /// let (text, format) = ("message u64\n  size 8, alignment 8\n", 0x8_0401);
    /// let description = Description::parse(text, format)?;
    /// let options = CreateOptions::new().framing(Framing::FixedByType);
    /// // SAFETY: every process that can write this file uses ringway.
    /// let raw = unsafe { RawQueue::create_with(&name, &description, &options)? };
    /// // SAFETY: as above.
    /// let typed = unsafe { ringway::spsc::Queue::<u64>::open(&name)? };
    /// // SAFETY: eight bytes are a `u64`.
    /// unsafe { raw.producer()? }.send(&5_u64.to_le_bytes())?;
    /// assert_eq!(*typed.consumer()?.recv()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn create_with(
        name: impl AsRef<Path>,
        description: &Description,
        options: &CreateOptions,
    ) -> Result<Self, CreateError> {
        options.check_creates_only()?;
        let schema = description.schema();
        let resolved = options.for_described::<K>(&schema, description.archive_alignment())?;
        let shared = Shared::create::<K>(name.as_ref(), &resolved, &schema)?;
        shared.note_options(options, &resolved);
        Ok(Self { queue: BytesQueue::from_shared(shared), description: description.clone() })
    }

    /// Returns what the file says of its messages; the description of
    /// [bytes](Description::is_bytes) if they have no type.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Returns the length of every message, if they have one.
    pub fn fixed_len(&self) -> Option<usize> {
        self.queue.shared().geometry().fixed_message().map(|len| len as usize)
    }

    /// Returns the alignment of each message in bytes: see [`BytesQueue::alignment`].
    pub fn alignment(&self) -> usize {
        self.queue.alignment()
    }

    /// Returns the greatest alignment of anything in a message, in bytes. An archive that was written
    /// at one address is valid at another that is the same modulo this number. So its bytes may be
    /// copied from queue to queue if neither queue's [`alignment`](Self::alignment) is less.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// use ringway::spsc::{Queue, RawQueue};
    /// # let (pairs, texts) = (dir.path().join("pairs"), dir.path().join("texts"));
    ///
    /// // SAFETY: every process that can write these files uses ringway.
    /// unsafe { Queue::<(u64, u8)>::create(&pairs)? };
    /// // SAFETY: as above.
    /// unsafe { Queue::<String>::create(&texts)? };
    /// // SAFETY: as above.
    /// assert_eq!(unsafe { RawQueue::open(&pairs)? }.archive_alignment(), 8);
    /// // SAFETY: as above.
    /// assert_eq!(unsafe { RawQueue::open(&texts)? }.archive_alignment(), 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn archive_alignment(&self) -> usize {
        match self.fixed_len() {
            // Messages of one size are their roots: there is no out-of-line data with an alignment of its own.
            Some(_) if !self.description.is_bytes() => self.description.align().max(1) as usize,
            _ => self.description.archive_alignment(),
        }
    }

    /// Attaches as the queue's consumer, or (MPMC) as one of them: see [`BytesQueue::consumer`].
    /// Messages are not validated.
    ///
    /// # Errors
    /// As [`BytesQueue::consumer`].
    pub fn consumer(&self) -> Result<BytesConsumer<K>, AttachError> {
        self.queue.consumer()
    }

    /// Attaches as the queue's producer, or (MPMC) as one of them: see [`BytesQueue::producer`].
    ///
    /// # Errors
    /// As [`BytesQueue::producer`].
    ///
    /// # Safety
    /// Every message that it sends must be a valid archive of the described type in the described
    /// format, root at the end, at the address of its frame. For a queue of bytes: any bytes.
    pub unsafe fn producer(&self) -> Result<BytesProducer<K>, AttachError> {
        self.queue.producer()
    }

    /// Returns the queue as one of bytes, for what does not depend on its type: counts, closing,
    /// waiting for a role, descriptors.
    ///
    /// # Safety
    /// As [`producer`](Self::producer), for every producer that is attached through it.
    pub unsafe fn as_bytes(&self) -> &BytesQueue<K> {
        &self.queue
    }
}
