//! Queues whose other processes are not trusted: nothing that they write, into any byte and at any time, is believed.
//!
//! Reading in place is sound only while everybody who can write the file keeps to the protocol, which is why opening a
//! queue otherwise is `unsafe`. The functions here are not. A message is copied out of the file first, then validated,
//! and lent from the copy, so that nobody can change what was validated. What is sent is put together in private memory,
//! and copied in.
//!
//! ```
//! use ringway::untrusted;
//! use rkyv::{Archive, Serialize};
//!
//! #[derive(Archive, Serialize, ringway::Message)]
//! struct Order { account: u64, symbol: String }
//!
//! # let dir = tempfile::tempdir()?;
//! # let name = dir.path().join("orders");
//! // In the process that trusts nobody. No `unsafe`.
//! let queue = untrusted::Queue::<Order>::create(&name)?;
//! let consumer = queue.consumer()?;
//! # let trusting = unsafe { ringway::spsc::Queue::<Order>::open(&name)? };
//! # trusting.producer()?.send(&Order { account: 7, symbol: "RWY".into() })?;
//! let order = consumer.recv()?; // copied, then validated
//! assert_eq!((order.account.to_native(), &*order.symbol), (7, "RWY"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds, whatever others write
//!
//! - No undefined behaviour and no panic. What cannot be is an error: `Corrupted`, `Invalid`, `TooLarge`. After `Invalid`
//!   and `TooLarge` the next call goes on behind that message; after `Corrupted` in an SPSC queue every call says the same.
//! - Every call ends, as soon as it would with peers that only send and receive, but for a delay while others write at full
//!   speed: `try_*` within a bounded number of steps, the others when there is a message or an error, or their time is up.
//! - Memory is bounded: a message by [`Limits::message`], of which there are as many copies as frames are held at once;
//!   the file, and with it what is mapped, by [`Limits::file`]. In steady traffic nothing is allocated.
//! - Archives nest no deeper than [`Limits::depth`], so that validating and reading them does not exhaust the stack.
//!
//! # What does not
//!
//! - *That messages come at all*, once, in order, or from anybody in particular: whoever can write the file can write
//!   any message, or none, or hold a lock for ever.
//! - *Being killed by SIGBUS.* Whoever can write a named file can truncate it, and filling the filesystem, or punching holes
//!   into the file, can have the same effect. It is not undefined behaviour, but the end of the process, unless it has a
//!   handler. Files that are sealed against shrinking (memfd) cannot be truncated.
//! - *Time for lists of nothing.* Elements that take no bytes, as in a `Vec<()>`, are validated one by one, up to 2^32
//!   of them. Do not receive such types from strangers.
//! - *Dead letters.* An untrusted consumer buries none: what came again too often is delivered again.
//!
//! # What it costs
//!
//! One copy of each message more than reading in place (`cargo bench --bench trust`).

pub use crate::queue::untrusted::{BytesConsumer, BytesFrame, BytesProducer, BytesQueue, Limits};
pub use crate::typed::untrusted::{Consumer, Frame, Producer, Queue};
