//! A sink that sends.

use std::borrow::Borrow;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;

use super::{AsyncProducer, ProducerHandle};
use crate::error::SendError;

/// A sink that sends its items; created by [`into_sink`](super::AsyncProducer::into_sink).
///
/// It holds at most one message, which did not fit when it was given: until the sink is flushed,
/// dropping the sink drops that message. Closing the sink flushes it, and leaves the queue open for
/// others.
///
/// ```
/// use futures_sink::Sink;
/// use ringway::asynchronous::AsyncProducer;
/// # use std::pin::Pin;
/// # use std::task::{Context, Poll, Waker};
///
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// # let consumer = queue.consumer()?;
/// let mut sink = AsyncProducer::new(queue.producer()?)?.into_sink::<Vec<u8>>();
/// # let mut context = Context::from_waker(Waker::noop());
/// # assert!(matches!(Pin::new(&mut sink).poll_ready(&mut context), Poll::Ready(Ok(()))));
/// Pin::new(&mut sink).start_send(b"hello".to_vec())?;
/// # assert!(matches!(Pin::new(&mut sink).poll_flush(&mut context), Poll::Ready(Ok(()))));
/// assert_eq!(*consumer.try_recv()?, *b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The producer can be had back, with the message that it has not sent:
///
/// ```
/// use ringway::asynchronous::{AsyncProducer};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let sink = AsyncProducer::new(queue.producer()?)?.into_sink::<&[u8]>();
/// let (producer, unsent) = sink.into_inner();
/// assert!(unsent.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "sinks do nothing unless they are polled"]
pub struct SendSink<P: ProducerHandle, M> {
    producer: AsyncProducer<P>,
    /// Not sent yet.
    held: Option<M>,
}

// Nothing is pinned: messages are only borrowed.
impl<P: ProducerHandle, M> Unpin for SendSink<P, M> {}

impl<P: ProducerHandle, M> SendSink<P, M> {
    pub(super) fn new(producer: AsyncProducer<P>) -> Self {
        Self { producer, held: None }
    }

    /// Returns the producer, and the message that was not sent yet.
    pub fn into_inner(self) -> (AsyncProducer<P>, Option<M>) {
        (self.producer, self.held)
    }
}

impl<P: ProducerHandle, M: Borrow<P::Message>> Sink<M> for SendSink<P, M> {
    type Error = SendError;

    /// # Errors
    /// Those of [`send`](AsyncProducer::send) for the message that is held, which is dropped then.
    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_flush(context)
    }

    /// # Panics
    /// If the sink was not ready.
    fn start_send(mut self: Pin<&mut Self>, message: M) -> Result<(), SendError> {
        assert!(self.held.is_none(), "start_send needs a poll_ready before it that was Ready");
        match self.producer.get_mut().offer(message.borrow()) {
            Err(SendError::Full) => {
                self.held = Some(message);
                Ok(())
            }
            sent => sent,
        }
    }

    /// # Errors
    /// As [`poll_ready`](Self::poll_ready).
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Self { producer, held } = &mut *self;
        let Some(message) = held else { return Poll::Ready(Ok(())) };
        let sent = ready!(producer.poll_send(context, (*message).borrow()));
        *held = None;
        Poll::Ready(sent)
    }

    /// # Errors
    /// As [`poll_ready`](Self::poll_ready).
    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_flush(context)
    }
}

impl<P: ProducerHandle + fmt::Debug, M> fmt::Debug for SendSink<P, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSink")
            .field("producer", &self.producer)
            .field("holds_one", &self.held.is_some())
            .finish()
    }
}
