//! Why a participant cannot recover from the death of another.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A participant may have died, and this process could not find out, or could not remove its residue.
///
/// Each call that waits tries it again, and so does every other participant. Nothing is lost.
///
/// ```
/// fn explain(error: &ringway::RecvError) {
///     if let ringway::RecvError::RecoveryFailed(failed) = error {
///         eprintln!("{}: {failed}", failed.path().display());
///     }
/// }
/// ```
#[derive(Debug)]
pub struct RecoveryFailed {
    pub(crate) path: PathBuf,
    pub(crate) step: &'static str,
    pub(crate) source: io::Error,
}

impl RecoveryFailed {
    /// The queue's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for RecoveryFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{path}: messages or room may be held by a participant that has died, and this process cannot see to that: {step} \
             failed: {source}; whatever is held comes again as soon as this works, as soon as another participant does it, or by \
             `ringway doctor --repair {path}`",
            path = self.path.display(),
            step = self.step,
            source = self.source
        )
    }
}

impl Error for RecoveryFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
