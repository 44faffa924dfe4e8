//! A participant's stay.

use std::sync::Arc;

use crate::queue::Shared;
use crate::shm::Lease;

/// A lease, after whose end the file is sealed if it was the last.
pub(in crate::queue) struct Stay {
    lease: Option<Lease>,
    shared: Arc<Shared>,
}

impl Stay {
    pub(in crate::queue) fn new(lease: Lease, shared: Arc<Shared>) -> Self {
        Self { lease: Some(lease), shared }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        drop(self.lease.take());
        self.shared.end_use();
    }
}
