//! A participant's stay.

use std::sync::Arc;

use crate::queue::Shared;
use crate::shm::Lease;

/// A lease, after whose end the file is sealed if it was the last.
pub(in crate::queue) struct Stay {
    lease: Option<Lease>,
    /// Whether another participant has taken the place since the lease was given back.
    is_successor: Box<dyn Fn() -> bool + Send + Sync>,
    shared: Arc<Shared>,
}

impl Stay {
    pub(in crate::queue) fn new(
        lease: Lease,
        shared: Arc<Shared>,
        is_successor: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { lease: Some(lease), is_successor: Box::new(is_successor), shared }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.end(self.shared.file(), &self.is_successor);
        }
        self.shared.end_use();
    }
}
