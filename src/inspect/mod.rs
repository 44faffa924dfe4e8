//! Inspection of a queue from outside: framing, traffic, participants, messages in flight, and the
//! messages themselves.
//!
//! An inspector does not attach. It reads a queue with `pread`, through a descriptor that is open
//! for reading only: it takes no lock of any kind, writes and maps nothing, and no participant
//! waits for it. A file that is corrupted, hostile or truncated meanwhile gives errors or findings,
//! never a crash, an endless loop or a read outside of the file. That is why none of it is
//! `unsafe`, and why every process that may read the file may inspect a queue of any kind and type.
//!
//! The queue moves while it is read: numbers that belong together may be a moment apart. Only what
//! is certain is reported; a message that changed while it was copied is reported as gone.
//!
//! ```
//! use ringway::inspect::{Inspector, Peek};
//!
//! # let dir = tempfile::tempdir()?;
//! # let name = dir.path().join("orders");
//! let queue = unsafe { ringway::mpmc::BytesQueue::create(&name)? };
//! let mut producer = queue.producer()?;
//! producer.send(b"one")?;
//!
//! let inspector = Inspector::open(&name)?;
//! let snapshot = inspector.snapshot()?;
//! assert_eq!(snapshot.backlog.waiting, Some(1));
//! assert_eq!(snapshot.participants.len(), 1);
//! let peeked = inspector.peek(&Peek::new())?;
//! assert_eq!(peeked.frames[0].payload, b"one");
//!
//! assert_eq!(&*queue.consumer()?.recv()?, b"one"); // it is still there
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`recover`](crate::recover) and [`unlink_if_unused`](crate::unlink_if_unused) act on what was found.

mod broadcast;
mod chain;
mod done;
mod header;
mod orphans;
mod participants;
mod peek;
mod peek_broadcast;
mod peek_mpmc;
mod peek_spsc;
mod progress;
mod slots;
mod snapshot;
mod source;
mod spsc;
mod tasks;
mod walk;

use std::path::Path;

use crate::error::InspectError;
use crate::layout::Preamble;
use crate::queue::Description;

pub use crate::queue::{Boot, Survival};
pub use header::{BroadcastHeader, FrameShape, Header, OrderHeader, QueueKind, SchemaHeader};
pub use participants::{Liveness, Participant, Reading};
pub use peek::{FrameState, Peek, Peeked, PeekedFrame, Start};
pub use progress::Progress;
pub use snapshot::{Backlog, Counters, Cursors, FileUse, HeldFrame, Locks, PendingPosition, Snapshot};

use source::Source;

/// A queue file, open for inspection.
///
/// ```
/// use ringway::inspect::{Inspector, Peek};
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(&name)? };
/// queue.producer()?.send(b"hello")?;
/// let inspector = Inspector::open(&name)?;
/// assert_eq!(inspector.path(), name);
/// println!("{:?}", inspector.header().kind);
/// assert_eq!(inspector.snapshot()?.backlog.waiting, Some(1));
/// assert_eq!(inspector.peek(&Peek::new())?.frames.len(), 1);
/// let progress = inspector.progress()?; // cheap: cursors only
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Inspector {
    source: Source,
    preamble: Preamble,
    header: Header,
}

impl Inspector {
    /// Opens a queue of any kind and type for inspection. A bare name lives in `/dev/shm`, anything
    /// with a slash is a path; `/proc/<pid>/fd/<n>` is another process's descriptor.
    ///
    /// # Errors
    /// [`InspectError::Open`] if the file is no queue; it says what the file is instead.
    pub fn open(name: impl AsRef<Path>) -> Result<Self, InspectError> {
        let (source, preamble) = Source::open(name.as_ref())?;
        let header = Header::new(&preamble, &source.geometry);
        Ok(Self { source, preamble, header })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// What was fixed when the queue was created.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the description of the message type from the file; its text is empty if the messages
    /// are bytes. Each call reads it anew: up to 1 MiB.
    ///
    /// # Errors
    /// [`InspectError::Open`] if the description is not the one that was recorded.
    ///
    /// ```
    /// use ringway::inspect::Inspector;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("pairs");
    /// let queue = unsafe { ringway::spsc::Queue::<(u8, u32)>::create(&name)? };
    /// let description = Inspector::open(&name)?.description()?;
    /// assert_eq!(description.text(), "message (u8, u32)\n  size 8, alignment 4\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn description(&self) -> Result<Description, InspectError> {
        let Source { path, file, geometry, .. } = &self.source;
        Description::read(path, file, &self.preamble, geometry).map_err(InspectError::Open)
    }

    /// Takes a snapshot of everything but the messages. Reads all registry entries and slots
    /// (MPMC, broadcast), or walks over the frames in the ring (SPSC): some hundred microseconds for a queue
    /// with default options.
    ///
    /// # Errors
    /// [`InspectError::Io`] if the file cannot be read any more. Invalid values are no error: see
    /// [`Snapshot::corruption`].
    pub fn snapshot(&self) -> Result<Snapshot, InspectError> {
        Snapshot::take(&self.source, &self.header)
    }

    /// Reads how many messages (or bytes) were sent and taken, for rates. It is a single read, of a broadcast
    /// queue one more.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub fn progress(&self) -> Result<Progress, InspectError> {
        Progress::take(&self.source, self.header.kind)
    }

    /// Copies messages without consuming them.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub fn peek(&self, what: &Peek) -> Result<Peeked, InspectError> {
        peek::peek(&self.source, what)
    }
}
