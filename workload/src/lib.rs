//! What ringway's benchmarks send and check, in one copy for `ringway bench`, the benches of the
//! library and `rivals`: the words of a message, the order of each producer's messages, and the sum
//! by which nothing can be lost or come twice unnoticed.
//!
//! This is part of those programs and no API for others.

#[cfg(feature = "interrupt")]
pub mod interrupt;
mod message;
mod tally;

pub use message::{Message, examine, fill, fill_bytes, make, words_of};
pub use tally::{Check, END, OutOfOrder, Tally, first_of, origin};
