//! The words of a broadcast queue.

use crate::layout::RETAINED_OFFSET;
use crate::order_ring::broadcast::BroadcastRing;
use crate::queue::Shared;
use crate::queue::mpmc::mapping::MappedRing;

impl MappedRing for BroadcastRing {
    fn of(shared: &Shared) -> Self {
        let broadcast = shared.geometry().broadcast().expect("a broadcast queue");
        BroadcastRing::new(shared.ring(), shared.words(RETAINED_OFFSET), broadcast.producers as usize)
    }
}
