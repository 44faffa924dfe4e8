//! The queues of a directory.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ringway::inspect::Inspector;
use ringway::{InspectError, OpenError};

/// The directory of queues with bare names.
pub(crate) const DEFAULT: &str = "/dev/shm";

/// A file that is a queue, or begins as one.
pub(crate) type Found = (PathBuf, Result<Inspector, InspectError>);

/// All queues of a directory, by name. Files that are something else, or that may not be read, are
/// ignored.
pub(crate) fn queues(directory: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in files(directory)? {
        let inspector = Inspector::open(&path);
        let is_queue = match &inspector {
            Ok(_) => true,
            Err(InspectError::Open(error)) => is_broken_queue(error),
            Err(_) => false,
        };
        if is_queue {
            found.push((path, inspector));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// The queues that a name on the command line means: those of a directory, or the one that has the
/// name.
pub(crate) fn meant(target: &Path) -> Result<Vec<Found>> {
    // A bare name is a queue in /dev/shm, even if there is a directory of that name here.
    let is_path = target.as_os_str().as_bytes().contains(&b'/');
    if (is_path || target == Path::new(".")) && target.is_dir() {
        return queues(target);
    }
    let inspector = Inspector::open(target);
    match &inspector {
        Ok(opened) => Ok(vec![(opened.path().to_path_buf(), inspector)]),
        Err(InspectError::Open(error))
            if is_broken_queue(error) || matches!(error, OpenError::Truncated { .. }) =>
        {
            Ok(vec![(target.to_path_buf(), inspector)])
        }
        // There is no queue to check.
        Err(_) => Err(inspector.expect_err("just matched").into()),
    }
}

/// Whether a file that could not be opened begins as a queue does.
pub(crate) fn is_broken_queue(error: &OpenError) -> bool {
    match error {
        OpenError::Truncated { found, .. } => *found > 0,
        OpenError::WrongEndianness { .. }
        | OpenError::WrongVersion { .. }
        | OpenError::UnknownFeatures { .. }
        | OpenError::Incomplete { .. }
        | OpenError::WrongKind { .. }
        | OpenError::Corrupted { .. } => true,
        _ => false,
    }
}

/// The regular files of a directory.
pub(crate) fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = || {
        format!("{}: this directory cannot be read; give another one, or check its mode", directory.display())
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        // A file that is gone now is skipped.
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            files.push(entry.path());
        }
    }
    Ok(files)
}
