//! Queues with one producer and one consumer.
//!
//! The types are those of the crate's root, for this kind of queue.

use crate::Spsc;

pub use crate::Message;

/// A queue of messages of type `T`.
pub type Queue<T> = crate::Queue<T, Spsc>;
/// The one producer of a [`Queue`].
pub type Producer<T> = crate::Producer<T, Spsc>;
/// The one consumer of a [`Queue`].
pub type Consumer<T> = crate::Consumer<T, Spsc>;
/// A received message.
pub type Frame<'c, T> = crate::Frame<'c, T, Spsc>;
/// Messages received together.
pub type Frames<'c, T> = crate::Frames<'c, T, Spsc>;
/// A consumer that threads may share.
pub type SharedConsumer<T> = crate::SharedConsumer<T, Spsc>;
/// A received message that may be kept anywhere.
pub type OwnedFrame<T> = crate::OwnedFrame<T, Spsc>;

/// A queue of byte messages.
pub type BytesQueue = crate::BytesQueue<Spsc>;
/// The one producer of a [`BytesQueue`].
pub type BytesProducer = crate::BytesProducer<Spsc>;
/// The one consumer of a [`BytesQueue`].
pub type BytesConsumer = crate::BytesConsumer<Spsc>;
/// A received message of bytes.
pub type BytesFrame<'c> = crate::BytesFrame<'c, Spsc>;
/// Messages of bytes received together.
pub type BytesFrames<'c> = crate::BytesFrames<'c, Spsc>;
/// A consumer that threads may share.
pub type BytesSharedConsumer = crate::BytesSharedConsumer<Spsc>;
/// A received message of bytes that may be kept anywhere.
pub type BytesOwnedFrame = crate::BytesOwnedFrame<Spsc>;
/// A reserved frame, written in place.
pub type ReservedFrame<'p> = crate::ReservedFrame<'p, Spsc>;
/// Frames that are committed together.
pub type BytesBatch<'p> = crate::BytesBatch<'p, Spsc>;

/// The same, with a checksum for each message: see [`Checksummed`](crate::Checksummed).
pub mod checksummed {
    use crate::{Checksummed, Spsc};

    pub use crate::Message;

    /// A queue of messages of type `T`.
    pub type Queue<T> = crate::Queue<T, Checksummed<Spsc>>;
    /// The one producer of a [`Queue`].
    pub type Producer<T> = crate::Producer<T, Checksummed<Spsc>>;
    /// The one consumer of a [`Queue`].
    pub type Consumer<T> = crate::Consumer<T, Checksummed<Spsc>>;
    /// A received message.
    pub type Frame<'c, T> = crate::Frame<'c, T, Checksummed<Spsc>>;
    /// Messages received together.
    pub type Frames<'c, T> = crate::Frames<'c, T, Checksummed<Spsc>>;
    /// A consumer that threads may share.
    pub type SharedConsumer<T> = crate::SharedConsumer<T, Checksummed<Spsc>>;
    /// A received message that may be kept anywhere.
    pub type OwnedFrame<T> = crate::OwnedFrame<T, Checksummed<Spsc>>;
    /// A queue of byte messages.
    pub type BytesQueue = crate::BytesQueue<Checksummed<Spsc>>;
    /// The one producer of a [`BytesQueue`].
    pub type BytesProducer = crate::BytesProducer<Checksummed<Spsc>>;
    /// The one consumer of a [`BytesQueue`].
    pub type BytesConsumer = crate::BytesConsumer<Checksummed<Spsc>>;
    /// A received message of bytes.
    pub type BytesFrame<'c> = crate::BytesFrame<'c, Checksummed<Spsc>>;
    /// Messages of bytes received together.
    pub type BytesFrames<'c> = crate::BytesFrames<'c, Checksummed<Spsc>>;
    /// A consumer that threads may share.
    pub type BytesSharedConsumer = crate::BytesSharedConsumer<Checksummed<Spsc>>;
    /// A received message of bytes that may be kept anywhere.
    pub type BytesOwnedFrame = crate::BytesOwnedFrame<Checksummed<Spsc>>;
    /// A reserved frame, written in place.
    pub type ReservedFrame<'p> = crate::ReservedFrame<'p, Checksummed<Spsc>>;
    /// Frames that are committed together.
    pub type BytesBatch<'p> = crate::BytesBatch<'p, Checksummed<Spsc>>;
}
