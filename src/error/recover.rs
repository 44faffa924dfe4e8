//! Errors of recovering.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why nothing was recovered.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecoverError {
    /// The file could not be opened as a queue ([`recover`](crate::recover) only).
    Open(super::OpenError),
    /// Another process is just recovering this queue.
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The handle was created before a fork, and this is the child.
    Forked,
    /// The file was truncated while it was open here
    /// ([`OpenOptions::guard_truncation`](crate::OpenOptions::guard_truncation)).
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The system refused to lock the file.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Busy { path } => write!(
                f,
                "{}: another process is just recovering it; if that goes on for seconds, it may be stopped: continue or \
                 kill it",
                path.display()
            ),
            Self::Forked => f.write_str(super::transfer::FORKED),
            Self::Truncated { path } => super::transfer::write_truncated(f, path),
            Self::Io { path, source } => {
                write!(f, "{}: the recovery lock could not be taken: {source}", path.display())
            }
        }
    }
}

impl Error for RecoverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(error) => error.source(),
            Self::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}
