//! A lock-free message queue between processes: a ring buffer in a memory-mapped file. Producers write
//! [rkyv](https://docs.rs/rkyv) archives into the file, consumers read them **in place**. Any participant may
//! be killed with `kill -9` at any instruction: nothing committed is lost, and no other participant gets
//! stuck.
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
//! // Producer process. A bare name is a file in /dev/shm.
//! // SAFETY: only programs that use ringway can write to the file.
//! let queue = unsafe { Queue::<Tick>::open_or_create("ticks")? };
//! let mut producer = queue.producer()?;
//! producer.send(&Tick { symbol: "RWY".into(), prices: vec![1.5, 2.5] })?;
//! # Ok(()) }
//!
//! # fn consumer() -> Result<(), Box<dyn std::error::Error>> {
//! // Consumer process.
//! // SAFETY: as above.
//! let queue = unsafe { Queue::<Tick>::open_or_create("ticks")? };
//! let consumer = queue.consumer()?;
//! let tick = consumer.recv()?; // a guard over the archive in the file
//! println!("{}: {:?}", tick.symbol, tick.prices.last());
//! drop(tick); // releases the frame; until then no producer overwrites it
//! # Ok(()) }
//! ```
//!
//! For data that is not an rkyv archive there is [`spsc::BytesQueue`], which can also lend a frame
//! to be written in place ([`reserve`](spsc::BytesProducer::reserve)).
//!
//! # Overview
//!
//! The [`guide`] has a chapter for each task, and tables for users of other queues.
//!
//! - **Kinds.** [`spsc`]: one producer and one consumer; each handle can be moved to the thread that uses it,
//!   and a second one of a role is refused while the first is alive. [`mpmc`]: many producers and consumers,
//!   one order for all messages, each message to one consumer. The API is the same, so that one word
//!   switches. [`broadcast`]: every message to every consumer, which is reliable, lossy, or lossy and in place.
//!   Code that is generic over the kind uses the types in [`kind`].
//! - **Types.** A message type derives [`Message`](trait@Message) beside rkyv's traits. The file holds a
//!   description of the type. A program with another type, another version of it or other rkyv settings gets
//!   an error when it opens the queue, which names the first field that differs: see [`schema`].
//! - **Sizes.** Messages of any size up to half of the ring, or of one fixed size, which is faster for small
//!   messages: types without out-of-line data (no `String`, `Vec` or `Box`), and bytes with
//!   [`CreateOptions::framing`]. The default ring of 1 MiB fits most caches; a larger one is not faster, unless
//!   the consumer pauses for long.
//! - **Guards.** A frame is released when its guard is dropped. Guards may be dropped in any order; room is
//!   freed up to the oldest one that is held (MPMC: the oldest of each producer, and guards may move to other
//!   threads). A frame whose guard is dropped by a panic, or [rejected](spsc::Frame::reject), is delivered
//!   again; MPMC: at most [`CreateOptions::max_redeliveries`] times if that is set, after which it is a [dead
//!   letter](mpmc::BytesQueue::dead_letters).
//! - **Crashes.** A message exists once it is committed. What a dead consumer held is delivered again
//!   ([`redeliveries`](spsc::Frame::redeliveries)). SPSC: the next participant continues where the dead one
//!   stopped. MPMC: a participant that a dead one blocks recovers what it left. The kernel detects deaths, by
//!   a file lock; there is no timeout.
//! - **Waiting.** `try_*` calls never wait. Other calls spin for some 50 µs, then sleep until they
//!   are woken; [`WaitStrategy`] changes that. While no participant sleeps, no message costs a
//!   system call. A wait ends by a time limit (`*_timeout`, `*_deadline`), by
//!   [`close`](spsc::BytesQueue::close), by a [`Canceller`], or by a signal if that is enabled. A
//!   [`WaitSet`] waits for several queues. With the feature `async`, the module `asynchronous` has
//!   futures, streams and sinks for any runtime, and descriptors for `epoll`.
//! - **Trust.** Reading in place is sound only if each process that can write the file follows the protocol.
//!   That is the whole contract of the `unsafe` functions that create and open queues. Typed frames are
//!   validated in any case. For writers that may be hostile there is [`untrusted`]: safe functions, and a
//!   copy of each message.
//! - **Files.** In `/dev/shm` or on a local disk, accessible for this user only unless [`OpenOptions::sharing`]
//!   says otherwise; or without a name: [`create_memfd`](spsc::BytesQueue::create_memfd) and [`send_fd`](spsc::BytesQueue::send_fd).
//! - **Removal.** The file is the only resource. It stays until [`unlink`], [`unlink_if_unused`], or the last
//!   handle that was opened with [`OpenOptions::unlink_on_last_drop`] is dropped. Handles that are open then stay
//!   usable.
//! - **Inspection.** [`inspect`] reads a queue of any type without attaching to it; the `ringway`
//!   command is built on it.
//! - **Power loss.** Nothing is written to a disk before [`sync`](spsc::BytesQueue::sync). A queue on a disk that
//!   may have lost something in a reboot is refused, or opened as [`OpenOptions::after_power_loss`] says.
//! - **fork.** A child that does not exec must not use its parent's handles; each operation returns an error
//!   then.
#![deny(unsafe_code)]

#[cfg(all(test, not(loom)))]
use ringway_bound as _;

mod aliases;
#[cfg(all(feature = "async", not(loom)))]
pub mod asynchronous;
pub mod broadcast;
mod describe;
mod error;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod inspect;
pub mod kind;
mod lane;
mod layout;
pub mod mpmc;
mod order_ring;
mod park;
mod prefetch;
mod queue;
#[cfg(all(feature = "async", not(loom)))]
mod reactor;
mod retry;
pub mod schema;
mod shared_ref;
mod shm;
pub mod spsc;
mod sync;
mod typed;
pub mod untrusted;
mod wait;
#[cfg(not(loom))]
mod wait_set;

pub use error::{
    AttachError, Corrupted, CreateError, DeadLetterCause, DeadLetterFailure, HeldHere, Holdup, InspectError,
    InvalidDescription, InvalidFrame, OpenError, RecoverError, RecoveryFailed, RecvError, Role,
    SchemaMismatch, SendError, SendFdError, SerializeError, SyncError, TaskError, UnlinkError, Unproven,
};
pub use park::Canceller;
pub use queue::{
    AfterPowerLoss, CreateOptions, DeadLetter, Delivery, Framing, OpenOptions, ParticipantStats, Recovery,
    Stats, Uuid, discard_unproven, is_in_use, is_temporary_name, recover, sync, unlink, unlink_if_unused,
    unlink_with_letters,
};
#[cfg(feature = "derive")]
pub use ringway_derive::Message;
pub use shm::{Sharing, Warning};
pub use typed::Message;
#[doc(hidden)]
pub use typed::{FrameSerializer, FrameWriter, Scratch};
pub use wait::WaitStrategy;
#[cfg(not(loom))]
pub use wait_set::{Interest, WaitError, WaitSet};
