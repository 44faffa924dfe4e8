//! Files under a temporary name, for filesystems that cannot create one without a name.
//!
//! The creator holds a lock on the file until it is complete. The lock tells such a file from one
//! that a killed creator left.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, renameat2};

use super::create::random_uuid;
use super::file::{Named, named_by, open};
use super::lock::{Hold, is_locked, try_lock, unlock};
use super::owner::Sharing;
use super::step::{StepError, at};
use crate::layout::LOCK_CREATING;

const PREFIX: &str = ".ringway-";
const SUFFIX: &str = ".tmp";

/// Retry limit: another process may take the new file for a leftover and remove it before it is
/// locked, but not every time.
const RETRY_LIMIT: u32 = 10;

/// A file under a temporary name, which is removed when this is dropped.
pub(super) struct Temporary {
    pub(super) file: Arc<File>,
    /// `None` once the file was renamed.
    path: Option<PathBuf>,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nothing can be done about a failure here; a later clean-up finds the file.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Temporary {
    /// Creates a new, empty file in the directory.
    pub(super) fn new(directory: &Path) -> Result<Self, StepError> {
        for _ in 0..RETRY_LIMIT {
            let (temporary, path) = Self::make(directory)?;
            let lock = at("locking the file");
            let is_locked = try_lock(&temporary.file, LOCK_CREATING, Hold::Alone).map_err(lock)?;
            let named = named_by(&path, &temporary.file).map_err(at("checking the file"))?;
            if is_locked && named == Named::ThisFile {
                return Ok(temporary);
            }
        }
        Err(at("creating the file")(io::Error::other(
            "another process keeps removing the files that are created there",
        )))
    }

    fn make(directory: &Path) -> Result<(Self, PathBuf), StepError> {
        let uuid = random_uuid().map_err(at("reading random bytes"))?;
        let number = u64::from_ne_bytes(uuid[..8].try_into().expect("eight bytes"));
        let path = directory.join(format!("{PREFIX}{number:016x}{SUFFIX}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(Sharing::FIRST_MODE)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
            .open(&path)
            .map_err(at("creating the file"))?;
        Ok((Self { file: Arc::new(file), path: Some(path.clone()) }, path))
    }

    /// Gives the file its final name, unless that is taken.
    pub(super) fn rename(mut self, path: &Path) -> io::Result<Arc<File>> {
        let temporary = self.path.take().expect("not renamed yet");
        let renamed = renameat2(AT_FDCWD, &temporary, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE);
        if let Err(error) = renamed {
            self.path = Some(temporary);
            return Err(error.into());
        }
        // The file must be locked while it has the temporary name, and must not be afterwards: the
        // queue keeps the description. A failure does no harm: the lock is tested only on files
        // with temporary names.
        let _ = unlock(&self.file, LOCK_CREATING);
        Ok(Arc::clone(&self.file))
    }
}

/// Whether the name is a temporary one.
pub(crate) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    number.is_some_and(|number| {
        number.len() == 16 && number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Whether a live process is creating the file with that temporary name.
pub(crate) fn is_being_made(path: &Path) -> io::Result<bool> {
    is_locked(&open(path)?, LOCK_CREATING)
}

/// Removes a file that a creator left because it was killed; false if the creator lives.
pub(crate) fn remove_leftover(path: &Path) -> io::Result<bool> {
    let file = open(path)?;
    // Its creator cannot lock it any more, and then sees that the name is gone.
    if !try_lock(&file, LOCK_CREATING, Hold::Alone)? {
        return Ok(false);
    }
    super::file::unlink_if_same(path, &file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_made_is_no_leftover() {
        let directory = tempfile::tempdir().unwrap();
        let mut temporary = Temporary::new(directory.path()).unwrap();
        let path = temporary.path.clone().unwrap();
        assert!(is_temporary(&path));
        assert!(is_being_made(&path).unwrap());
        assert!(!remove_leftover(&path).unwrap());
        // The state after a death: the descriptor is closed, and the name stays.
        temporary.path = None;
        drop(temporary);
        assert!(!is_being_made(&path).unwrap());
        assert!(remove_leftover(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn what_was_renamed_is_locked_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue");
        let file = Temporary::new(directory.path()).unwrap().rename(&path).unwrap();
        assert!(!is_being_made(&path).unwrap());
        assert_eq!(named_by(&path, &file).unwrap(), Named::ThisFile);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn temporary_names() {
        for (name, is) in [
            ("/dev/shm/.ringway-0123456789abcdef.tmp", true),
            (".ringway-0123456789abcdef.tmp", true),
            ("/dev/shm/.ringway-0123456789abcde.tmp", false),
            ("/dev/shm/.ringway-0123456789abcdeg.tmp", false),
            ("/dev/shm/.ringway-0123456789ABCDEF.tmp", false),
            ("/dev/shm/ringway-0123456789abcdef.tmp", false),
            ("/dev/shm/.ringway-0123456789abcdef", false),
        ] {
            assert_eq!(is_temporary(Path::new(name)), is, "{name}");
        }
    }
}
