//! Queues with many producers and many consumers: one order, and every message to one of them.
//!
//! The types are those of the crate's root, for this kind of queue.

use crate::Mpmc;

pub use crate::Message;

/// A queue of messages of type `T`.
pub type Queue<T> = crate::Queue<T, Mpmc>;
/// One of the producers of a [`Queue`].
pub type Producer<T> = crate::Producer<T, Mpmc>;
/// One of the consumers of a [`Queue`].
pub type Consumer<T> = crate::Consumer<T, Mpmc>;
/// A received message.
pub type Frame<'c, T> = crate::Frame<'c, T, Mpmc>;
/// Messages received together.
pub type Frames<'c, T> = crate::Frames<'c, T, Mpmc>;
/// A consumer that threads may share.
pub type SharedConsumer<T> = crate::SharedConsumer<T, Mpmc>;
/// A received message that may be kept anywhere.
pub type OwnedFrame<T> = crate::OwnedFrame<T, Mpmc>;

/// A queue of byte messages.
pub type BytesQueue = crate::BytesQueue<Mpmc>;
/// One of the producers of a [`BytesQueue`].
pub type BytesProducer = crate::BytesProducer<Mpmc>;
/// One of the consumers of a [`BytesQueue`].
pub type BytesConsumer = crate::BytesConsumer<Mpmc>;
/// A received message of bytes.
pub type BytesFrame<'c> = crate::BytesFrame<'c, Mpmc>;
/// Messages of bytes received together.
pub type BytesFrames<'c> = crate::BytesFrames<'c, Mpmc>;
/// A consumer that threads may share.
pub type BytesSharedConsumer = crate::BytesSharedConsumer<Mpmc>;
/// A received message of bytes that may be kept anywhere.
pub type BytesOwnedFrame = crate::BytesOwnedFrame<Mpmc>;
/// A reserved frame, written in place.
pub type ReservedFrame<'p> = crate::ReservedFrame<'p, Mpmc>;
/// Frames that are committed together.
pub type BytesBatch<'p> = crate::BytesBatch<'p, Mpmc>;

/// The same, with a checksum for each message: see [`Checksummed`](crate::Checksummed).
pub mod checksummed {
    use crate::{Checksummed, Mpmc};

    pub use crate::Message;

    /// A queue of messages of type `T`.
    pub type Queue<T> = crate::Queue<T, Checksummed<Mpmc>>;
    /// One of the producers of a [`Queue`].
    pub type Producer<T> = crate::Producer<T, Checksummed<Mpmc>>;
    /// One of the consumers of a [`Queue`].
    pub type Consumer<T> = crate::Consumer<T, Checksummed<Mpmc>>;
    /// A received message.
    pub type Frame<'c, T> = crate::Frame<'c, T, Checksummed<Mpmc>>;
    /// Messages received together.
    pub type Frames<'c, T> = crate::Frames<'c, T, Checksummed<Mpmc>>;
    /// A consumer that threads may share.
    pub type SharedConsumer<T> = crate::SharedConsumer<T, Checksummed<Mpmc>>;
    /// A received message that may be kept anywhere.
    pub type OwnedFrame<T> = crate::OwnedFrame<T, Checksummed<Mpmc>>;
    /// A queue of byte messages.
    pub type BytesQueue = crate::BytesQueue<Checksummed<Mpmc>>;
    /// One of the producers of a [`BytesQueue`].
    pub type BytesProducer = crate::BytesProducer<Checksummed<Mpmc>>;
    /// One of the consumers of a [`BytesQueue`].
    pub type BytesConsumer = crate::BytesConsumer<Checksummed<Mpmc>>;
    /// A received message of bytes.
    pub type BytesFrame<'c> = crate::BytesFrame<'c, Checksummed<Mpmc>>;
    /// Messages of bytes received together.
    pub type BytesFrames<'c> = crate::BytesFrames<'c, Checksummed<Mpmc>>;
    /// A consumer that threads may share.
    pub type BytesSharedConsumer = crate::BytesSharedConsumer<Checksummed<Mpmc>>;
    /// A received message of bytes that may be kept anywhere.
    pub type BytesOwnedFrame = crate::BytesOwnedFrame<Checksummed<Mpmc>>;
    /// A reserved frame, written in place.
    pub type ReservedFrame<'p> = crate::ReservedFrame<'p, Checksummed<Mpmc>>;
    /// Frames that are committed together.
    pub type BytesBatch<'p> = crate::BytesBatch<'p, Checksummed<Mpmc>>;
}
