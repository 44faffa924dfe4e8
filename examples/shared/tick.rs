//! The message of the `ticks` examples. All programs that use a queue must agree on its type.

use ringway::Message;
use rkyv::{Archive, Serialize};

/// The best prices of a share at one moment.
#[derive(Archive, Serialize, Message)]
pub(crate) struct Tick {
    /// Counts from 0, so that the consumer notices if one is missing.
    pub(crate) sequence: u64,
    pub(crate) symbol: String,
    pub(crate) prices: Vec<f64>,
}
