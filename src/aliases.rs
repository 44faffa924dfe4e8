//! The aliases of the generic types for one kind of queue, so that one word switches the kind.

/// The aliases of [`kind`](crate::kind) for the kind `$kind`.
macro_rules! aliases {
    ($kind:ty) => {
        pub use crate::Message;

        /// A queue of messages of type `T`.
        pub type Queue<T> = crate::kind::Queue<T, $kind>;
        /// Sends to a [`Queue`].
        pub type Producer<T> = crate::kind::Producer<T, $kind>;
        /// Receives from a [`Queue`].
        pub type Consumer<T> = crate::kind::Consumer<T, $kind>;
        /// A received message.
        pub type Frame<'c, T> = crate::kind::Frame<'c, T, $kind>;
        /// Messages received together.
        pub type Frames<'c, T> = crate::kind::Frames<'c, T, $kind>;
        /// A consumer that threads may share.
        pub type SharedConsumer<T> = crate::kind::SharedConsumer<T, $kind>;
        /// A received message that may be kept anywhere.
        pub type OwnedFrame<T> = crate::kind::OwnedFrame<T, $kind>;

        /// A queue of byte messages.
        pub type BytesQueue = crate::kind::BytesQueue<$kind>;
        /// Sends to a [`BytesQueue`].
        pub type BytesProducer = crate::kind::BytesProducer<$kind>;
        /// Receives from a [`BytesQueue`].
        pub type BytesConsumer = crate::kind::BytesConsumer<$kind>;
        /// A received message of bytes.
        pub type BytesFrame<'c> = crate::kind::BytesFrame<'c, $kind>;
        /// Messages of bytes received together.
        pub type BytesFrames<'c> = crate::kind::BytesFrames<'c, $kind>;
        /// A consumer that threads may share.
        pub type BytesSharedConsumer = crate::kind::BytesSharedConsumer<$kind>;
        /// A received message of bytes that may be kept anywhere.
        pub type BytesOwnedFrame = crate::kind::BytesOwnedFrame<$kind>;
        /// A queue of messages whose type this program does not have.
        pub type RawQueue = crate::kind::RawQueue<$kind>;
        /// A reserved frame, written in place.
        pub type ReservedFrame<'p> = crate::kind::ReservedFrame<'p, $kind>;
        /// Frames that are committed together.
        pub type BytesBatch<'p> = crate::kind::BytesBatch<'p, $kind>;
    };
}

/// The aliases of [`untrusted::kind`](crate::untrusted::kind) for the kind `$kind`.
macro_rules! untrusted_aliases {
    ($kind:ty) => {
        pub use crate::Message;

        /// A queue of messages of type `T`.
        pub type Queue<T> = crate::untrusted::kind::Queue<T, $kind>;
        /// Sends to a [`Queue`].
        pub type Producer<T> = crate::untrusted::kind::Producer<T, $kind>;
        /// Receives from a [`Queue`].
        pub type Consumer<T> = crate::untrusted::kind::Consumer<T, $kind>;
        /// A received message, copied and validated.
        pub type Frame<'c, T> = crate::untrusted::kind::Frame<'c, T, $kind>;

        /// A queue of byte messages.
        pub type BytesQueue = crate::untrusted::kind::BytesQueue<$kind>;
        /// Sends to a [`BytesQueue`].
        pub type BytesProducer = crate::untrusted::kind::BytesProducer<$kind>;
        /// Receives from a [`BytesQueue`].
        pub type BytesConsumer = crate::untrusted::kind::BytesConsumer<$kind>;
        /// A received message of bytes, copied.
        pub type BytesFrame<'c> = crate::untrusted::kind::BytesFrame<'c, $kind>;
    };
}

pub(crate) use {aliases, untrusted_aliases};
