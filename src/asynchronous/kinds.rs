//! What can be awaited: consumers and producers, whatever they carry.
#![allow(private_interfaces, private_bounds, reason = "sealed: how they look is no one else's business")]

use std::time::Duration;

use crate::error::{RecvError, SendError};
use crate::park::Bell;
use crate::queue::{BytesConsumer, BytesFrame, BytesFrames, BytesProducer, Engine, Kind, RunOf, TakenBy};
use crate::typed::{Consumer, Frame, Frames, Message, Producer};

/// A consumer that an [`AsyncConsumer`](super::AsyncConsumer) can be made of: [`Consumer`] or [`BytesConsumer`], of any kind.
/// The trait cannot be implemented elsewhere.
pub trait Receives: Look {
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

/// How to look. What is found has no lifetime, so that whoever looks may go on borrowing; it is lent at once.
pub(crate) trait Look {
    /// A message that was taken.
    type One;
    /// Messages that were taken together.
    type Many;

    fn bell(&self) -> &Bell;

    /// Whether it waits for more than messages.
    fn waits_for_the_end(&self) -> bool;

    /// How long its task may go without a look at who has died.
    fn watch_slice(&self) -> Duration;

    fn look(&self, closely: bool) -> Result<Self::One, RecvError>;

    fn look_for_many(&self, max: usize, closely: bool) -> Result<Self::Many, RecvError>;

    /// Something was found that a ring was for, which may have been for others, too.
    fn pass_on(&self);
}

impl<K: Kind> Receives for BytesConsumer<K> {
    type Frame<'c> = BytesFrame<'c, K>;
    type Frames<'c> = BytesFrames<'c, K>;

    fn lend(&self, one: Self::One) -> Result<BytesFrame<'_, K>, RecvError> {
        Ok(self.frame(one))
    }

    fn lend_many(&self, many: Self::Many) -> BytesFrames<'_, K> {
        self.frames(many)
    }
}

impl<K: Kind> Look for BytesConsumer<K> {
    type One = TakenBy<<K as Engine>::Receiver>;
    type Many = RunOf<K>;

    fn bell(&self) -> &Bell {
        self.bell()
    }

    fn waits_for_the_end(&self) -> bool {
        self.waits_for_the_end()
    }

    fn watch_slice(&self) -> Duration {
        self.watch_slice()
    }

    fn look(&self, closely: bool) -> Result<Self::One, RecvError> {
        self.look(closely)
    }

    fn look_for_many(&self, max: usize, closely: bool) -> Result<Self::Many, RecvError> {
        self.look_for_many(max, closely)
    }

    fn pass_on(&self) {
        self.pass_on_ring();
    }
}

impl<T: Message, K: Kind> Receives for Consumer<T, K> {
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

impl<T: Message, K: Kind> Look for Consumer<T, K> {
    type One = TakenBy<<K as Engine>::Receiver>;
    type Many = RunOf<K>;

    fn bell(&self) -> &Bell {
        self.bytes().bell()
    }

    fn waits_for_the_end(&self) -> bool {
        self.bytes().waits_for_the_end()
    }

    fn watch_slice(&self) -> Duration {
        self.bytes().watch_slice()
    }

    fn look(&self, closely: bool) -> Result<Self::One, RecvError> {
        self.bytes().look(closely)
    }

    fn look_for_many(&self, max: usize, closely: bool) -> Result<Self::Many, RecvError> {
        self.bytes().look_for_many(max, closely)
    }

    fn pass_on(&self) {
        self.bytes().pass_on_ring();
    }
}

/// A producer that an [`AsyncProducer`](super::AsyncProducer) can be made of: [`Producer`] or [`BytesProducer`], of any kind.
/// The trait cannot be implemented elsewhere.
pub trait Sends: Offer {
    /// What is sent.
    type Message: ?Sized;

    #[doc(hidden)]
    fn offer(&mut self, message: &Self::Message) -> Result<(), SendError>;
}

/// How to try.
pub(crate) trait Offer {
    fn bell(&self) -> &Bell;
}

impl<K: Kind> Sends for BytesProducer<K> {
    type Message = [u8];

    fn offer(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.try_send(message)
    }
}

impl<K: Kind> Offer for BytesProducer<K> {
    fn bell(&self) -> &Bell {
        Self::bell(self)
    }
}

impl<T: Message, K: Kind> Sends for Producer<T, K> {
    type Message = T;

    fn offer(&mut self, message: &T) -> Result<(), SendError> {
        self.try_send(message)
    }
}

impl<T: Message, K: Kind> Offer for Producer<T, K> {
    fn bell(&self) -> &Bell {
        self.bytes().bell()
    }
}
