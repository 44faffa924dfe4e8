//! The sections that only an MPMC queue has: registry, slots, and what dead letters need.

use super::{PAGE, registry_end};
use crate::layout::words::{OriginWords, Slot};

/// The MPMC part of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderRequest {
    /// Slots, rounded up to a power of two.
    pub(crate) slots: u64,
    pub(crate) participants: u64,
    pub(crate) policy: Policy,
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

/// The sections that only an MPMC queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Number of slots, a power of two.
    pub(crate) slots: u64,
    /// How many messages may be claimed and not released: no more than slots.
    pub(crate) max_messages: u64,
    /// Registry entries; each has a lane.
    pub(crate) participants: u64,
    /// Offset of the slots in the file.
    pub(crate) slots_offset: u64,
    pub(crate) policy: Policy,
}

impl Order {
    pub(super) fn new(slots: u64, participants: u64, description_len: u64, policy: Policy) -> Self {
        let slots_offset = (registry_end(participants) + description_len).next_multiple_of(PAGE);
        Self { slots, max_messages: slots, participants, slots_offset, policy }
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
