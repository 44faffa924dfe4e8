//! From the options of a new queue to its geometry.

use super::asked::{Asked, lacks_room};
use super::create_options::{CreateOptions, Delivery, Framing};
use super::handle_options::HandleOptions;
use crate::error::CreateError;
use crate::layout::order::position_limit;
use crate::layout::{
    self, Broadcast, Geometry, GeometryRequest, KIND_BROADCAST, KIND_MPMC, KIND_SPSC, OrderRequest,
    POSITION_LIMIT, Policy,
};
use crate::queue::Schema;
use crate::queue::kind::Engine;

/// Default number of ring bytes. Measured on cores with 1 and 2 MiB of L2: 64-byte messages are as
/// fast from 256 KiB up, larger ones need 1 MiB, and a ring much larger than the L2 is slower again
/// where the L3 is far.
const DEFAULT_CAPACITY: usize = 1 << 20;
/// Default number of bytes of an MPMC lane.
const DEFAULT_LANE: usize = 1 << 19;
/// Default number of slots of an MPMC queue: as many as a lane holds messages of 64 bytes.
const DEFAULT_SLOTS: u64 = 1 << 13;
/// Default number of participants of an MPMC queue.
const DEFAULT_PARTICIPANTS: u64 = 64;
/// Default maximum of producers of a broadcast queue.
const DEFAULT_PRODUCERS: u64 = 8;
/// Default alignment of MPMC frames. Each frame has its own cache lines: writing the next frame
/// does not disturb the reading of this one.
const DEFAULT_MPMC_ALIGN: usize = 64;

/// Default alignment of byte messages: that of the commit word before them.
const DEFAULT_ALIGN: usize = 8;

/// Options combined with the needs of the message type.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedOptions {
    pub(crate) geometry: Geometry,
    pub(crate) start_position: u64,
    pub(crate) uuid: Option<[u8; 16]>,
    pub(crate) handle_options: HandleOptions,
}

impl CreateOptions {
    /// The options of the shape, each with its value if one was set. `wanted` is the geometry that
    /// follows from these options and the type.
    pub(in crate::queue) fn asked(&self, wanted: &Geometry) -> [(Asked, Option<u64>); 9] {
        let number = |option: Option<usize>| option.map(|number| number as u64);
        let message_len = match self.framing {
            Framing::Fixed(len) => Some(len as u64),
            Framing::Variable => Some(0),
            Framing::FixedByType => wanted.fixed_message(),
            Framing::Auto => None,
        };
        [
            (Asked::RingBytes, number(self.ring_bytes)),
            (Asked::Align, number(self.align)),
            (Asked::Framing, message_len),
            (Asked::MaxMessages, number(self.max_messages)),
            (Asked::MaxParticipants, number(self.max_participants)),
            (Asked::AtMostOnce, self.delivery.map(|delivery| (delivery == Delivery::AtMostOnce).into())),
            (Asked::MaxRedeliveries, self.max_redeliveries.map(u64::from)),
            (Asked::MaxProducers, number(self.max_producers)),
            (Asked::Gating, self.gating.map(u64::from)),
        ]
    }

    /// Options for messages without a type.
    pub(crate) fn for_bytes<K: Engine>(&self) -> Result<ResolvedOptions, CreateError> {
        let kind = K::NUMBER;
        let default = if kind == KIND_SPSC { DEFAULT_ALIGN } else { DEFAULT_MPMC_ALIGN };
        let schema = Schema::bytes();
        match self.framing {
            Framing::Auto | Framing::Variable => {
                self.resolve::<K>(layout::Framing::Variable, self.align.unwrap_or(default), &schema)
            }
            // A length need not be a multiple of the default alignment: then the messages have a
            // smaller alignment.
            Framing::Fixed(len) if kind == KIND_SPSC => {
                let natural = 1 << len.trailing_zeros().min(3);
                self.resolve::<K>(layout::Framing::Fixed { len: len as u64 }, self.align.unwrap_or(natural), &schema)
            }
            Framing::Fixed(len) => {
                self.resolve::<K>(layout::Framing::Fixed { len: len as u64 }, self.align.unwrap_or(default), &schema)
            }
            Framing::FixedByType => {
                bad("`Framing::FixedByType` is for typed queues; use `Framing::Fixed(bytes)` for a queue of bytes".into())
            }
        }
    }

    /// Options for an archived type.
    pub(crate) fn for_type<K: Engine>(&self, schema: &Schema) -> Result<ResolvedOptions, CreateError> {
        let kind = K::NUMBER;
        let default = if kind == KIND_SPSC { 1 } else { DEFAULT_MPMC_ALIGN };
        let (size, align) = (schema.size, schema.align as usize);
        match self.framing {
            Framing::FixedByType if size == 0 => {
                bad("`Framing::FixedByType` needs a type whose archive has bytes, and this one's has none"
                    .into())
            }
            Framing::FixedByType if !schema.is_inline => bad(format!(
                "`Framing::FixedByType` needs a type without out-of-line data, and `{}` has some (a `String`, `Vec` or `Box`)",
                schema.name
            )),
            Framing::Auto | Framing::FixedByType if schema.is_inline && size != 0 => {
                let align = self.align.unwrap_or(default).max(align);
                self.resolve::<K>(layout::Framing::Fixed { len: size }, align, schema)
            }
            Framing::Auto | Framing::Variable | Framing::FixedByType => {
                // Out-of-line data may need more than the root; beyond this the serialiser pads.
                let align = self.align.unwrap_or(default).max(align).max(16);
                self.resolve::<K>(layout::Framing::Variable, align, schema)
            }
            Framing::Fixed(_) => {
                bad("`Framing::Fixed` is for queues of bytes; use `Framing::FixedByType` for a typed queue"
                    .into())
            }
        }
    }

    /// Options for a type that is known by its description: whether its archives have out-of-line
    /// data is for the caller to say, by the framing.
    pub(crate) fn for_described<K: Engine>(
        &self,
        schema: &Schema,
        align: usize,
    ) -> Result<ResolvedOptions, CreateError> {
        if !schema.format.is_some() {
            return bad("the description is that of bytes; create a queue of bytes".into());
        }
        let is_inline = match self.framing {
            Framing::FixedByType => true,
            Framing::Fixed(len) if len as u64 == schema.size => true,
            Framing::Fixed(len) => {
                let Schema { name, size, .. } = schema;
                return bad(format!(
                    "`Framing::Fixed({len})` is not the size of a `{name}`, which has {size} bytes"
                ));
            }
            Framing::Auto | Framing::Variable => false,
        };
        let default = if K::NUMBER == KIND_SPSC { 1 } else { DEFAULT_MPMC_ALIGN };
        let align = self.align.unwrap_or(default).max(if is_inline { 1 } else { align });
        let framing = if is_inline { Framing::FixedByType } else { Framing::Variable };
        let same = Self { framing, align: Some(align), ..self.clone() };
        same.for_type::<K>(&Schema { is_inline, ..schema.clone() })
    }

    /// Refuses what only `open_or_create_with` can do.
    pub(crate) fn check_creates_only(&self) -> Result<(), CreateError> {
        if self.handle_options.replace_closed {
            return bad(
                "`replace_closed` is for `open_or_create_with`: creating never replaces a file; leave it out"
                    .into(),
            );
        }
        Ok(())
    }

    fn resolve<K: Engine>(
        &self,
        framing: layout::Framing,
        align: usize,
        schema: &Schema,
    ) -> Result<ResolvedOptions, CreateError> {
        let order = self.order(K::NUMBER)?;
        if K::TRAILER != 0 && order.is_some_and(|order| order.policy.max_redeliveries != 0) {
            return bad(
                "`max_redeliveries` is not there for queues with checksums: a dead letter would need another one; leave it \
                 out, or use a queue without checksums"
                    .into(),
            );
        }
        let framing = match framing {
            layout::Framing::Variable => layout::Framing::Variable,
            layout::Framing::Fixed { len } => layout::Framing::Fixed { len: len.saturating_add(K::TRAILER) },
        };
        let default = if order.is_some() { DEFAULT_LANE } else { DEFAULT_CAPACITY };
        let capacity = self.ring_bytes.unwrap_or(default) as u64;
        let description_len = schema.text.len() as u64;
        let request = GeometryRequest { framing, capacity, align: align as u64, description_len, order };
        let geometry = match Geometry::new(request) {
            Ok(geometry) if geometry.max_payload <= K::TRAILER => {
                return bad(format!("a ring of {capacity} bytes has no room for a message and its checksum"));
            }
            Ok(geometry) => Geometry { trailer: K::TRAILER, ..geometry },
            Err(error) => return bad(error.to_string()),
        };
        if let Some(reason) = lacks_room(&geometry, schema) {
            return bad(reason);
        }
        let limit =
            geometry.order.map_or(POSITION_LIMIT, |order| position_limit(order.slots.trailing_zeros()));
        if !geometry.is_boundary(self.start_position) || self.start_position > limit {
            return bad(format!(
                "the start position {} is no frame boundary, or beyond the limit",
                self.start_position
            ));
        }
        Ok(ResolvedOptions {
            geometry,
            start_position: self.start_position,
            uuid: self.uuid,
            handle_options: self.handle_options,
        })
    }

    /// Refuses options that only other kinds have.
    fn check_kind(&self, kind: u32) -> Result<(), CreateError> {
        const MANY: &[u32] = &[KIND_MPMC, KIND_BROADCAST];
        let options: [(&str, bool, &[u32], &str); 6] = [
            ("max_messages", self.max_messages.is_some(), MANY, "MPMC and broadcast"),
            ("max_participants", self.max_participants.is_some(), MANY, "MPMC and broadcast"),
            ("delivery", self.delivery.is_some(), &[KIND_MPMC], "MPMC"),
            ("max_redeliveries", self.max_redeliveries.is_some(), &[KIND_MPMC], "MPMC"),
            ("max_producers", self.max_producers.is_some(), &[KIND_BROADCAST], "broadcast"),
            ("gating", self.gating.is_some(), &[KIND_BROADCAST], "broadcast"),
        ];
        let is_wrong =
            |(_, is_given, kinds, _): &(&str, bool, &[u32], &str)| *is_given && !kinds.contains(&kind);
        let Some((option, _, _, those)) = options.into_iter().find(is_wrong) else { return Ok(()) };
        let this = match kind {
            KIND_SPSC => "an SPSC queue",
            KIND_MPMC => "an MPMC queue",
            _ => "a broadcast queue",
        };
        bad(format!("`{option}` is for {those} queues, and this is {this}; leave it out"))
    }

    /// The options that an SPSC queue does not have.
    fn order(&self, kind: u32) -> Result<Option<OrderRequest>, CreateError> {
        self.check_kind(kind)?;
        if kind == KIND_SPSC {
            return Ok(None);
        }
        let participants =
            self.max_participants.map_or(DEFAULT_PARTICIPANTS, |participants| participants as u64);
        // Some are left for consumers.
        let default_producers = DEFAULT_PRODUCERS.min(participants.saturating_sub(1)).max(1);
        let broadcast = (kind == KIND_BROADCAST).then(|| Broadcast {
            producers: self.max_producers.map_or(default_producers, |producers| producers as u64),
            admits_gates: self.gating.unwrap_or(true),
        });
        if self.max_redeliveries == Some(0) {
            return bad(
                "`max_redeliveries` is 0; it must be at least 1 (use `Delivery::AtMostOnce` for messages \
                        that never come again)"
                    .into(),
            );
        }
        if self.max_redeliveries.is_some() && self.delivery == Some(Delivery::AtMostOnce) {
            return bad(
                "`max_redeliveries` contradicts `Delivery::AtMostOnce`: a message that is delivered at most once is never \
                 redelivered, and so never becomes a dead letter; leave one of the two out"
                    .into(),
            );
        }
        Ok(Some(OrderRequest {
            slots: self.max_messages.map_or(DEFAULT_SLOTS, |max_messages| max_messages as u64),
            participants,
            policy: Policy {
                at_most_once: self.delivery == Some(Delivery::AtMostOnce),
                max_redeliveries: self.max_redeliveries.unwrap_or(0).into(),
                is_dead_letter_queue: false,
            },
            broadcast,
        }))
    }
}

fn bad<T>(reason: String) -> Result<T, CreateError> {
    Err(CreateError::InvalidOptions { reason })
}
