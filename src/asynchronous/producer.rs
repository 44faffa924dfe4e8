//! Awaiting room.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{ProducerHandle, SendSink};
use crate::error::SendError;
use crate::queue::{BytesProducer, Kind};
use crate::reactor::{self, Registration, Source, Waits};
use crate::typed::{Message, Producer};

/// A producer whose room can be awaited. `P` is the producer that it is made of, such as
/// [`spsc::Producer<T>`](crate::spsc::Producer) or [`mpmc::BytesProducer`](crate::mpmc::BytesProducer).
// In C's layout, which depends on nothing of `P` but its own layout: see `of`.
///
/// ```
/// use ringway::asynchronous::{AsyncProducer};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let consumer = queue.consumer()?;
/// let mut producer = AsyncProducer::new(queue.producer()?)?;
/// producer.send(b"one").await?;
/// producer.send_many(&["two", "three"]).await?;
/// std::future::poll_fn(|context| producer.poll_send(context, b"four")).await?;
/// assert_eq!(producer.get_mut().len(), consumer.len());
/// let sink = producer.into_sink::<&[u8]>();
/// let (producer, unsent) = sink.into_inner();
/// assert!(unsent.is_none());
/// let producer = producer.into_inner(); // waits as usual again
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
pub struct AsyncProducer<P: ProducerHandle> {
    /// The registration of `poll_send`.
    polled: Registration,
    source: Arc<Source>,
    producer: P,
}

impl<P: ProducerHandle> AsyncProducer<P> {
    /// Makes a producer's room awaitable. The first handle of a process starts the thread that
    /// sleeps for all handles.
    ///
    /// # Errors
    /// If that thread cannot be started.
    pub fn new(producer: P) -> io::Result<Self> {
        let source = reactor::source(producer.event(), Waits::Room)?;
        Ok(Self { polled: Registration::new(&source), source, producer })
    }

    /// Sends a message as soon as there is room.
    ///
    /// Cancellation-safe: a future that is dropped before it is ready has sent nothing.
    ///
    /// # Errors
    /// Those of the producer's [`send`](crate::kind::BytesProducer::send), but never `Interrupted` or
    /// `Cancelled`.
    pub fn send<'p>(&'p mut self, message: &'p P::Message) -> SendFut<'p, P> {
        let registration = Registration::new(&self.source);
        SendFut { registration, producer: &mut self.producer, message }
    }

    /// Attempts to send the message; if there is no room, the task of the last call is woken when
    /// there may be some.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        message: &P::Message,
    ) -> Poll<Result<(), SendError>> {
        poll_offer(&mut self.polled, &mut self.producer, context, message)
    }

    /// Converts the producer into a sink of messages of type `M`, which may own them: `Vec<u8>` for
    /// bytes; `T` or `Box<T>` for values.
    pub fn into_sink<M: Borrow<P::Message>>(self) -> SendSink<P, M> {
        SendSink::new(self)
    }

    /// Returns the producer, for operations that do not wait.
    pub fn get_mut(&mut self) -> &mut P {
        &mut self.producer
    }

    /// Returns the producer, for threads that block in its calls.
    pub fn into_inner(self) -> P {
        self.producer
    }
}

impl<K: Kind> AsyncProducer<BytesProducer<K>> {
    /// Sends all of `messages` in order, in as few commits as the room allows.
    ///
    /// A future that is dropped before it is ready has sent the first few of them, or none.
    ///
    /// # Errors
    /// As [`send`](Self::send); the messages before the one that cannot be sent are sent.
    pub async fn send_many<M: AsRef<[u8]>>(&mut self, mut messages: &[M]) -> Result<(), SendError> {
        while let Some((first, rest)) = messages.split_first() {
            match self.producer.try_send_many(messages) {
                Ok(sent) => messages = &messages[sent..],
                Err(SendError::Full) => {
                    self.send(first.as_ref()).await?;
                    messages = rest;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<T: Message, K: Kind> AsyncProducer<Producer<T, K>> {
    /// Returns the same producer, for values of another type whose archives are the same. Those values
    /// need not outlive it: see [`Producer::of`].
    ///
    /// # Errors
    /// Those of [`Producer::of`].
    ///
    /// ```
    /// use ringway::Message;
    /// use rkyv::with::InlineAsBox;
    /// use rkyv::{Archive, Serialize};
    ///
    /// #[derive(Archive, Serialize, Message)]
    /// struct Log<'a> {
    ///     level: u8,
    ///     #[rkyv(with = InlineAsBox)]
    ///     line: &'a str,
    /// }
    ///
    /// use ringway::asynchronous::AsyncProducer;
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("log");
    /// # let queue = unsafe { ringway::spsc::Queue::<Log<'static>>::create(&name)? };
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let mut producer = AsyncProducer::new(queue.producer()?)?;
    /// for number in 0..3 {
    ///     let line = format!("line {number}"); // lives shorter than the producer
    ///     producer.of()?.send(&Log { level: 6, line: &line }).await?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "two types of one layout")]
    pub fn of<U: Message>(&mut self) -> Result<&mut AsyncProducer<Producer<U, K>>, SendError> {
        self.producer.of::<U>()?;
        let this: *mut AsyncProducer<Producer<U, K>> = std::ptr::from_mut(self).cast();
        // SAFETY: both types are the same fields in C's layout, and so are the producers in them:
        // `Producer::of` has just confirmed that one may stand for the other. The borrow goes on in
        // the result.
        Ok(unsafe { &mut *this })
    }

    /// Sends all of `values` in order, in as few commits as the room allows.
    ///
    /// A future that is dropped before it is ready has sent the first few of them, or none.
    ///
    /// # Errors
    /// As [`send`](Self::send); the values before the one that cannot be sent are sent.
    pub async fn send_many(&mut self, mut values: &[T]) -> Result<(), SendError> {
        while let Some((first, rest)) = values.split_first() {
            match self.producer.try_send_many(values) {
                Ok(sent) => values = &values[sent..],
                Err(SendError::Full) => {
                    self.send(first).await?;
                    values = rest;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn poll_offer<P: ProducerHandle>(
    registration: &mut Registration,
    producer: &mut P,
    context: &mut Context<'_>,
    message: &P::Message,
) -> Poll<Result<(), SendError>> {
    let attempt = |_| match producer.offer(message) {
        Err(SendError::Full) => None,
        sent => Some(sent),
    };
    // Releases notify all sleepers.
    registration.poll(context, true, attempt, || {})
}

impl<P: ProducerHandle + fmt::Debug> fmt::Debug for AsyncProducer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncProducer").field(&self.producer).finish()
    }
}

/// The future of [`AsyncProducer::send`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct SendFut<'p, P: ProducerHandle> {
    registration: Registration,
    producer: &'p mut P,
    message: &'p P::Message,
}

impl<P: ProducerHandle> Future for SendFut<'_, P> {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { registration, producer, message } = &mut *self;
        poll_offer(registration, *producer, context, message)
    }
}
