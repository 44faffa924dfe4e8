//! What does not change: kind, boot, schema, geometry.

use ringway::Delivery;
use ringway::inspect::{Boot, FrameShape, Header, QueueKind, SchemaHeader, Survival};
use serde::Serialize;

use crate::text::{hex, uuid};

/// The boot of the machine in which the queue was last used.
#[derive(Serialize)]
pub(super) struct BootJson {
    id: Option<String>,
    /// `in_memory`, `unused`, `in_use`, `sealed`, `proven`, `unproven`, `unknown`.
    survival: &'static str,
    /// Messages that were dropped after a power loss.
    dropped: u64,
}

impl BootJson {
    pub(super) fn new(boot: &Boot) -> Self {
        let survival = match boot.survival {
            Survival::InMemory => "in_memory",
            Survival::Unused => "unused",
            Survival::InUse => "in_use",
            Survival::Sealed => "sealed",
            Survival::Proven => "proven",
            Survival::Unproven => "unproven",
            _ => "unknown",
        };
        Self { id: boot.id.map(uuid), survival, dropped: boot.dropped }
    }
}

#[derive(Serialize)]
pub(crate) struct Schema {
    name: String,
    size: u64,
    align: u64,
    format: u64,
    fingerprint: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Geometry {
    framing: &'static str,
    message_bytes: Option<u64>,
    max_message: u64,
    align: u64,
    ring_bytes: u64,
    max_messages: Option<u64>,
    max_participants: Option<u64>,
    delivery: Option<&'static str>,
    max_redeliveries: Option<u32>,
    max_producers: Option<u64>,
    gating: Option<bool>,
}

pub(crate) fn kind(kind: QueueKind) -> &'static str {
    match kind {
        QueueKind::Spsc => "spsc",
        QueueKind::Mpmc => "mpmc",
        QueueKind::Broadcast => "broadcast",
    }
}

impl Schema {
    pub(crate) fn new(schema: &SchemaHeader) -> Self {
        Self {
            name: schema.name.clone(),
            size: schema.size,
            align: schema.align,
            format: schema.format,
            fingerprint: schema.fingerprint.map(|bytes| hex(&bytes)),
        }
    }
}

impl Geometry {
    pub(super) fn new(header: &Header) -> Self {
        let (framing, message_bytes) = match header.shape {
            FrameShape::Variable => ("variable", None),
            FrameShape::Fixed(len) => ("fixed", Some(len)),
        };
        let broadcast = header.order.and_then(|order| order.broadcast);
        Self {
            framing,
            message_bytes,
            max_message: header.max_message,
            align: header.align,
            ring_bytes: header.ring_bytes,
            max_messages: header.order.map(|order| order.max_messages),
            max_participants: header.order.map(|order| order.max_participants),
            delivery: header.order.filter(|order| order.broadcast.is_none()).map(|order| {
                match order.delivery {
                    Delivery::AtLeastOnce => "at-least-once",
                    Delivery::AtMostOnce => "at-most-once",
                }
            }),
            max_redeliveries: header.order.and_then(|order| order.max_redeliveries),
            max_producers: broadcast.map(|broadcast| broadcast.max_producers),
            gating: broadcast.map(|broadcast| broadcast.gating),
        }
    }
}
