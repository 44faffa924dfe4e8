//! The messages that ringway's benchmarks send, and the checks of them, in one copy for
//! `ringway bench`, the benches of the library and `rivals`: the words of a message, the order of
//! each producer's messages, and the sum that detects lost and duplicate messages.
//!
//! This crate is part of those programs and no API for others.

#[cfg(test)]
use ringway_bound as _;

#[cfg(feature = "interrupt")]
pub mod interrupt;
mod message;
mod tally;

pub use message::{Message, examine, fill, fill_bytes, make, words_of};
pub use tally::{Check, END, OutOfOrder, Tally, first_of, origin};
