//! How much was sent and taken.

use std::time::Instant;

use super::header::QueueKind;
use super::participants;
use super::snapshot::{Cursors, cursors};
use super::source::Source;
use crate::error::InspectError;

/// How much was sent and taken, for rates. Counts messages; for SPSC queues with messages of any
/// size, bytes of the ring.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// When this was read.
    pub at: Instant,
    /// What was sent since the queue was created.
    pub sent: u64,
    /// What was delivered; broadcast: to all consumers together.
    pub taken: u64,
}

impl Progress {
    pub(super) fn take(source: &Source, kind: QueueKind) -> Result<Self, InspectError> {
        let page = source.head_page()?;
        let at = Instant::now();
        Ok(match cursors(&page, kind) {
            Cursors::Spsc { tail, taken, .. } => Self { at, sent: tail, taken },
            Cursors::Mpmc { tail, head } => Self { at, sent: tail, taken: head },
            Cursors::Broadcast { tail, .. } => {
                let order = source.geometry.order.expect("a broadcast queue has one");
                Self { at, sent: tail, taken: participants::received(source, order)? }
            }
        })
    }
}
