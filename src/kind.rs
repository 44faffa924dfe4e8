//! The types of all kinds of queues, for code that is generic over the kind.
//!
//! Each type here takes the kind as its last parameter: [`Spsc`], [`Mpmc`], one of these with
//! checksums ([`Checksummed`]), or [`Broadcast`]. Code for one kind uses the aliases in
//! [`spsc`](crate::spsc), [`mpmc`](crate::mpmc) and [`broadcast`](crate::broadcast) instead. The types for untrusted peers are in
//! [`untrusted::kind`](crate::untrusted::kind).
//!
//! ```
//! use ringway::kind::{BytesQueue, Kind, Mpmc, Spsc};
//!
//! /// Sends a message to itself, through a queue of any kind.
//! fn echo<K: Kind>(queue: &BytesQueue<K>, message: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
//!     queue.producer()?.send(message)?;
//!     Ok(queue.consumer()?.recv()?.to_vec())
//! }
//!
//! # let dir = tempfile::tempdir()?;
//! # let (one, other) = (dir.path().join("one"), dir.path().join("other"));
//! // SAFETY: only programs that use ringway can write to these files.
//! let (spsc, mpmc) = unsafe { (BytesQueue::<Spsc>::create(&one)?, BytesQueue::<Mpmc>::create(&other)?) };
//! assert_eq!(echo(&spsc, b"hello")?, b"hello");
//! assert_eq!(echo(&mpmc, b"hello")?, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::queue::{
    Broadcast, BytesBatch, BytesConsumer, BytesFrame, BytesFrames, BytesOwnedFrame, BytesProducer,
    BytesQueue, BytesSharedConsumer, Checksummed, Kind, Mpmc, MpmcKind, RawQueue, ReservedFrame, Spsc,
};
pub use crate::typed::{Consumer, Frame, Frames, OwnedFrame, Producer, Queue, SharedConsumer};
