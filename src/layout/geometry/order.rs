//! The sections that only MPMC and broadcast queues have: registry, slots, and what dead letters need.

use super::{PAGE, registry_end};
use crate::layout::words::{OriginWords, Slot};

/// The part of a request that is not for SPSC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderRequest {
    /// Slots, rounded up to a power of two.
    pub(crate) slots: u64,
    pub(crate) participants: u64,
    pub(crate) policy: Policy,
    /// The broadcast part; `None` for MPMC.
    pub(crate) broadcast: Option<Broadcast>,
}

/// What only a broadcast queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broadcast {
    /// Registry entries of producers, the first ones; only these have lanes.
    pub(crate) producers: u64,
    /// Whether it admits consumers that producers wait for.
    pub(crate) admits_gates: bool,
}

/// What happens to frames that are rejected, or held by a consumer that dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Frames are delivered at most once: a frame that a dead consumer held, or a live one rejects,
    /// is dropped.
    pub(crate) at_most_once: bool,
    /// Maximum number of redeliveries; a frame that exceeds it is dead-lettered. 0: no maximum.
    pub(crate) max_redeliveries: u64,
    /// This is a dead-letter queue: it has room to record where each of its messages comes from.
    pub(crate) is_dead_letter_queue: bool,
}

impl Policy {
    /// At least once, without a maximum of redeliveries.
    pub(crate) const PLAIN: Self =
        Self { at_most_once: false, max_redeliveries: 0, is_dead_letter_queue: false };
}

/// The sections that only MPMC and broadcast queues have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Number of slots, a power of two.
    pub(crate) slots: u64,
    /// How many messages may be claimed and not released: no more than slots.
    pub(crate) max_messages: u64,
    /// Registry entries; MPMC: each has a lane.
    pub(crate) participants: u64,
    /// Offset of the slots in the file.
    pub(crate) slots_offset: u64,
    pub(crate) policy: Policy,
    /// The broadcast part; `None` for MPMC.
    pub(crate) broadcast: Option<Broadcast>,
}

impl Order {
    pub(super) fn new(slots: u64, participants: u64, description_len: u64, policy: Policy) -> Self {
        let slots_offset = (registry_end(participants) + description_len).next_multiple_of(PAGE);
        Self { slots, max_messages: slots, participants, slots_offset, policy, broadcast: None }
    }

    /// The number of lanes: the first registry entries have one.
    pub(crate) fn lanes(&self) -> u64 {
        self.broadcast.map_or(self.participants, |broadcast| broadcast.producers)
    }

    /// Offset of the section after the slots: origins, or holders.
    pub(crate) fn extras_offset(&self) -> u64 {
        (self.slots_offset + self.slots * size_of::<Slot>() as u64).next_multiple_of(PAGE)
    }

    pub(crate) fn origins(&self) -> u64 {
        if self.policy.is_dead_letter_queue { self.slots } else { 0 }
    }

    /// A word for each slot in queues that dead-letter messages: the process that held the frame
    /// last.
    pub(crate) fn holders(&self) -> u64 {
        if self.policy.max_redeliveries != 0 && !self.policy.is_dead_letter_queue { self.slots } else { 0 }
    }

    pub(super) fn extras_end(&self) -> u64 {
        let origins = self.origins() * size_of::<OriginWords>() as u64;
        self.extras_offset() + origins + self.holders() * size_of::<u64>() as u64
    }
}
