//! What was asked for, beside what the queue is: sizes are rounded, and an existing queue stays as it was made.

use super::kind::Engine;
use super::options::Options;
use super::schema::Schema;
use super::shared::Shared;
use crate::layout::Geometry;
use crate::shm::Notice;

/// An option about the shape of a new queue that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Capacity,
    Align,
    FixedLen,
    Links,
    Participants,
    AtMostOnce,
    MaxRedeliveries,
}

impl Asked {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Align => "align",
            Self::FixedLen => "fixed_len",
            Self::Links => "links",
            Self::Participants => "participants",
            Self::AtMostOnce => "delivery",
            Self::MaxRedeliveries => "max_redeliveries",
        }
    }
}

impl Shared {
    /// Notes which of the options had another effect than was asked for, or none.
    pub(crate) fn note_options<K: Engine>(&self, options: &Options, schema: &Schema) {
        let resolved = match schema.text.is_empty() {
            true => options.for_bytes::<K>(),
            false => options.for_type::<K>(schema),
        };
        // What describes no possible queue may still be said when an existing one is opened.
        let Ok(resolved) = resolved else { return };
        let (wanted, found) = (&resolved.geometry, self.geometry());
        for (option, asked) in options.asked() {
            let Some(asked) = asked else { continue };
            let (made, is) = (value(option, wanted), value(option, found));
            if made != is {
                self.note(Notice::Ignored { option: option.name(), asked, found: is });
            } else if asked != is {
                self.note(Notice::Rounded { option: option.name(), asked, made: is });
            }
        }
    }
}

/// What the option stands for in a queue of this geometry.
fn value(option: Asked, geometry: &Geometry) -> u64 {
    let order = geometry.order;
    match option {
        Asked::Capacity => geometry.ring_bytes(),
        Asked::Align => geometry.align,
        Asked::FixedLen => geometry.fixed_message().unwrap_or(0),
        Asked::Links => order.map_or(0, |order| order.links),
        Asked::Participants => order.map_or(0, |order| order.participants),
        Asked::AtMostOnce => order.map_or(0, |order| order.policy.at_most_once.into()),
        Asked::MaxRedeliveries => order.map_or(0, |order| order.policy.max_redeliveries),
    }
}
