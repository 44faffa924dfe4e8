//! Queues with one producer and one consumer.
//!
//! These are aliases of the types in [`kind`](crate::kind). [`mpmc`](crate::mpmc) has the same names.

use crate::aliases::aliases;
use crate::kind::Spsc;

aliases!(Spsc);

/// The same, with a checksum for each message: see [`Checksummed`](crate::kind::Checksummed).
pub mod checksummed {
    use crate::aliases::aliases;
    use crate::kind::{Checksummed, Spsc};

    aliases!(Checksummed<Spsc>);
}
