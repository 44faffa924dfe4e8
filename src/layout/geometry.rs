//! Sizes and section offsets of a queue file, computed once and checked whenever they are read from
//! a file.

mod error;

pub(crate) use error::GeometryError;

use super::commit::WORD;
use super::order::{MAX_PARTICIPANTS, MAX_REDELIVERIES, PackedFrameRef};
use super::words::{OriginWords, RegistryEntry, Slot};
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
    fn new(slots: u64, participants: u64, description_len: u64, policy: Policy) -> Self {
        let slots_offset = (registry_end(participants) + description_len).next_multiple_of(PAGE);
        Self { slots, max_messages: slots, participants, slots_offset, policy }
    }

    fn check(&self, description_len: u64) -> Result<(), (&'static str, u64)> {
        if !self.slots.is_power_of_two() || !(MIN_SLOTS..=MAX_SLOTS).contains(&self.slots) {
            return Err(("number of slots", self.slots));
        }
        if !(1..=self.slots).contains(&self.max_messages) {
            return Err(("maximum messages", self.max_messages));
        }
        if !(MIN_PARTICIPANTS..=MAX_PARTICIPANTS).contains(&self.participants) {
            return Err(("number of participants", self.participants));
        }
        if self.policy.max_redeliveries >= MAX_REDELIVERIES {
            return Err(("most redeliveries", self.policy.max_redeliveries));
        }
        let expected = Self::new(self.slots, self.participants, description_len, self.policy).slots_offset;
        if self.slots_offset == expected { Ok(()) } else { Err(("slots offset", self.slots_offset)) }
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

    fn extras_end(&self) -> u64 {
        let origins = self.origins() * size_of::<OriginWords>() as u64;
        self.extras_offset() + origins + self.holders() * size_of::<u64>() as u64
    }
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
        let OrderRequest { slots, participants, policy } = request;
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
        let order = Order { max_messages, ..Order::new(slots, participants, description_len, policy) };
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
        let Some(Order { slots, participants, .. }) = self.order else { return *self };
        let participants = (participants + LETTER_READERS).min(MAX_PARTICIPANTS);
        let policy = Policy { at_most_once: false, max_redeliveries: 0, is_dead_letter_queue: true };
        let order = Order::new(slots, participants, self.description_len, policy);
        Self::mpmc_with(self.framing, self.align, self.capacity, self.description_len, order)
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
        self.lane_offset + self.lane_len * self.order.map_or(1, |order| order.participants)
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

    /// Checks that every field is one that [`Geometry::new`] could have computed; otherwise returns
    /// the first field that is not, and its value. For geometries read from files.
    pub(crate) fn check(&self) -> Result<(), (&'static str, u64)> {
        if !self.align.is_power_of_two() || self.align > LEAD as u64 {
            return Err(("payload alignment", self.align));
        }
        if self.description_len > MAX_DESCRIPTION {
            return Err(("description length", self.description_len));
        }
        if self.max_payload < self.trailer {
            return Err(("largest payload", self.max_payload));
        }
        let expected = match (self.order, self.framing) {
            (Some(order), _) => {
                self.check_mpmc(&order)?;
                Self::mpmc_with(self.framing, self.align, self.capacity, self.description_len, order)
            }
            (None, Framing::Variable) => {
                self.check_variable()?;
                Self::with(self.framing, self.align, self.capacity, self.stride, self.description_len)
            }
            (None, Framing::Fixed { len }) => {
                self.check_fixed(len)?;
                Self::with(self.framing, self.align, self.capacity, self.stride, self.description_len)
            }
        };
        for (field, found, expected) in [
            ("largest payload", self.max_payload, expected.max_payload),
            ("lane offset", self.lane_offset, expected.lane_offset),
            ("lane length", self.lane_len, expected.lane_len),
        ] {
            if found != expected {
                return Err((field, found));
            }
        }
        Ok(())
    }

    fn check_mpmc(&self, order: &Order) -> Result<(), (&'static str, u64)> {
        order.check(self.description_len)?;
        let fixed_len = match self.framing {
            Framing::Variable => 0,
            Framing::Fixed { len } if (1..=MAX_CAPACITY / 4).contains(&len) => len,
            Framing::Fixed { len } => return Err(("fixed message length", len)),
        };
        let least = (2 * (fixed_len + 2 * self.align)).max(PAGE);
        if !self.capacity.is_power_of_two() || !(least..=PackedFrameRef::MAX_LANE).contains(&self.capacity) {
            return Err(("lane capacity", self.capacity));
        }
        if self.align < PackedFrameRef::UNIT {
            return Err(("payload alignment", self.align));
        }
        if self.stride != 1 {
            return Err(("stride", self.stride));
        }
        Ok(())
    }

    fn check_variable(&self) -> Result<(), (&'static str, u64)> {
        if self.align < WORD {
            return Err(("payload alignment", self.align));
        }
        let smallest = MIN_CAPACITY.max(MIN_GRANULES * self.align);
        if !self.capacity.is_power_of_two() || !(smallest..=MAX_CAPACITY).contains(&self.capacity) {
            return Err(("ring capacity", self.capacity));
        }
        if self.stride != 1 {
            return Err(("stride", self.stride));
        }
        Ok(())
    }

    fn check_fixed(&self, len: u64) -> Result<(), (&'static str, u64)> {
        if len == 0 || len > MAX_CAPACITY {
            return Err(("fixed message length", len));
        }
        if self.stride != len.next_multiple_of(self.align) {
            return Err(("stride", self.stride));
        }
        let bytes = self.capacity.checked_mul(self.stride);
        if self.capacity < 2 || bytes.is_none_or(|bytes| bytes > MAX_CAPACITY.max(2 * self.stride)) {
            return Err(("ring capacity", self.capacity));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometries_that_are_made_are_accepted() {
        for align in [1, 2, 8, 16, 128] {
            for capacity in [0, 1, 1000, 4096, 100_000, 1 << 20, MAX_CAPACITY] {
                for framing in [
                    Framing::Variable,
                    Framing::Fixed { len: 1 },
                    Framing::Fixed { len: 24 },
                    Framing::Fixed { len: 1 << 21 },
                ] {
                    let description_len = 2000 + 3000 * (capacity % 2);
                    let request = GeometryRequest { framing, capacity, align, description_len, order: None };
                    let geometry = Geometry::new(request).unwrap();
                    assert!(geometry.description_offset() + description_len <= geometry.lane_offset);
                    assert_eq!(geometry.check(), Ok(()), "{geometry:?}");
                    assert!(
                        geometry.ring_bytes() >= capacity.min(capacity / geometry.stride * geometry.stride)
                    );
                    assert!(geometry.lane_len >= LEAD as u64 + geometry.ring_bytes());
                }
            }
        }
    }

    #[test]
    fn the_largest_frame_fits_an_empty_ring_at_every_index() {
        for (capacity, align) in [(0, 8), (0, 128), (1024, 16), (1 << 20, 64)] {
            let request = GeometryRequest {
                framing: Framing::Variable,
                capacity,
                align,
                description_len: 0,
                order: None,
            };
            let geometry = Geometry::new(request).unwrap();
            assert!(geometry.max_payload > 0);
            let size = (geometry.max_payload + WORD).next_multiple_of(geometry.align);
            for index in (0..geometry.capacity).step_by(align as usize) {
                let padding = if index + size > geometry.capacity { geometry.capacity - index } else { 0 };
                assert!(padding + size + geometry.align <= geometry.capacity, "index {index}");
            }
        }
    }

    #[test]
    fn invalid_requests_are_refused() {
        let with = |framing, capacity, align| {
            Geometry::new(GeometryRequest { framing, capacity, align, description_len: 0, order: None })
        };
        assert!(matches!(with(Framing::Variable, 4096, 3), Err(GeometryError::Align { align: 3 })));
        assert!(matches!(with(Framing::Variable, 4096, 256), Err(GeometryError::Align { align: 256 })));
        assert!(matches!(with(Framing::Variable, u64::MAX, 8), Err(GeometryError::CapacityTooLarge { .. })));
        assert!(matches!(with(Framing::Fixed { len: 0 }, 4096, 8), Err(GeometryError::FixedLen { len: 0 })));
        assert!(matches!(
            with(Framing::Fixed { len: u64::MAX }, 4096, 8),
            Err(GeometryError::FixedLen { .. })
        ));
    }
}
