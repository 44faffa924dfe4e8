//! Awaiting a message.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::{ConsumerHandle, RecvManyFut, RecvStream};
use crate::error::RecvError;
use crate::reactor::{self, Registration, Source, Waits};

/// A consumer whose messages can be awaited. `C` is the consumer that it is made of, such as
/// [`spsc::Consumer<T>`](crate::spsc::Consumer) or [`mpmc::BytesConsumer`](crate::mpmc::BytesConsumer).
///
/// ```
/// use ringway::asynchronous::AsyncConsumer;
/// use ringway::spsc::{Consumer, Queue};
/// use ringway::RecvError;
///
/// async fn add_up(mut numbers: AsyncConsumer<Consumer<u64>>) -> Result<u64, RecvError> {
///     let mut sum = 0;
///     loop {
///         match numbers.recv().await {
///             Ok(number) => sum += number.to_native(),
///             Err(RecvError::Closed) => return Ok(sum),
///             Err(error) => return Err(error),
///         }
///     }
/// }
///
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { Queue::<u64>::create(dir.path().join("q"))? };
/// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
/// producer.send_many(&[1, 2, 3])?;
/// queue.close();
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// assert_eq!(runtime.block_on(add_up(AsyncConsumer::new(consumer)?))?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// use ringway::asynchronous::{AsyncConsumer};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// queue.producer()?.send_many(&["one", "two", "three"])?;
/// let mut consumer = AsyncConsumer::new(queue.consumer()?)?;
/// assert_eq!(consumer.recv_many(2).await?.len(), 2);
/// assert!(!consumer.get_ref().is_empty());
/// let found = std::future::poll_fn(|context| consumer.poll_recv(context).map(|frame| frame.map(|frame| frame.len())));
/// assert_eq!(found.await?, 5);
/// // A stream has items of its own: here the lengths.
/// let stream = consumer.into_stream(|frame| frame.len());
/// let consumer = stream.into_inner().into_inner(); // waits as usual again
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AsyncConsumer<C: ConsumerHandle> {
    /// The registration of `poll_recv`. Declared before the consumer, so that its notification is
    /// passed on first.
    polled: Registration,
    source: Arc<Source>,
    consumer: C,
}

impl<C: ConsumerHandle> AsyncConsumer<C> {
    /// Makes a consumer's messages awaitable. The first handle of a process starts the thread that
    /// sleeps for all handles.
    ///
    /// # Errors
    /// If that thread cannot be started.
    pub fn new(consumer: C) -> io::Result<Self> {
        let source = reactor::source(consumer.event(), Waits::Messages)?;
        Ok(Self { polled: Registration::new(&source), source, consumer })
    }

    /// Receives the next message, as soon as there is one.
    ///
    /// Cancellation-safe: a future that is dropped has taken nothing.
    ///
    /// # Errors
    /// Those of the consumer's [`recv`](crate::kind::BytesConsumer::recv), but never `Interrupted` or
    /// `Cancelled`.
    pub fn recv(&mut self) -> RecvFut<'_, C> {
        RecvFut { registration: Registration::new(&self.source), consumer: Some(&mut self.consumer) }
    }

    /// Receives the next message and returns what `read` makes of it, so that no frame has to live
    /// up to the next `await`.
    ///
    /// **The message is acknowledged when `read` returns, before the next `await`.** What is done
    /// with the result afterwards is not protected: if the process dies then, or the task is
    /// cancelled, the message is not redelivered. If it has to be, keep the frame until the work is
    /// done: take it by [`recv`](Self::recv) and drop it at the end. An MPMC frame may be held
    /// across an `await` in any runtime, an SPSC frame in one that keeps a task in its thread
    /// (`LocalSet`).
    ///
    /// Cancellation-safe, as [`recv`](Self::recv).
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// # use ringway::asynchronous::AsyncConsumer;
    /// # async fn f(mut consumer: AsyncConsumer<ringway::spsc::BytesConsumer>) -> Result<(), ringway::RecvError> {
    /// let text = consumer.recv_with(|frame| String::from_utf8_lossy(&frame).into_owned()).await?;
    /// # drop(text);
    /// # Ok(()) }
    /// ```
    pub async fn recv_with<R>(&mut self, read: impl FnOnce(C::Frame<'_>) -> R) -> Result<R, RecvError> {
        self.recv().await.map(read)
    }

    /// Receives up to `max` messages in one guard, as soon as there is one.
    ///
    /// Cancellation-safe, as [`recv`](Self::recv).
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    /// If `max` is 0.
    pub fn recv_many(&mut self, max: usize) -> RecvManyFut<'_, C> {
        assert!(max > 0, "recv_many needs to be allowed at least one message");
        RecvManyFut::new(&self.source, &mut self.consumer, max)
    }

    /// Attempts to receive the next message; if there is none, the task of the last call is woken
    /// when there may be one.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<C::Frame<'_>, RecvError>> {
        let Self { polled, consumer, .. } = self;
        let found = ready!(poll_attempt(polled, consumer, context, |closely| consumer.attempt(closely)));
        Poll::Ready(found.and_then(|one| self.consumer.lend(one)))
    }

    /// Converts the consumer into a stream of what `read` makes of each message, until the queue is
    /// closed. Errors other than `Closed` are items and do not end the stream.
    ///
    /// **Each message is acknowledged when `read` returns, before the stream yields the result**: while
    /// the program works on an item, its message is not redelivered if the process dies. If it has to
    /// be, use [`recv`](Self::recv) in a loop, and drop the frame when the work is done.
    pub fn into_stream<R, F: FnMut(C::Frame<'_>) -> R>(self, read: F) -> RecvStream<C, F> {
        RecvStream::new(self, read)
    }

    /// Returns the consumer, for operations that do not wait.
    pub fn get_ref(&self) -> &C {
        &self.consumer
    }

    /// Returns the consumer, for threads that block in its calls.
    pub fn into_inner(self) -> C {
        self.consumer
    }
}

/// Attempts, and waits if there is nothing.
pub(super) fn poll_attempt<C: ConsumerHandle, R>(
    registration: &mut Registration,
    consumer: &C,
    context: &mut Context<'_>,
    mut attempt: impl FnMut(bool) -> Result<R, RecvError>,
) -> Poll<Result<R, RecvError>> {
    let always = consumer.attempts_after_every_wake();
    let attempt = |closely| match attempt(closely) {
        Err(RecvError::Empty) => None,
        found => Some(found),
    };
    let found = registration.poll(context, always, attempt, || consumer.pass_on());
    if found.is_pending() {
        registration.limit_slices(consumer.watch_slice());
    }
    found
}

impl<C: ConsumerHandle + fmt::Debug> fmt::Debug for AsyncConsumer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncConsumer").field(&self.consumer).finish()
    }
}

/// The future of [`AsyncConsumer::recv`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct RecvFut<'c, C: ConsumerHandle> {
    registration: Registration,
    /// `None` once it is ready.
    consumer: Option<&'c mut C>,
}

impl<'c, C: ConsumerHandle> Future for RecvFut<'c, C> {
    type Output = Result<C::Frame<'c>, RecvError>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { registration, consumer } = &mut *self;
        let waiting: &C = consumer.as_ref().expect("polled again after it was ready");
        let found = ready!(poll_attempt(registration, waiting, context, |closely| waiting.attempt(closely)));
        let consumer: &'c C = consumer.take().expect("as above");
        Poll::Ready(found.and_then(|one| consumer.lend(one)))
    }
}
