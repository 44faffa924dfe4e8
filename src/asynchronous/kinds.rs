//! What can be awaited: consumers and producers, whatever they carry.
#![allow(private_interfaces, private_bounds, reason = "sealed: how they look is no one else's business")]

use std::time::Duration;

use crate::error::{RecvError, SendError};
use crate::park::EventCount;
use crate::queue::{BytesConsumer, BytesFrame, BytesFrames, BytesProducer, Engine, Kind, RunOf, TakenBy};
use crate::typed::{Consumer, Frame, Frames, Message, Producer};

/// A consumer that an [`AsyncConsumer`](super::AsyncConsumer) can be made of: [`Consumer`] or
/// [`BytesConsumer`], of any kind. The trait cannot be implemented elsewhere.
pub trait ConsumerHandle: Attempt {
    /// A received message.
    type Frame<'c>
    where
        Self: 'c;
    /// Messages received together.
    type Frames<'c>
    where
        Self: 'c;

    #[doc(hidden)]
    fn lend(&self, one: Self::One) -> Result<Self::Frame<'_>, RecvError>;

    #[doc(hidden)]
    fn lend_many(&self, many: Self::Many) -> Self::Frames<'_>;
}

/// How to attempt. What is found has no lifetime, so that the caller may go on borrowing; it is
/// lent immediately.
pub(crate) trait Attempt {
    /// A message that was taken.
    type One;
    /// Messages that were taken together.
    type Many;

    fn event(&self) -> &EventCount;

    /// Whether every wake is for this consumer, too: it waits for more than messages that one of the
    /// consumers takes.
    fn attempts_after_every_wake(&self) -> bool;

    /// How long its task may go without a check for dead peers.
    fn watch_slice(&self) -> Duration;

    fn attempt(&self, closely: bool) -> Result<Self::One, RecvError>;

    fn attempt_many(&self, max: usize, closely: bool) -> Result<Self::Many, RecvError>;

    /// Passes on a notification for which something was found: it may have been for others, too.
    fn pass_on(&self);
}

impl<K: Kind> ConsumerHandle for BytesConsumer<K> {
    type Frame<'c> = BytesFrame<'c, K>;
    type Frames<'c> = BytesFrames<'c, K>;

    fn lend(&self, one: Self::One) -> Result<BytesFrame<'_, K>, RecvError> {
        Ok(self.frame(one))
    }

    fn lend_many(&self, many: Self::Many) -> BytesFrames<'_, K> {
        self.frames(many)
    }
}

impl<K: Kind> Attempt for BytesConsumer<K> {
    type One = TakenBy<<K as Engine>::Receiver>;
    type Many = RunOf<K>;

    fn event(&self) -> &EventCount {
        self.event()
    }

    fn attempts_after_every_wake(&self) -> bool {
        self.attempts_after_every_wake()
    }

    fn watch_slice(&self) -> Duration {
        self.watch_slice()
    }

    fn attempt(&self, closely: bool) -> Result<Self::One, RecvError> {
        self.attempt(closely)
    }

    fn attempt_many(&self, max: usize, closely: bool) -> Result<Self::Many, RecvError> {
        self.attempt_many(max, closely)
    }

    fn pass_on(&self) {
        self.pass_on_notification();
    }
}

impl<T: Message, K: Kind> ConsumerHandle for Consumer<T, K> {
    type Frame<'c>
        = Frame<'c, T, K>
    where
        T: 'c;
    type Frames<'c>
        = Frames<'c, T, K>
    where
        T: 'c;

    fn lend(&self, one: Self::One) -> Result<Frame<'_, T, K>, RecvError> {
        Frame::checked(self.bytes().frame(one))
    }

    fn lend_many(&self, many: Self::Many) -> Frames<'_, T, K> {
        Frames::new(self.bytes().frames(many))
    }
}

impl<T: Message, K: Kind> Attempt for Consumer<T, K> {
    type One = TakenBy<<K as Engine>::Receiver>;
    type Many = RunOf<K>;

    fn event(&self) -> &EventCount {
        self.bytes().event()
    }

    fn attempts_after_every_wake(&self) -> bool {
        self.bytes().attempts_after_every_wake()
    }

    fn watch_slice(&self) -> Duration {
        self.bytes().watch_slice()
    }

    fn attempt(&self, closely: bool) -> Result<Self::One, RecvError> {
        self.bytes().attempt(closely)
    }

    fn attempt_many(&self, max: usize, closely: bool) -> Result<Self::Many, RecvError> {
        self.bytes().attempt_many(max, closely)
    }

    fn pass_on(&self) {
        self.bytes().pass_on_notification();
    }
}

/// A producer that an [`AsyncProducer`](super::AsyncProducer) can be made of: [`Producer`] or
/// [`BytesProducer`], of any kind. The trait cannot be implemented elsewhere.
pub trait ProducerHandle: Offer {
    /// What is sent.
    type Message: ?Sized;

    #[doc(hidden)]
    fn offer(&mut self, message: &Self::Message) -> Result<(), SendError>;
}

/// The eventcount to wait on.
pub(crate) trait Offer {
    fn event(&self) -> &EventCount;
}

impl<K: Kind> ProducerHandle for BytesProducer<K> {
    type Message = [u8];

    fn offer(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.try_send(message)
    }
}

impl<K: Kind> Offer for BytesProducer<K> {
    fn event(&self) -> &EventCount {
        Self::event(self)
    }
}

impl<T: Message, K: Kind> ProducerHandle for Producer<T, K> {
    type Message = T;

    fn offer(&mut self, message: &T) -> Result<(), SendError> {
        self.try_send(message)
    }
}

impl<T: Message, K: Kind> Offer for Producer<T, K> {
    fn event(&self) -> &EventCount {
        self.bytes().event()
    }
}
