//! Errors of writing queues to disks, and of power losses.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::OpenError;

/// Why nothing proves that all of a queue reached the disk before the machine was started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unproven {
    /// The queue was in use until then: its last participant did not detach regularly, or left more
    /// in it than is checked at that time, or its detaching did not reach the disk.
    InUse,
    /// Its last participant detached regularly, but the contents are not those that it left.
    Changed,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => {
                "it was in use when the machine went down, and nothing proves that all of it reached the disk"
            }
            Self::Changed => {
                "what is there is not what its last participant left: only some of it reached the disk"
            }
        })
    }
}

/// Why a queue was not written to the disk.
#[derive(Debug)]
#[non_exhaustive]
pub enum SyncError {
    /// The file could not be opened as a queue ([`sync`](crate::sync()) only).
    Open(OpenError),
    /// The queue is in memory: no call can make it survive.
    InMemory {
        /// The file.
        path: PathBuf,
    },
    /// The system refused a step. The contents of the disk are unknown.
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::InMemory { path } => write!(
                f,
                "{}: it is in memory, and goes with the machine; create it on a disk if its messages must survive",
                path.display()
            ),
            Self::Io { path, step, source } => {
                write!(f, "{}: {step} failed: {source}; what the disk has now is not known", path.display())
            }
        }
    }
}

impl Error for SyncError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(error) => error.source(),
            Self::Io { source, .. } => source.source(),
            Self::InMemory { .. } => None,
        }
    }
}
