//! Resolves the name of a queue to a path.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The directory of queues with bare names.
const DEFAULT_DIRECTORY: &str = "/dev/shm";

/// Why a name is not valid for a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    Empty,
    Nul,
    NoFileName,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the name of the queue is empty; give a name such as `ticks`, or a path",
            Self::Nul => "the name of the queue contains a NUL byte, which no file name can",
            Self::NoFileName => "the name of the queue is a directory, not a file name",
        })
    }
}

/// A bare name lives in `/dev/shm`; anything with a slash is a path and used as it is.
pub(crate) fn resolve(name: &Path) -> Result<PathBuf, NameError> {
    let bytes = name.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(NameError::Empty);
    }
    if bytes.contains(&0) {
        return Err(NameError::Nul);
    }
    if bytes.ends_with(b"/") || name.file_name().is_none() {
        return Err(NameError::NoFileName);
    }
    if bytes.contains(&b'/') { Ok(name.to_path_buf()) } else { Ok(Path::new(DEFAULT_DIRECTORY).join(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_names_live_in_shared_memory() {
        assert_eq!(resolve(Path::new("ticks")), Ok(PathBuf::from("/dev/shm/ticks")));
        assert_eq!(resolve(Path::new("./ticks")), Ok(PathBuf::from("./ticks")));
        assert_eq!(resolve(Path::new("/tmp/ticks")), Ok(PathBuf::from("/tmp/ticks")));
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for (name, error) in [
            ("", NameError::Empty),
            ("a\0b", NameError::Nul),
            ("/tmp/", NameError::NoFileName),
            ("..", NameError::NoFileName),
            (".", NameError::NoFileName),
            ("a/..", NameError::NoFileName),
        ] {
            assert_eq!(resolve(Path::new(name)), Err(error), "{name:?}");
        }
    }
}
