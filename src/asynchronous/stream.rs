//! A stream of converted messages.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};

use super::{AsyncConsumer, ConsumerHandle};
use crate::error::RecvError;

/// A stream of what a closure makes of each message; created by
/// [`into_stream`](super::AsyncConsumer::into_stream). The items of a stream may live as long as
/// the caller likes, so they cannot be frames, which lie in the file: the closure decides what is
/// kept of them.
///
/// ```
/// use futures_core::Stream;
/// use ringway::asynchronous::AsyncConsumer;
/// # use std::pin::Pin;
/// # use std::task::{Context, Poll, Waker};
///
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// # queue.producer()?.send(b"hello")?;
/// let mut stream = AsyncConsumer::new(queue.consumer()?)?.into_stream(|frame| frame.to_vec());
/// # let mut context = Context::from_waker(Waker::noop());
/// # let item = Pin::new(&mut stream).poll_next(&mut context);
/// # assert!(matches!(item, Poll::Ready(Some(Ok(message))) if message == b"hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The consumer can be had back:
///
/// ```
/// use ringway::asynchronous::{AsyncConsumer};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let stream = AsyncConsumer::new(queue.consumer()?)?.into_stream(|frame| frame.len());
/// let consumer = stream.into_inner();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "streams do nothing unless they are polled"]
pub struct RecvStream<C: ConsumerHandle, F> {
    consumer: AsyncConsumer<C>,
    read: F,
    is_closed: bool,
}

// Nothing is pinned: items are made in place by a call.
impl<C: ConsumerHandle, F> Unpin for RecvStream<C, F> {}

impl<C: ConsumerHandle, F> RecvStream<C, F> {
    pub(super) fn new(consumer: AsyncConsumer<C>, read: F) -> Self {
        Self { consumer, read, is_closed: false }
    }

    /// Returns the consumer.
    pub fn into_inner(self) -> AsyncConsumer<C> {
        self.consumer
    }
}

impl<C: ConsumerHandle, R, F: FnMut(C::Frame<'_>) -> R> Stream for RecvStream<C, F> {
    type Item = Result<R, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { consumer, read, is_closed } = &mut *self;
        if *is_closed {
            return Poll::Ready(None);
        }
        match ready!(consumer.poll_recv(context)) {
            Err(RecvError::Closed) => {
                *is_closed = true;
                Poll::Ready(None)
            }
            result => Poll::Ready(Some(result.map(read))),
        }
    }
}

impl<C: ConsumerHandle, R, F: FnMut(C::Frame<'_>) -> R> FusedStream for RecvStream<C, F> {
    fn is_terminated(&self) -> bool {
        self.is_closed
    }
}

impl<C: ConsumerHandle + fmt::Debug, F> fmt::Debug for RecvStream<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}
