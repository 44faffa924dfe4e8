//! Errors of sending and receiving.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{HeldHere, Holdup, RecoveryFailed, SchemaMismatch};
use crate::wait::Ended;

pub(super) const FORKED: &str = "this handle was made before a fork, and this is the child process; open the queue \
                                 again here and attach anew";

/// Writes the message of a guarded queue whose file was truncated.
pub(super) fn write_truncated(f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
    write!(
        f,
        "{}: somebody truncated the file while it was open here (or its disk is full, where that copies what is written \
         again); what was in it is lost: remove it and create it anew",
        path.display()
    )
}

/// Writes the message of an orphaned queue.
fn write_orphaned(f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
    write!(
        f,
        "{}: the queue that was opened is no longer found by its name: it was unlinked or renamed, or another file is in its \
         place; open it again",
        path.display()
    )
}

/// A shared word whose value no participant that follows the protocol could have stored: another
/// program wrote to the file, or it was truncated and extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupted {
    pub(crate) path: PathBuf,
    pub(crate) word: &'static str,
    pub(crate) position: u64,
    pub(crate) found: u64,
}

impl fmt::Display for Corrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: the queue is corrupted: the {} at position {} holds {:#x}, which is impossible; something else wrote \
             to the file: remove it and create it anew",
            self.path.display(),
            self.word,
            self.position,
            self.found
        )
    }
}

impl Error for Corrupted {}

/// A committed frame that is not a valid archive of the queue's type.
#[derive(Debug)]
pub struct InvalidFrame {
    pub(crate) path: PathBuf,
    pub(crate) len: usize,
    /// Whether it is redelivered, and dead-lettered in the end; otherwise it is gone.
    pub(crate) is_kept: bool,
    pub(crate) reason: rkyv::rancor::Error,
}

impl fmt::Display for InvalidFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.is_kept {
            true => "it comes again, and becomes a dead letter when it has come too often",
            false => "it was skipped",
        };
        write!(
            f,
            "{}: a frame of {} bytes is not a valid archive of the queue's type ({}); {fate}. Does every producer use the same \
             type and version, and ringway?",
            self.path.display(),
            self.len,
            self.reason
        )
    }
}

impl Error for InvalidFrame {}

/// Why a value could not be serialised: what rkyv, or the value's own `Serialize`, said.
pub struct SerializeError(pub(crate) SerializeErrorKind);

pub(crate) enum SerializeErrorKind {
    /// The frame is too small. The sender handles this case; it never reaches a user.
    Overflow,
    Failed(rkyv::rancor::Error),
}

impl fmt::Debug for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SerializeErrorKind::Overflow => f.write_str("Overflow"),
            SerializeErrorKind::Failed(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SerializeErrorKind::Overflow => f.write_str("the archive is larger than its frame"),
            SerializeErrorKind::Failed(error) => error.fmt(f),
        }
    }
}

impl Error for SerializeError {}

impl rkyv::rancor::Trace for SerializeError {
    fn trace<R>(self, trace: R) -> Self
    where
        R: fmt::Debug + fmt::Display + Send + Sync + 'static,
    {
        match self.0 {
            SerializeErrorKind::Overflow => self,
            SerializeErrorKind::Failed(error) => Self(SerializeErrorKind::Failed(error.trace(trace))),
        }
    }
}

impl rkyv::rancor::Source for SerializeError {
    fn new<T: Error + Send + Sync + 'static>(source: T) -> Self {
        Self(SerializeErrorKind::Failed(rkyv::rancor::Error::new(source)))
    }
}

/// Why nothing was sent.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let mut producer = queue.producer()?;
/// while producer.try_send(&[0; 1000]).is_ok() {}
/// let error = producer.send_timeout(&[0; 1000], std::time::Duration::from_millis(1)).unwrap_err();
/// assert!(error.is_timeout() && !error.is_cancelled());
/// assert!(producer.try_send(&[0; 1 << 30]).unwrap_err().is_too_large());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// Consumers have not released enough room yet (`try_*` only). MPMC: in the producer's lane, or
    /// in the order ring.
    Full,
    /// There was still no room when the time was up (`*_timeout` and `*_deadline` only).
    Timeout {
        /// What consumers of the same handle held then, if anything: such a wait may be for room
        /// that the caller itself has to release.
        held_here: Option<HeldHere>,
        /// Broadcast: the consumer that was in the way, if one was.
        holdup: Option<Holdup>,
    },
    /// The queue is closed: nothing is sent any more.
    Closed,
    /// A signal handler ran while this waited, and the handle is
    /// [interruptible](crate::kind::BytesProducer::set_interruptible).
    Interrupted,
    /// The handle's [canceller](crate::Canceller) ended the wait.
    Cancelled,
    /// The message is larger than a frame of this queue can be.
    TooLarge {
        /// Bytes of the message.
        len: usize,
        /// Bytes of the largest possible one: somewhat less than half the ring bytes of the queue
        /// (MPMC: of a lane).
        max: usize,
    },
    /// The queue holds messages of one size only, and this one has another.
    WrongLength {
        /// Bytes of the message.
        len: usize,
        /// Bytes of every message of this queue.
        expected: usize,
    },
    /// The value could not be serialised.
    Serialize(SerializeError),
    /// The value is of another type, whose archive is different ([`Producer::of`](crate::kind::Producer::of)).
    WrongSchema {
        /// How the queue's type (found) and that of the value (expected) differ.
        mismatch: SchemaMismatch,
    },
    /// The value is nested so deeply that no consumer could read it: archives are validated by
    /// recursion, which is bounded.
    TooDeep {
        /// The maximum length of a chain of pointers (`Box`, `Rc`, `Vec`, map and set nodes,
        /// strings of more than 8 bytes).
        limit: usize,
    },
    /// The positions are used up (SPSC: 2^62 of them); create the queue anew.
    PositionsExhausted,
    /// A cursor in the file has an invalid value.
    Corrupted(Box<Corrupted>),
    /// The queue is orphaned, and [`OpenOptions::end_when_orphaned`](crate::OpenOptions::end_when_orphaned)
    /// asks for an error in that case.
    Orphaned {
        /// The file.
        path: PathBuf,
    },
    /// MPMC: a dead participant may hold room, and this process could not find out, or could not
    /// release it. Returned instead of `Full` and `Timeout`, and by a call that waits once it has
    /// lasted for a second; it may be called again.
    RecoveryFailed(Box<RecoveryFailed>),
    /// The handle was created before a fork, and this is the child.
    Forked,
    /// The file was truncated while it was open here
    /// ([`OpenOptions::guard_truncation`](crate::OpenOptions::guard_truncation)).
    Truncated {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full"),
            Self::Timeout { held_here, holdup } => {
                f.write_str("the queue stayed full until the time was up")?;
                holdup.map_or(Ok(()), |holdup| write!(f, "; {holdup}"))?;
                held_here.map_or(Ok(()), |held| write!(f, "; {held}"))
            }
            Self::Closed => f.write_str("the queue is closed: it takes no more messages; create it anew"),
            Self::Interrupted => f.write_str("a signal came while waiting for room"),
            Self::Cancelled => f.write_str("waiting for room was cancelled"),
            Self::TooLarge { len, max } => write!(
                f,
                "the message has {len} bytes, and a frame of this queue at most {max}; create the queue with more \
                 `ring_bytes` (a frame may be at most half of them)"
            ),
            Self::WrongLength { len, expected } => write!(
                f,
                "the message has {len} bytes, and this queue holds messages of exactly {expected} bytes; create it \
                 with `Framing::Variable` for messages of different sizes"
            ),
            Self::Serialize(error) => write!(f, "the message could not be serialised: {error}"),
            Self::WrongSchema { mismatch } => {
                write!(f, "the queue does not hold messages of this value's type: {mismatch}")
            }
            Self::TooDeep { limit } => write!(
                f,
                "the message is nested too deeply to be received: at most {limit} pointers (Box, Vec, Rc, maps) may follow one \
                 another; send it in pieces, or as a flat list with indices"
            ),
            Self::PositionsExhausted => f.write_str("the queue's positions are used up; create it anew"),
            Self::Corrupted(corrupted) => corrupted.fmt(f),
            Self::Orphaned { path } => write_orphaned(f, path),
            Self::RecoveryFailed(failed) => failed.fmt(f),
            Self::Forked => f.write_str(FORKED),
            Self::Truncated { path } => write_truncated(f, path),
        }
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Serialize(error) => error.source(),
            Self::Corrupted(corrupted) => corrupted.source(),
            Self::RecoveryFailed(failed) => failed.source(),
            _ => None,
        }
    }
}

impl From<Ended> for SendError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Timeout => Self::Timeout { held_here: None, holdup: None },
            Ended::Interrupted => Self::Interrupted,
            Ended::Cancelled => Self::Cancelled,
        }
    }
}

/// Why nothing was received.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let consumer = queue.consumer()?;
/// let error = consumer.recv_timeout(std::time::Duration::from_millis(1)).unwrap_err();
/// assert!(error.is_timeout() && !error.is_cancelled());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// No message is committed that was not taken (`try_*` only).
    Empty,
    /// No message had arrived when the time was up (`*_timeout` and `*_deadline` only).
    Timeout,
    /// Broadcast: this many positions were overwritten before this consumer came to them. They equal
    /// messages, except for positions that a producer had claimed before it died. The next call
    /// continues after them, at the oldest message that is retained or where
    /// [`Subscribe::on_lag`](crate::broadcast::Subscribe::on_lag) says.
    Lagged(u64),
    /// The queue is closed and everything was taken, or there are no producers and the consumer
    /// [ends with them](crate::kind::BytesConsumer::end_when_disconnected). Other consumers may still
    /// hold frames, and reject them.
    Closed,
    /// A signal handler ran while this waited, and the handle is
    /// [interruptible](crate::kind::BytesConsumer::set_interruptible).
    Interrupted,
    /// The handle's [canceller](crate::Canceller) ended the wait.
    Cancelled,
    /// A frame is not a valid archive of the queue's type. The next call continues after it: it was
    /// skipped, or, if there is a [maximum of redeliveries](crate::CreateOptions::max_redeliveries),
    /// rejected, so that it is dead-lettered in the end.
    Invalid(Box<InvalidFrame>),
    /// A message is larger than this consumer takes
    /// ([`Limits::message`](crate::untrusted::Limits::message)). It was skipped; the next call
    /// continues after it.
    TooLarge {
        /// Bytes of the message.
        len: usize,
        /// Bytes of the largest one that is taken.
        limit: usize,
    },
    /// A cursor or commit word in the file has an invalid value.
    Corrupted(Box<Corrupted>),
    /// The queue is orphaned, and [`OpenOptions::end_when_orphaned`](crate::OpenOptions::end_when_orphaned)
    /// asks for an error in that case.
    Orphaned {
        /// The file.
        path: PathBuf,
    },
    /// MPMC: a dead participant may hold messages, and this process could not find out, or could
    /// not requeue them. Returned instead of `Empty` and `Timeout`, and by a call that waits once
    /// it has lasted for a second; it may be called again.
    RecoveryFailed(Box<RecoveryFailed>),
    /// The handle was created before a fork, and this is the child.
    Forked,
    /// The file was truncated while it was open here
    /// ([`OpenOptions::guard_truncation`](crate::OpenOptions::guard_truncation)).
    Truncated {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the queue is empty"),
            Self::Lagged(1) => f.write_str(
                "1 message was overwritten before this consumer came to it; the next call goes on",
            ),
            Self::Lagged(count) => {
                write!(
                    f,
                    "{count} messages were overwritten before this consumer came to them; the next call goes on"
                )
            }
            Self::Timeout => f.write_str("the queue stayed empty until the time was up"),
            Self::Closed => f.write_str("the queue is closed, and everything was taken"),
            Self::Interrupted => f.write_str("a signal came while waiting for a message"),
            Self::Cancelled => f.write_str("waiting for a message was cancelled"),
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::TooLarge { len, limit } => write!(
                f,
                "a message has {len} bytes, and this consumer takes at most {limit}; it was skipped. Raise the limit if \
                 such messages are meant to come"
            ),
            Self::Corrupted(corrupted) => corrupted.fmt(f),
            Self::Orphaned { path } => write_orphaned(f, path),
            Self::RecoveryFailed(failed) => failed.fmt(f),
            Self::Forked => f.write_str(FORKED),
            Self::Truncated { path } => write_truncated(f, path),
        }
    }
}

impl Error for RecvError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Invalid(invalid) => invalid.source(),
            Self::Corrupted(corrupted) => corrupted.source(),
            Self::RecoveryFailed(failed) => failed.source(),
            _ => None,
        }
    }
}

impl From<Ended> for RecvError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Timeout => Self::Timeout,
            Ended::Interrupted => Self::Interrupted,
            Ended::Cancelled => Self::Cancelled,
        }
    }
}
