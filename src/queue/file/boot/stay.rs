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
    /// The registry entry, of a consumer.
    consumer: Option<usize>,
}

impl Stay {
    pub(in crate::queue) fn new(
        liveness_lock: LivenessLock,
        shared: Arc<Shared>,
        consumer: Option<usize>,
        is_successor: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        if let Some(entry) = consumer {
            shared.consumers_here().add(entry);
        }
        Self { liveness_lock: Some(liveness_lock), is_successor: Box::new(is_successor), shared, consumer }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        // In a forked child another thread may have held the mutex at the fork.
        if let Some(entry) = self.consumer
            && self.shared.guard().is_intact()
        {
            self.shared.consumers_here().remove(entry);
        }
        if let Some(liveness_lock) = self.liveness_lock.take() {
            liveness_lock.end(self.shared.file(), &self.is_successor);
        }
        self.shared.end_use();
    }
}
