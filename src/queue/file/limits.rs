//! Limits of what is accepted from untrusted peers.

use std::num::NonZeroUsize;
use std::path::Path;

use crate::error::OpenError;
use crate::layout::Geometry;

/// The resources that an untrusted queue may take in this process.
///
/// ```
/// let limits = ringway::untrusted::Limits::new().message(64 * 1024).depth(16);
/// ```
///
/// Also of the file:
///
/// ```
/// let small = ringway::untrusted::Limits::new().file(1 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    message: usize,
    depth: NonZeroUsize,
    file: u64,
}

const MESSAGE: usize = 16 << 20;
const DEPTH: NonZeroUsize = NonZeroUsize::new(128).expect("not zero");
const FILE: u64 = 256 << 20;
/// Recovery takes a step for each slot and participant: some 10 ms for this number of them.
const MAX_STEPS: u64 = 1 << 24;

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl Limits {
    /// Returns the defaults: messages of 16 MiB, 128 levels deep, in files of 256 MiB.
    pub const fn new() -> Self {
        Self { message: MESSAGE, depth: DEPTH, file: FILE }
    }

    /// Sets the bytes of the largest message that is received or sent. Larger ones are skipped.
    #[must_use]
    pub const fn message(mut self, bytes: usize) -> Self {
        self.message = bytes;
        self
    }

    /// Sets how deep archives may nest: a `Vec<Vec<String>>` has three levels. A level takes up to
    /// 1 KiB of stack in debug builds while it is validated.
    ///
    /// # Panics
    /// If `levels` is 0.
    #[must_use]
    pub const fn depth(mut self, levels: usize) -> Self {
        self.depth = NonZeroUsize::new(levels).expect("a depth of at least one level");
        self
    }

    /// Sets the bytes of the largest file that is opened. All of it may be mapped and take memory.
    #[must_use]
    pub const fn file(mut self, bytes: u64) -> Self {
        self.file = bytes;
        self
    }

    pub(in crate::queue) const fn max_bytes(&self) -> usize {
        self.message
    }

    pub(crate) const fn max_depth(&self) -> NonZeroUsize {
        self.depth
    }

    /// Refuses a file that is too large.
    pub(in crate::queue) fn check(&self, path: &Path, geometry: &Geometry) -> Result<(), OpenError> {
        let too_large =
            |what, found, limit| Err(OpenError::TooLarge { path: path.to_path_buf(), what, found, limit });
        if geometry.file_len() > self.file {
            return too_large("the file (bytes)", geometry.file_len(), self.file);
        }
        match geometry.order {
            Some(order) if order.slots * order.participants > MAX_STEPS => too_large(
                "maximum messages times maximum participants",
                order.slots * order.participants,
                MAX_STEPS,
            ),
            _ => Ok(()),
        }
    }
}
