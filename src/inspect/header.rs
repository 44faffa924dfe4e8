//! What was fixed when a queue was created, in a form for humans and tools.

use std::time::{Duration, SystemTime};

use crate::layout::{Geometry, Order, Preamble};
use crate::queue::Delivery;

/// Who may send and receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// One producer, one consumer.
    Spsc,
    /// Many of both; each message goes to one consumer.
    Mpmc,
    /// Many of both; each message goes to every consumer.
    Broadcast,
}

/// What its messages are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameShape {
    /// Messages of any size.
    Variable,
    /// All messages have this length in bytes.
    Fixed(u64),
}

/// What was fixed when the queue was created.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Header {
    /// Who may send and receive.
    pub kind: QueueKind,
    /// What its messages are like.
    pub shape: FrameShape,
    /// Version of the file's format.
    pub version: u32,
    /// Feature bits that a reader may ignore.
    pub compat: u64,
    /// Feature bits that a reader must know.
    pub incompat: u64,
    /// Unique identifier of the queue.
    pub uuid: [u8; 16],
    /// When it was created, by its creator's clock; `None` if that was not recorded.
    pub created: Option<SystemTime>,
    /// Whether each message has a checksum ([`Checksummed`](crate::kind::Checksummed)).
    pub has_checksums: bool,
    /// Ring bytes; MPMC and broadcast: of each producer's lane.
    pub ring_bytes: u64,
    /// Alignment of messages in bytes.
    pub align: u64,
    /// Bytes of the largest message.
    pub max_message: u64,
    /// Bytes of the whole file.
    pub file_bytes: u64,
    /// MPMC and broadcast only.
    pub order: Option<OrderHeader>,
    /// What its messages are.
    pub schema: SchemaHeader,
}

/// The properties that only MPMC and broadcast queues have.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OrderHeader {
    /// The maximum number of messages in the queue.
    pub max_messages: u64,
    /// The maximum number of attached producers and consumers, together.
    pub max_participants: u64,
    /// Whether a message is redelivered when its consumer dies.
    pub delivery: Delivery,
    /// A message that was redelivered this many times is dead-lettered instead of redelivered
    /// again; `None`: never.
    pub max_redeliveries: Option<u32>,
    /// Broadcast only.
    pub broadcast: Option<BroadcastHeader>,
}

/// The properties that only a broadcast queue has.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BroadcastHeader {
    /// The maximum number of attached producers.
    pub max_producers: u64,
    /// Whether it admits consumers that producers wait for.
    pub gating: bool,
}

/// The schema of the messages, as the header records it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SchemaHeader {
    /// Name of the type; `bytes` for messages without one.
    pub name: String,
    /// Bytes of the archived type; 0 for messages without one.
    pub size: u64,
    /// Its alignment; 0 for messages without one.
    pub align: u64,
    /// rkyv's format: bit 0 present, bit 1 big-endian, bit 2 unaligned, from bit 8 on bytes of a pointer.
    pub format: u64,
    /// Structural fingerprint of the type, if one was recorded.
    pub fingerprint: Option<[u8; 32]>,
}

impl Header {
    pub(super) fn new(preamble: &Preamble, geometry: &Geometry) -> Self {
        Self {
            kind: match geometry.order {
                None => QueueKind::Spsc,
                Some(Order { broadcast: None, .. }) => QueueKind::Mpmc,
                Some(Order { broadcast: Some(_), .. }) => QueueKind::Broadcast,
            },
            shape: geometry.fixed_message().map_or(FrameShape::Variable, FrameShape::Fixed),
            version: preamble.version,
            compat: preamble.compat,
            incompat: preamble.incompat,
            uuid: preamble.uuid,
            created: time(preamble.created_ns),
            has_checksums: geometry.trailer != 0,
            ring_bytes: geometry.ring_bytes(),
            align: geometry.align,
            max_message: geometry.max_message(),
            file_bytes: geometry.file_len(),
            order: geometry.order.map(|order| OrderHeader {
                max_messages: order.max_messages,
                max_participants: order.participants,
                delivery: match order.policy.at_most_once {
                    true => Delivery::AtMostOnce,
                    false => Delivery::AtLeastOnce,
                },
                max_redeliveries: match order.policy.max_redeliveries {
                    0 => None,
                    // The geometry's check keeps it small.
                    most => Some(most as u32),
                },
                broadcast: order.broadcast.map(|broadcast| BroadcastHeader {
                    max_producers: broadcast.producers,
                    gating: broadcast.admits_gates,
                }),
            }),
            schema: SchemaHeader {
                name: preamble.schema_name().to_owned(),
                size: preamble.type_size,
                align: preamble.type_align,
                format: preamble.rkyv_format,
                fingerprint: (preamble.fingerprint != [0; 32]).then_some(preamble.fingerprint),
            },
        }
    }
}

/// Converts a time in the file; 0 means none.
pub(super) fn time(ns: u64) -> Option<SystemTime> {
    if ns == 0 { None } else { SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(ns)) }
}
