//! Errors of unlinking queues, and of passing their descriptors.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::OpenError;

/// Why a queue was not unlinked.
#[derive(Debug)]
#[non_exhaustive]
pub enum UnlinkError {
    /// The file could not be opened as a queue, and was not removed.
    Open(OpenError),
    /// Another process has held the attach lock for seconds, to attach or unlink.
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The system refused a step.
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for UnlinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Busy { path } => write!(
                f,
                "{}: another process has been attaching to it for seconds; it may be stopped: continue or kill it",
                path.display()
            ),
            Self::Io { path, step, source } => write!(f, "{}: {step} failed: {source}", path.display()),
        }
    }
}

impl Error for UnlinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(error) => error.source(),
            Self::Busy { .. } => None,
            Self::Io { source, .. } => source.source(),
        }
    }
}

/// Why a queue's descriptor was not passed.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendFdError {
    /// Only memfd queues can be passed; this one has a name.
    HasName {
        /// The file.
        path: PathBuf,
    },
    /// The system refused a step.
    Io {
        /// The display name of the queue.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for SendFdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HasName { path } => write!(
                f,
                "{}: only memfd queues are handed over, and this one has a name; have the other process open it by that",
                path.display()
            ),
            Self::Io { path, step, source } => write!(f, "{}: {step} failed: {source}", path.display()),
        }
    }
}

impl Error for SendFdError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::HasName { .. } => None,
            Self::Io { source, .. } => source.source(),
        }
    }
}
