//! A lock-free message queue between processes: a ring buffer in a mapped file. Producers write
//! [rkyv](https://docs.rs/rkyv) archives into the file, consumers read them **in place**. A participant killed with
//! `kill -9` at any instruction costs nobody else anything.
//!
//! # In two processes
//!
//! ```no_run
//! use ringway::Message;
//! use ringway::spsc::Queue;
//! use rkyv::{Archive, Serialize};
//!
//! #[derive(Archive, Serialize, Message)]
//! struct Tick {
//!     symbol: String,
//!     prices: Vec<f64>,
//! }
//!
//! # fn producer() -> Result<(), Box<dyn std::error::Error>> {
//! // The one process. A bare name lives in /dev/shm.
//! // SAFETY: only programs that use ringway can write to the file.
//! let queue = unsafe { Queue::<Tick>::open_or_create("ticks")? };
//! let mut producer = queue.producer()?;
//! producer.send(&Tick { symbol: "RWY".into(), prices: vec![1.5, 2.5] })?;
//! # Ok(()) }
//!
//! # fn consumer() -> Result<(), Box<dyn std::error::Error>> {
//! // The other process.
//! // SAFETY: as above.
//! let queue = unsafe { Queue::<Tick>::open_or_create("ticks")? };
//! let consumer = queue.consumer()?;
//! let tick = consumer.recv()?; // a guard over the archive in the file
//! println!("{}: {:?}", tick.symbol, tick.prices.last());
//! drop(tick); // gives the room back; until then nobody overwrites it
//! # Ok(()) }
//! ```
//!
//! Data that is no rkyv archive goes through a [`spsc::BytesQueue`], which can also lend a frame to be written in place
//! ([`claim`](spsc::BytesProducer::claim)).
//!
//! # What to know
//!
//! In short; the [`guide`] has a chapter for each task, and tables for those who come from another queue.
//!
//! - **Kinds.** [`spsc`]: one producer and one consumer, each a handle that can be moved to the thread that uses it. A
//!   second one of a role is refused while the first is alive. [`mpmc`]: many of both, one order for all messages, each
//!   to one consumer. The same API: switch by that one word. The types at the root are written for every [`Kind`]; the
//!   modules name them for their own.
//! - **Types.** `#[derive(Message)]` beside rkyv's derives. A queue's file says what its messages look like; a program with
//!   another type, another version of it or other settings of rkyv is refused when it opens the queue, and told in which
//!   field they differ: see [`schema`].
//! - **Sizes.** Messages of any size, up to half of the ring; or of one size only, which is faster for small ones: types
//!   without out-of-line data (no `String`, `Vec` or `Box`), and bytes if [`Options::fixed_len`] says so. The default ring of 1 MiB suits most machines'
//!   caches; much more is not faster, unless the consumer pauses for long.
//! - **Guards.** Frames are released when they are dropped, in any order; room comes back up to the oldest one held (MPMC:
//!   up to each producer's oldest one, and frames may go to other threads). A frame that is dropped by a panic, or
//!   [rejected](spsc::Frame::reject), comes again; MPMC: [`Options::max_redeliveries`] times at most, if that is said,
//!   and is then found among the [dead letters](BytesQueue::dead_letters).
//! - **Crashes.** A frame exists once it is committed: a producer that dies before leaves nothing behind, one that dies
//!   after has sent it. What a dead consumer held comes again, to the next one
//!   ([`redeliveries`](spsc::Frame::redeliveries) tells). SPSC: whoever attaches goes on where the dead one stopped. MPMC:
//!   whoever is in the way of what the dead one left puts that in order and goes on. Death is what the kernel says (a
//!   file lock), never a timeout.
//! - **Waiting.** `try_*` never waits. The others look again for some 50 µs, then sleep until they are woken; [`Wait`] is for
//!   those who want it otherwise. While nobody sleeps, no message costs a system call. Waits end by a time
//!   (`*_timeout`, `*_deadline`), by [`close`](BytesQueue::close), by a [`Canceller`], or by a signal if that is asked for.
//!   A [`WaitSet`] waits for several queues. With the feature `async`, the module `asynchronous` has consumers and producers
//!   to be awaited in any runtime, as streams and sinks too, and descriptors for `epoll` and its like.
//! - **Trust.** Reading in place is sound only if every process that can write the file keeps to the protocol, so making
//!   and opening a queue is `unsafe`, with that contract and nothing else in it. Typed frames are validated all the
//!   same. For writers that may be hostile there is [`untrusted`]: safe functions, and a copy of each message.
//! - **Files.** In `/dev/shm` or on a local disk, of this user unless [`Options::sharing`] says otherwise. Or without a name:
//!   [`BytesQueue::create_memfd`] and [`send_to`](BytesQueue::send_to).
//! - **Clean-up.** The file is the only resource. It stays until [`unlink`], [`unlink_if_unused`], or the last handle goes that
//!   was to take it along ([`Options::unlink_with_last`]); whoever has it open keeps it until then.
//! - **Looking.** [`inspect`] sees into a queue of any type without taking part; the `ringway` command is made of it.
//! - **fork.** A child that does not exec must not use its parent's handles; every operation then says so.
//!
//! Power loss: nothing is written to a disk before [`sync`](BytesQueue::sync). A queue on a disk that does not prove that all of
//! it got there is refused when the machine was started again, or dealt with as [`Options::after_power_loss`] says.
#![deny(unsafe_code)]

#[cfg(all(feature = "async", not(loom)))]
pub mod asynchronous;
#[cfg(all(test, not(loom)))]
#[path = "../tests/common/bound.rs"]
mod bound;
mod describe;
mod error;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod inspect;
mod lane;
mod layout;
mod links;
pub mod mpmc;
mod park;
mod prefetch;
mod queue;
#[cfg(all(feature = "async", not(loom)))]
mod reactor;
pub mod schema;
mod shm;
pub mod spsc;
mod sync;
mod typed;
pub mod untrusted;
mod wait;
#[cfg(not(loom))]
mod wait_set;

pub use error::{
    AttachError, CreateError, Damaged, DeadLetterCause, DeadLetterFailure, HandOverError, InspectError,
    InvalidFrame, OpenError, RecoverError, RecvError, Role, SchemaMismatch, SendError, SerializeError,
    SyncError, UnlinkError, Unproven,
};
pub use park::Canceller;
pub use queue::{
    AfterPowerLoss, BytesBatch, BytesConsumer, BytesFrame, BytesFrames, BytesProducer, BytesQueue, Claim,
    DeadLetter, Delivery, Kind, Mpmc, Options, ParticipantStats, Recovery, Spsc, Stats, Uuid,
    discard_unproven, is_in_use, is_temporary_name, recover, sync, unlink, unlink_if_unused,
    unlink_with_letters,
};
#[cfg(feature = "derive")]
pub use ringway_derive::Message;
pub use shm::{Notice, Sharing};
pub use typed::{Consumer, Frame, Frames, Message, Producer, Queue};
#[doc(hidden)]
pub use typed::{FrameSerializer, FrameWriter, Scratch};
pub use wait::Wait;
#[cfg(not(loom))]
pub use wait_set::{Interest, WaitError, WaitSet};
