//! The consumer that producers of a broadcast queue wait for.

use std::fmt;

/// A consumer of a broadcast queue that is alive, and whose position keeps a producer from sending.
///
/// It is named as it recorded itself: its pid is meaningful in its own pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holdup {
    /// Number of its registry entry.
    pub entry: usize,
    /// The pid of its process. Diagnostic only.
    pub pid: u32,
    /// The oldest position that is kept for it.
    pub position: u64,
    /// How many positions have been sent from there on.
    pub kept: u64,
}

impl fmt::Display for Holdup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, position, kept, .. } = self;
        write!(
            f,
            "process {pid} holds it up: its consumer keeps {kept} messages, from position {position} on; continue \
             it, stop it, or let it subscribe with `Subscribe::lossy()`"
        )
    }
}
