//! Frames in flight that keep a producer of the same process waiting.

use std::fmt;

/// Frames that consumers of the same handle hold, found when a producer's wait for room ended:
/// while they are in flight, their room is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldHere {
    /// How many; none if that is not known without reading the lane (SPSC, messages of any size).
    pub messages: Option<u64>,
    /// The position of the oldest one.
    pub oldest: u64,
}

impl fmt::Display for HeldHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("consumers of this process hold ")?;
        match self.messages {
            Some(1) => f.write_str("1 message")?,
            Some(messages) => write!(f, "{messages} messages")?,
            None => f.write_str("messages")?,
        }
        write!(f, " in flight, the oldest at position {}: drop their guards to release room", self.oldest)
    }
}
