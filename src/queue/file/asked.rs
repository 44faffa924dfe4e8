//! Options that differ from what the queue has: sizes are rounded, and an existing queue keeps its
//! options.

use super::create_options::CreateOptions;
use super::options::ResolvedOptions;
use super::schema::Schema;
use super::shared::Shared;
use crate::layout::{Framing, Geometry};
use crate::shm::Warning;

/// A numeric option about the shape of a new queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queue) enum Asked {
    RingBytes,
    Align,
    Framing,
    MaxMessages,
    MaxParticipants,
    AtMostOnce,
    MaxRedeliveries,
    MaxProducers,
    Gating,
}

impl Asked {
    pub(in crate::queue) fn name(self) -> &'static str {
        match self {
            Self::RingBytes => "ring_bytes",
            Self::Align => "align",
            Self::Framing => "framing",
            Self::MaxMessages => "max_messages",
            Self::MaxParticipants => "max_participants",
            Self::AtMostOnce => "delivery",
            Self::MaxRedeliveries => "max_redeliveries",
            Self::MaxProducers => "max_producers",
            Self::Gating => "gating",
        }
    }
}

impl Shared {
    /// Adds a warning for each option that had another effect than requested, or none.
    pub(crate) fn note_options(&self, options: &CreateOptions, resolved: &ResolvedOptions) {
        let (wanted, found) = (&resolved.geometry, self.geometry());
        for (option, asked) in options.asked(wanted) {
            let Some(asked) = asked else { continue };
            let (made, is) = (value(option, wanted), value(option, found));
            if made != is {
                self.note(Warning::Ignored { option: option.name(), asked, found: is });
            } else if asked != is {
                self.note(Warning::Rounded { option: option.name(), asked, made: is });
            }
        }
    }
}

/// The value of the option in a queue of this geometry.
fn value(option: Asked, geometry: &Geometry) -> u64 {
    let order = geometry.order;
    match option {
        Asked::RingBytes => geometry.ring_bytes(),
        Asked::Align => geometry.align,
        Asked::Framing => geometry.fixed_message().unwrap_or(0),
        Asked::MaxMessages => order.map_or(0, |order| order.max_messages),
        Asked::MaxParticipants => order.map_or(0, |order| order.participants),
        Asked::AtMostOnce => order.map_or(0, |order| order.policy.at_most_once.into()),
        Asked::MaxRedeliveries => order.map_or(0, |order| order.policy.max_redeliveries),
        Asked::MaxProducers => geometry.broadcast().map_or(0, |broadcast| broadcast.producers),
        Asked::Gating => geometry.broadcast().map_or(0, |broadcast| broadcast.admits_gates.into()),
    }
}

/// Bytes of every message, or 0 if each has its own.
fn fixed_len(geometry: &Geometry) -> u64 {
    match geometry.framing {
        Framing::Variable => 0,
        Framing::Fixed { len } => len,
    }
}

/// Why no message of the type ever fits; none if one does.
pub(in crate::queue) fn lacks_room(geometry: &Geometry, schema: &Schema) -> Option<String> {
    // An archive is no shorter than its root.
    let least = fixed_len(geometry).max(schema.size);
    let about = match schema.text.is_empty() {
        true => format!("messages have {least} bytes"),
        false => format!("a message of type `{}` takes {least} bytes at least", schema.name),
    };
    let (ring, most) = (geometry.ring_bytes(), geometry.max_payload);
    // The size may be that of a description from elsewhere: any number.
    let enough = least.saturating_add(geometry.align + 8).saturating_mul(2);
    (most < least).then(|| {
        format!(
            "{about}, and in a ring of {ring} bytes a message has at most {most}; ask for `ring_bytes` of {enough} or more"
        )
    })
}
