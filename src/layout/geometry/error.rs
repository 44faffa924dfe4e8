//! Errors for requests that describe no queue.

use std::fmt;

use super::{MAX_CAPACITY, MAX_DESCRIPTION, MAX_SLOTS, MIN_PARTICIPANTS};
use crate::layout::LEAD;
use crate::layout::order::{MAX_PARTICIPANTS, MAX_REDELIVERIES};

/// Why no queue of the requested shape is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GeometryError {
    Align { align: u64 },
    CapacityTooLarge { capacity: u64, limit: u64 },
    FixedLen { len: u64 },
    Description { len: u64 },
    Slots { slots: u64 },
    Participants { participants: u64 },
    Producers { producers: u64, participants: u64 },
    Redeliveries { most: u64 },
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Align { align } => {
                write!(f, "the payload alignment is {align}; it must be a power of two from 1 to {LEAD}")
            }
            Self::CapacityTooLarge { capacity, limit } => {
                write!(f, "the capacity is {capacity} bytes; at most {limit} are possible")
            }
            Self::FixedLen { len } => {
                write!(f, "the fixed message length is {len} bytes; it must be from 1 to {MAX_CAPACITY}")
            }
            Self::Description { len } => write!(
                f,
                "the description of the message type takes {len} bytes, and a queue has room for {MAX_DESCRIPTION}; make \
                 it of fewer fields, or mark some `#[ringway(opaque = \"name\")]`"
            ),
            Self::Slots { slots } => {
                write!(f, "{slots} messages are asked for; at most {MAX_SLOTS} are possible")
            }
            Self::Participants { participants } => write!(
                f,
                "{participants} participants are asked for; it must be from {MIN_PARTICIPANTS} to {MAX_PARTICIPANTS}"
            ),
            Self::Producers { producers, participants } => write!(
                f,
                "{producers} producers are asked for, of {participants} participants; it must be at least 1, and less than the \
                 participants, so that there is room for a consumer"
            ),
            Self::Redeliveries { most } => write!(
                f,
                "dead letters after {most} redeliveries are asked for; redeliveries are counted up to {MAX_REDELIVERIES}, so it \
                 must be less"
            ),
        }
    }
}
