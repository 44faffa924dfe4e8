//! Queue files of benches.

use std::path::PathBuf;

/// A queue in a file that is gone when this is dropped.
pub(crate) struct Temp<Q>(pub(crate) Q, pub(crate) PathBuf);

impl<Q> Drop for Temp<Q> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.1);
    }
}

pub(crate) fn name_of_queue() -> PathBuf {
    format!("/dev/shm/ringway-benches-{}", std::process::id()).into()
}
