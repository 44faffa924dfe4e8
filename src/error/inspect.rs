//! Errors of inspecting a queue.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::OpenError;

/// Why a queue could not be inspected.
#[derive(Debug)]
#[non_exhaustive]
pub enum InspectError {
    /// The file could not be opened, or is no complete queue; the error says what it is instead.
    Open(OpenError),
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

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Inspection needs fewer permissions than opening.
            Self::Open(OpenError::PermissionDenied { path }) => write!(
                f,
                "{}: no permission to read it; run as its owner, or change its mode",
                path.display()
            ),
            Self::Open(error) => error.fmt(f),
            Self::Io { path, step, source } if source.kind() == io::ErrorKind::UnexpectedEof => write!(
                f,
                "{}: {step} failed: the file became shorter meanwhile; truncation destroys a queue: \
                 remove it and create it anew",
                path.display()
            ),
            Self::Io { path, step, source } => write!(f, "{}: {step} failed: {source}", path.display()),
        }
    }
}

impl Error for InspectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(error) => error.source(),
            Self::Io { source, .. } => source.source(),
        }
    }
}
