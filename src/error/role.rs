//! Producer or consumer.

use std::fmt;

use crate::layout::order::EntryRole;

/// The two roles of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A producer.
    Producer,
    /// A consumer.
    Consumer,
}

impl From<EntryRole> for Role {
    fn from(role: EntryRole) -> Self {
        match role {
            EntryRole::Producer => Self::Producer,
            EntryRole::Consumer => Self::Consumer,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        })
    }
}
