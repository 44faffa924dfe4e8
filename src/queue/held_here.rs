//! Which frames in flight consumers of this handle hold.

use super::Shared;
use crate::error::HeldHere;
use crate::layout::{CURSORS_OFFSET, Cursors, Framing};
use crate::sync::Ordering;

/// The order ring is not read for an error if it has more slots: the read would take longer than a
/// millisecond, and the time of the call is up.
const MAX_SLOTS_READ: u64 = 1 << 16;

impl Shared {
    /// The frames that consumers of this handle hold now, if any. Allocates nothing.
    #[cold]
    pub(super) fn held_here(&self) -> Option<HeldHere> {
        let entries = self.consumers_here().entries();
        if entries.is_empty() {
            return None;
        }
        if let Some(order) = self.geometry().order {
            let ring = (order.slots <= MAX_SLOTS_READ).then(|| self.ring())?;
            let (messages, oldest) = ring.held_by(&entries)?;
            return Some(HeldHere { messages: Some(messages), oldest });
        }
        let consumer = &self.words::<Cursors>(CURSORS_OFFSET).consumer;
        // Relaxed: the numbers are diagnostic only.
        let (taken, oldest) =
            (consumer.taken.load(Ordering::Relaxed), consumer.released.load(Ordering::Relaxed));
        let messages = match self.geometry().framing {
            Framing::Fixed { .. } => Some(taken.saturating_sub(oldest)),
            Framing::Variable => None,
        };
        (taken > oldest).then_some(HeldHere { messages, oldest })
    }
}
