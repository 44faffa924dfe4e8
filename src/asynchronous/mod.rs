//! Awaiting messages and room, in any runtime; and descriptors for event loops. Requires the
//! feature `async`.
//!
//! [`AsyncConsumer`] and [`AsyncProducer`] are made of the consumers and producers of any queue,
//! typed or of bytes, SPSC or MPMC:
//!
//! ```
//! use ringway::asynchronous::{AsyncConsumer, AsyncProducer};
//! use ringway::spsc::BytesQueue;
//!
//! # let dir = tempfile::tempdir()?;
//! # let queue = unsafe { BytesQueue::create(dir.path().join("q"))? };
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let mut producer = AsyncProducer::new(queue.producer()?)?;
//! let mut consumer = AsyncConsumer::new(queue.consumer()?)?;
//!
//! producer.send(b"hello").await?;
//! assert_eq!(*consumer.recv().await?, *b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it costs
//!
//! A task that finds what it wants pays nothing: the first attempt is that of `try_recv` or
//! `try_send`. A task that has to wait makes one or two system calls and leaves its waker with the
//! *reactor*: one thread in the process, started by the first handle, that sleeps on the
//! eventcounts of all the queues that tasks wait for (`futex_waitv`, Linux 5.16). There is no
//! thread for a handle, no descriptor, no polling. If more than 127 queues are waited for at the
//! same time, there is another thread for each 127. An idle task is woken ten times a second to
//! check whether a participant that should have notified has died; if many tasks wait for one
//! queue, one of them is. On kernels without `futex_waitv` the reactor sleeps on its queues in
//! turn, a millisecond each, and notifications take effect up to a millisecond late.
//!
//! A message passes one thread more than with [`recv`](crate::kind::BytesConsumer::recv). For the lowest
//! latency, use that, in a thread of its own.
//!
//! # Cancelling
//!
//! Any future here may be dropped at any time, by `tokio::select!` or otherwise: a message is taken
//! in the same call that returns it, so none is lost, and what the future was woken for is passed
//! on to another task or process. [`Canceller`](crate::Canceller)s and
//! [`set_wait_strategy`](crate::kind::BytesConsumer::set_wait_strategy) have no effect here.
//!
//! # Frames and `await`
//!
//! Frames lie in the file and borrow the consumer, so that a task has one at a time, or one batch
//! ([`recv_many`](AsyncConsumer::recv_many)). Those of SPSC queues must stay in their thread: in a
//! task that a runtime may move between threads, drop the frame before the next `await` (the
//! compiler insists), or take what is needed by [`recv_with`](AsyncConsumer::recv_with) or
//! [`into_stream`](AsyncConsumer::into_stream).
//!
//! # Forks
//!
//! A forked child that does not exec can create handles of its own, as always, and gets a reactor
//! of its own. The handles of its parent return `Forked`.

mod consumer;
mod descriptor;
mod kinds;
mod many;
mod producer;
mod sink;
mod stream;
#[cfg(test)]
mod tests;

pub use consumer::{AsyncConsumer, RecvFut};
pub use descriptor::{PollConsumer, PollProducer};
pub use kinds::{ConsumerHandle, ProducerHandle};
pub use many::RecvManyFut;
pub use producer::{AsyncProducer, SendFut};
pub use sink::SendSink;
pub use stream::RecvStream;
