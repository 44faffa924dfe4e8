//! Sizes and section offsets of a queue file, computed once and checked whenever they are read from
//! a file.

mod check;
mod error;
mod order;
#[cfg(test)]
mod tests;

pub(crate) use error::GeometryError;
pub(crate) use order::{Broadcast, Order, OrderRequest, Policy};

use super::commit::WORD;
use super::order::{MAX_PARTICIPANTS, MAX_REDELIVERIES, PackedFrameRef};
use super::preamble::{KIND_BROADCAST, KIND_MPMC, KIND_SPSC};
use super::words::RegistryEntry;
use super::{LEAD, REGISTRY_OFFSET};

/// Whether frames have one size, or each its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Frames of any size, each after its commit word.
    Variable,
    /// Frames of exactly `len` bytes, without a header.
    Fixed {
        /// Bytes of every message.
        len: u64,
    },
}

/// The shape of queue that a user requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GeometryRequest {
    pub(crate) framing: Framing,
    /// Bytes of ring, rounded up.
    pub(crate) capacity: u64,
    /// Alignment of payloads, a power of two up to [`LEAD`].
    pub(crate) align: u64,
    /// Bytes of the description of the message type.
    pub(crate) description_len: u64,
    /// The MPMC part; `None` for SPSC.
    pub(crate) order: Option<OrderRequest>,
}

/// The shape of a queue. Copied out of the header once, at attach; the hot path never re-reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) framing: Framing,
    /// Alignment of payloads and granule of variable-size frames.
    pub(crate) align: u64,
    /// Variable: bytes of the ring, a power of two. Fixed: number of cells.
    pub(crate) capacity: u64,
    /// Fixed: distance between two cells, in bytes. Variable: 1.
    pub(crate) stride: u64,
    /// Largest payload of one frame.
    pub(crate) max_payload: u64,
    /// Offset of the lane section in the file, a multiple of the page size.
    pub(crate) lane_offset: u64,
    /// Bytes of one lane's section, a multiple of the page size.
    pub(crate) lane_len: u64,
    /// Bytes of the description of the message type, after the registry; 0 for bytes.
    pub(crate) description_len: u64,
    /// The MPMC sections; an SPSC queue is a single lane.
    pub(crate) order: Option<Order>,
    /// Bytes of each payload that are not the message: 0, or those of its trailer, at its end.
    pub(crate) trailer: u64,
}

/// Offset of the end of the registry, where the description begins.
fn registry_end(participants: u64) -> u64 {
    REGISTRY_OFFSET as u64 + participants * ENTRY_LEN
}

const PAGE: u64 = 4096;

/// Registry entries of a dead-letter queue for other readers. Every process that has consumers of
/// the queue itself may also take one.
const LETTER_READERS: u64 = 8;
/// The longest description of a message type: some twenty thousand fields.
pub(crate) const MAX_DESCRIPTION: u64 = 1 << 20;
const SPSC_ENTRIES: u64 = 2;
const ENTRY_LEN: u64 = size_of::<RegistryEntry>() as u64;
const MIN_SLOTS: u64 = 2;
/// 16 bytes each: a quarter of a gigabyte.
const MAX_SLOTS: u64 = 1 << 24;
/// One producer and one consumer.
const MIN_PARTICIPANTS: u64 = 2;
/// The largest ring: far above any machine's memory, low enough that no sum below can overflow.
const MAX_CAPACITY: u64 = 1 << 44;
const MIN_CAPACITY: u64 = 64;
/// Granules in the smallest ring: with fewer, no payload would fit into half of it.
const MIN_GRANULES: u64 = 4;

impl Geometry {
    /// Turns a request into a geometry.
    pub(crate) fn new(request: GeometryRequest) -> Result<Self, GeometryError> {
        let GeometryRequest { framing, capacity, align, description_len, order } = request;
        if !align.is_power_of_two() || !(1..=LEAD as u64).contains(&align) {
            return Err(GeometryError::Align { align });
        }
        if capacity > MAX_CAPACITY {
            return Err(GeometryError::CapacityTooLarge { capacity, limit: MAX_CAPACITY });
        }
        if description_len > MAX_DESCRIPTION {
            return Err(GeometryError::Description { len: description_len });
        }
        if let Some(order) = order {
            return Self::mpmc(framing, capacity, align, description_len, order);
        }
        match framing {
            Framing::Variable => {
                let align = align.max(WORD);
                let ring = capacity.max(MIN_CAPACITY).max(MIN_GRANULES * align).next_power_of_two();
                Ok(Self::with(framing, align, ring, 1, description_len))
            }
            Framing::Fixed { len } => {
                if len == 0 || len > MAX_CAPACITY {
                    return Err(GeometryError::FixedLen { len });
                }
                let stride = len.next_multiple_of(align);
                Ok(Self::with(framing, align, (capacity / stride).max(2), stride, description_len))
            }
        }
    }

    /// Computes the other fields from these.
    fn with(framing: Framing, align: u64, capacity: u64, stride: u64, description_len: u64) -> Self {
        // Half the ring less one granule always fits an empty ring, wherever its cursor stands.
        let max_payload = match framing {
            Framing::Variable => capacity / 2 - align - WORD,
            Framing::Fixed { len } => len,
        };
        let lane_offset = (registry_end(SPSC_ENTRIES) + description_len).next_multiple_of(PAGE);
        let lane_len = (LEAD as u64 + capacity * stride).next_multiple_of(PAGE);
        Self {
            framing,
            align,
            capacity,
            stride,
            max_payload,
            lane_offset,
            lane_len,
            description_len,
            order: None,
            trailer: 0,
        }
    }

    fn mpmc(
        framing: Framing,
        capacity: u64,
        align: u64,
        description_len: u64,
        request: OrderRequest,
    ) -> Result<Self, GeometryError> {
        let OrderRequest { slots, participants, policy, broadcast } = request;
        let fixed_len = match framing {
            Framing::Variable => 0,
            Framing::Fixed { len } if (1..=MAX_CAPACITY / 4).contains(&len) => len,
            Framing::Fixed { len } => return Err(GeometryError::FixedLen { len }),
        };
        if slots > MAX_SLOTS {
            return Err(GeometryError::Slots { slots });
        }
        if !(MIN_PARTICIPANTS..=MAX_PARTICIPANTS).contains(&participants) {
            return Err(GeometryError::Participants { participants });
        }
        if let Some(Broadcast { producers, .. }) = broadcast
            && !(1..participants).contains(&producers)
        {
            return Err(GeometryError::Producers { producers, participants });
        }
        if policy.max_redeliveries >= MAX_REDELIVERIES {
            return Err(GeometryError::Redeliveries { most: policy.max_redeliveries });
        }
        let align = align.max(PackedFrameRef::UNIT);
        let least = (2 * (fixed_len + 2 * align)).max(PAGE);
        let lane = capacity.max(least).next_power_of_two();
        if lane > PackedFrameRef::MAX_LANE {
            return Err(GeometryError::CapacityTooLarge { capacity: lane, limit: PackedFrameRef::MAX_LANE });
        }
        let max_messages = slots.max(1);
        let slots = slots.max(MIN_SLOTS).next_power_of_two();
        let order =
            Order { max_messages, broadcast, ..Order::new(slots, participants, description_len, policy) };
        Ok(Self::mpmc_with(framing, align, lane, description_len, order))
    }

    /// Computes the other fields from these. A frame is a payload and nothing else, in whole
    /// granules of `align`.
    fn mpmc_with(framing: Framing, align: u64, lane: u64, description_len: u64, order: Order) -> Self {
        let max_payload = match framing {
            Framing::Variable => lane / 2 - align,
            Framing::Fixed { len } => len,
        };
        let lane_offset = order.extras_end().next_multiple_of(PAGE);
        Self {
            framing,
            align,
            capacity: lane,
            stride: 1,
            max_payload,
            lane_offset,
            lane_len: lane,
            description_len,
            order: Some(order),
            trailer: 0,
        }
    }

    /// The shape of this queue's dead-letter queue: the same, with registry entries for a few more
    /// consumers.
    pub(crate) fn for_letters(&self) -> Self {
        let Some(Order { slots, max_messages, participants, .. }) = self.order else { return *self };
        let participants = (participants + LETTER_READERS).min(MAX_PARTICIPANTS);
        let policy = Policy { at_most_once: false, max_redeliveries: 0, is_dead_letter_queue: true };
        let order = Order { max_messages, ..Order::new(slots, participants, self.description_len, policy) };
        Self::mpmc_with(self.framing, self.align, self.capacity, self.description_len, order)
    }

    /// The kind's number in the preamble.
    pub(crate) fn kind(&self) -> u32 {
        match self.order {
            None => KIND_SPSC,
            Some(Order { broadcast: None, .. }) => KIND_MPMC,
            Some(_) => KIND_BROADCAST,
        }
    }

    /// The broadcast part, if it is a broadcast queue.
    pub(crate) fn broadcast(&self) -> Option<Broadcast> {
        self.order.and_then(|order| order.broadcast)
    }

    /// Bytes of the largest message.
    pub(crate) fn max_message(&self) -> u64 {
        self.max_payload - self.trailer
    }

    /// Bytes of every message, if all have one size.
    pub(crate) fn fixed_message(&self) -> Option<u64> {
        let Framing::Fixed { len } = self.framing else { return None };
        Some(len - self.trailer)
    }

    /// Offset of the description of the message type.
    pub(crate) fn description_offset(&self) -> u64 {
        registry_end(self.order.map_or(SPSC_ENTRIES, |order| order.participants))
    }

    /// Bytes of the whole file.
    pub(crate) fn file_len(&self) -> u64 {
        self.lane_offset + self.lane_len * self.order.map_or(1, |order| order.lanes())
    }

    /// Bytes that are allocated on the disk from the beginning; MPMC lanes are allocated when they
    /// are used.
    pub(crate) fn allocated_len(&self) -> u64 {
        if self.order.is_some() { self.lane_offset } else { self.file_len() }
    }

    /// Bytes of the ring itself.
    pub(crate) fn ring_bytes(&self) -> u64 {
        self.capacity * self.stride
    }

    /// Whether a cursor may hold `position`.
    pub(crate) fn is_boundary(&self, position: u64) -> bool {
        match self.framing {
            // MPMC positions count slots.
            Framing::Variable if self.order.is_none() => position.is_multiple_of(self.align),
            _ => true,
        }
    }
}
