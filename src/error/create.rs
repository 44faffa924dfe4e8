//! Errors of creating queues.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::open::wrong_filesystem;

/// Why a queue was not created. No file is left.
#[derive(Debug)]
#[non_exhaustive]
pub enum CreateError {
    /// The name cannot name a file.
    InvalidName {
        /// What is wrong with it.
        reason: String,
    },
    /// The options describe no possible queue.
    InvalidOptions {
        /// What is wrong with them.
        reason: String,
    },
    /// A file of that name exists already.
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// The directory that should hold the file does not exist.
    NoDirectory {
        /// The file.
        path: PathBuf,
    },
    /// The filesystem has no room for the whole queue.
    NoSpace {
        /// The file.
        path: PathBuf,
        /// Bytes that the queue takes.
        needed: u64,
    },
    /// This process may not create a file of that size (`ulimit -f`, `RLIMIT_FSIZE`).
    FileSizeLimit {
        /// The file.
        path: PathBuf,
        /// Bytes that the queue takes.
        needed: u64,
        /// Bytes that a file may have.
        limit: u64,
    },
    /// The filesystem is mounted read-only.
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The directory may not be written to.
    PermissionDenied {
        /// The file.
        path: PathBuf,
    },
    /// The filesystem cannot hold a queue.
    WrongFilesystem {
        /// The file.
        path: PathBuf,
        /// What filesystem it is.
        filesystem: &'static str,
        /// Why it cannot.
        reason: &'static str,
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

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName { reason } => write!(f, "cannot create a queue: {reason}"),
            Self::InvalidOptions { reason } => write!(f, "cannot create a queue: {reason}"),
            Self::AlreadyExists { path } => write!(
                f,
                "{}: a file of this name exists; open it, or unlink it first if it is not needed",
                path.display()
            ),
            Self::NoDirectory { path } => {
                write!(
                    f,
                    "{}: the directory that should hold it does not exist; create it first",
                    path.display()
                )
            }
            Self::NoSpace { path, needed } => write!(
                f,
                "{}: no room for the {needed} bytes of the queue; free some space or ask for fewer `ring_bytes`",
                path.display()
            ),
            Self::FileSizeLimit { path, needed, limit } => write!(
                f,
                "{}: the queue takes {needed} bytes, and this process may not make files of more than {limit} (ulimit -f, \
                 RLIMIT_FSIZE; LimitFSIZE= of a systemd unit); raise the limit or ask for fewer `ring_bytes`",
                path.display()
            ),
            Self::ReadOnly { path } => write!(
                f,
                "{}: the filesystem there is mounted read-only; choose another directory, or mount it for writing",
                path.display()
            ),
            Self::PermissionDenied { path } => write!(
                f,
                "{}: no permission to create a file there; choose another directory or change its mode",
                path.display()
            ),
            Self::WrongFilesystem { path, filesystem, reason } => {
                wrong_filesystem(f, path, filesystem, reason)
            }
            Self::Io { path, step, source } => write!(f, "{}: {step} failed: {source}", path.display()),
        }
    }
}

impl Error for CreateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}
