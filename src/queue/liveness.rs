//! Asks the kernel which participants are alive.

use std::cell::Cell;
use std::fs::File;
use std::io;

use crate::layout::LOCK_ENTRY;
use crate::order_ring::LivenessProbe;
use crate::shm::is_locked;

/// The kernel, asked through a descriptor that holds no lock on entries: the queue's own one, or an
/// inspector's.
pub(crate) struct KernelProbe<'a> {
    file: &'a File,
    /// The error of the last question that was not answered.
    error: Cell<Option<io::Error>>,
    has_asked: Cell<bool>,
}

impl<'a> KernelProbe<'a> {
    pub(crate) fn new(file: &'a File) -> Self {
        Self { file, error: Cell::new(None), has_asked: Cell::new(false) }
    }

    /// Whether it was asked anything: without a question there is no answer that shows that asking
    /// works.
    pub(crate) fn has_asked(&self) -> bool {
        self.has_asked.get()
    }

    /// Returns what was found with these answers, unless one is missing.
    pub(crate) fn answered<R>(&self, found: R) -> io::Result<R> {
        self.error.take().map_or(Ok(found), Err)
    }
}

impl LivenessProbe for KernelProbe<'_> {
    fn is_alive(&self, index: usize) -> bool {
        self.has_asked.set(true);
        is_locked(self.file, LOCK_ENTRY + index as i64).unwrap_or_else(|error| {
            self.error.set(Some(error));
            // A participant wrongly taken for dead corrupts the queue; one wrongly taken for alive
            // only delays.
            true
        })
    }
}
