//! The name of a queue's dead-letter queue.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `<name>.dead`.
pub(in crate::queue) fn letters_name(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".dead");
    PathBuf::from(name)
}
