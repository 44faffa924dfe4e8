//! Queues with many producers and many consumers: one order, and every message to one of them.
//!
//! These are aliases of the types in [`kind`](crate::kind). [`spsc`](crate::spsc) has the same names.

use crate::aliases::aliases;
use crate::kind::Mpmc;

aliases!(Mpmc);

/// The same, with a checksum for each message: see [`Checksummed`](crate::kind::Checksummed).
pub mod checksummed {
    use crate::aliases::aliases;
    use crate::kind::{Checksummed, Mpmc};

    aliases!(Checksummed<Mpmc>);
}
