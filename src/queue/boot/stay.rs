//! The time during which a participant is attached.

use std::sync::Arc;

use crate::queue::Shared;
use crate::shm::LivenessLock;

/// A liveness lock, after whose end the file is sealed if it was the last one.
pub(in crate::queue) struct Stay {
    liveness_lock: Option<LivenessLock>,
    /// Whether another participant has taken the role since the liveness lock was released.
    is_successor: Box<dyn Fn() -> bool + Send + Sync>,
    shared: Arc<Shared>,
}

impl Stay {
    pub(in crate::queue) fn new(
        liveness_lock: LivenessLock,
        shared: Arc<Shared>,
        is_successor: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { liveness_lock: Some(liveness_lock), is_successor: Box::new(is_successor), shared }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let Some(liveness_lock) = self.liveness_lock.take() {
            liveness_lock.end(self.shared.file(), &self.is_successor);
        }
        self.shared.end_use();
    }
}
