//! Which consumers are attached through a handle.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The registry entries of the consumers that are attached through one handle. Pids do not tell:
/// processes of different containers may have the same.
#[derive(Default)]
pub(in crate::queue) struct ConsumersHere(Mutex<Vec<usize>>);

impl ConsumersHere {
    pub(in crate::queue) fn add(&self, entry: usize) {
        self.entries().push(entry);
    }

    pub(in crate::queue) fn remove(&self, entry: usize) {
        self.entries().retain(|one| *one != entry);
    }

    pub(in crate::queue) fn entries(&self) -> MutexGuard<'_, Vec<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
