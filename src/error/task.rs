//! Errors of declaring messages done, and of waiting for that.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use super::Corrupted;

/// Why a message was not counted as done, or why [`join`](crate::kind::BytesQueue::join) did not
/// wait for all of them.
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// As many messages are done as were ever sent.
    TooMany {
        /// The file.
        path: PathBuf,
    },
    /// In this queue messages may go without being done: they are delivered at most once, or become
    /// dead letters, or are dead letters.
    NotCounted {
        /// The file.
        path: PathBuf,
    },
    /// The time is up, and messages are not done.
    Timeout {
        /// How many.
        unfinished: u64,
    },
    /// The handle was created before a fork, and this is the child.
    Forked,
    /// The file was truncated while it was open here
    /// ([`OpenOptions::guard_truncation`](crate::OpenOptions::guard_truncation)).
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The counts in the file contradict each other.
    Corrupted(Box<Corrupted>),
}

impl TaskError {
    /// Returns whether the time was up before all messages were done ([`Timeout`](Self::Timeout)).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("jobs"))? };
    /// queue.producer()?.send(b"job")?;
    /// assert!(queue.join_timeout(std::time::Duration::ZERO).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Returns whether more messages were declared done than were sent
    /// ([`TooMany`](Self::TooMany)).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("jobs"))? };
    /// assert!(queue.consumer()?.task_done().unwrap_err().is_too_many());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_too_many(&self) -> bool {
        matches!(self, Self::TooMany { .. })
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { path } => write!(
                f,
                "{}: all messages that were sent are done already; call `task_done` once for each message",
                path.display()
            ),
            Self::NotCounted { path } => write!(
                f,
                "{}: this queue does not count what is done, since its messages may be dropped or become dead letters; \
                 create it without `Delivery::AtMostOnce` and `max_redeliveries`",
                path.display()
            ),
            Self::Timeout { unfinished } => {
                write!(f, "the time is up, and {unfinished} messages are not done")
            }
            Self::Forked => f.write_str(super::transfer::FORKED),
            Self::Truncated { path } => super::transfer::write_truncated(f, path),
            Self::Corrupted(corrupted) => corrupted.fmt(f),
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Corrupted(corrupted) => corrupted.source(),
            _ => None,
        }
    }
}
