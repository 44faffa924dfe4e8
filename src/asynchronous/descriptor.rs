//! Descriptors for event loops.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::{ConsumerHandle, ProducerHandle};
use crate::error::{RecvError, SendError};
use crate::reactor::{self, Registration, Source, Waits};

/// An eventfd that is readable or not.
struct Flag {
    event: OwnedFd,
}

impl Flag {
    fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { event: new_event()? }))
    }

    /// Makes it readable.
    fn raise(&self) {
        // A write fails only if the counter is full: then it is readable.
        let _ = nix::unistd::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Makes it not readable.
    fn lower(&self) {
        // Fails only if it is not readable.
        let _ = nix::unistd::read(&self.event, &mut [0; 8]);
    }
}

#[allow(unsafe_code, reason = "nix has eventfd behind a feature of its own")]
fn new_event() -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;

    // Readable at first: there was no attempt yet.
    // SAFETY: touches no memory.
    let descriptor = unsafe { libc::eventfd(1, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and known to no other code.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The reactor wakes a flag as it wakes a task.
impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.raise();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise();
    }
}

/// A descriptor, and the registration of the waiter that watches it.
struct Signal {
    registration: Registration,
    flag: Arc<Flag>,
    waker: Waker,
    /// Whether it was lowered since it was raised here.
    is_lowered: bool,
}

impl Signal {
    fn new(source: &Arc<Source>) -> io::Result<Self> {
        let flag = Flag::new()?;
        let waker = Waker::from(Arc::clone(&flag));
        Ok(Self { registration: Registration::new(source), flag, waker, is_lowered: false })
    }

    /// Attempts; if there is nothing, the descriptor is raised when there may be something.
    fn attempt<R>(
        &mut self,
        always: bool,
        mut attempt: impl FnMut(bool) -> Option<R>,
        pass_on: impl FnOnce(),
    ) -> Option<R> {
        let Self { registration, flag, waker, is_lowered } = self;
        let attempt = |closely| {
            let found = attempt(closely);
            if found.is_none() && !closely {
                // Before the flag can be raised for the last attempt, or for what comes after it.
                flag.lower();
                *is_lowered = true;
            }
            found
        };
        match registration.poll(&mut Context::from_waker(waker), always, attempt, pass_on) {
            Poll::Ready(found) => {
                if std::mem::take(is_lowered) {
                    // There may be more than this.
                    flag.raise();
                }
                Some(found)
            }
            Poll::Pending => None,
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flag.event.fmt(f)
    }
}

/// A consumer with a descriptor for `poll`, `epoll`, GLib, asyncio and the like: readable as long
/// as a message may be there.
///
/// Watch the descriptor for reading, in level mode (the default of all of these), and do not read
/// from it: [`try_recv`](Self::try_recv) does so when it finds nothing. So the loop to write is:
///
/// ```
/// use std::os::fd::AsFd;
///
/// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
/// use ringway::RecvError;
/// use ringway::asynchronous::PollConsumer;
///
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// # queue.producer()?.send(b"hello")?;
/// # queue.close();
/// let mut consumer = PollConsumer::new(queue.consumer()?)?;
/// 'events: loop {
///     poll(&mut [PollFd::new(consumer.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
///     // One message or all of them: until `Empty` is seen, the descriptor stays readable.
///     loop {
///         match consumer.try_recv() {
///             Ok(frame) => println!("{} bytes", frame.len()),
///             Err(RecvError::Empty) => break,
///             Err(RecvError::Closed) => break 'events,
///             Err(error) => return Err(error.into()),
///         }
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In edge mode (`EPOLLET`) the inner loop must go on until `Empty`.
///
/// It may be readable although nothing is there: another consumer was quicker, or a sleep timeout
/// of 100 ms has ended, in which a participant that should have notified may have died.
///
/// The consumer itself stays within reach:
///
/// ```
/// use ringway::asynchronous::PollConsumer;
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let mut consumer = PollConsumer::new(queue.consumer()?)?;
/// assert!(consumer.try_recv().unwrap_err().is_empty());
/// assert!(consumer.get_ref().is_empty());
/// let consumer = consumer.into_inner(); // waits as usual again
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PollConsumer<C: ConsumerHandle> {
    /// Declared before the consumer, so that its notification is passed on first.
    signal: Signal,
    consumer: C,
}

impl<C: ConsumerHandle> PollConsumer<C> {
    /// Creates a descriptor for a consumer. The first handle of a process starts the thread that
    /// sleeps for all handles.
    ///
    /// # Errors
    /// If that thread cannot be started, or the process has too many descriptors.
    pub fn new(consumer: C) -> io::Result<Self> {
        let signal = Signal::new(&reactor::source(consumer.event(), Waits::Messages)?)?;
        Ok(Self { signal, consumer })
    }

    /// Attempts to receive the next message. If there is none, the descriptor is not readable from
    /// now on, until there may be one.
    ///
    /// # Errors
    /// Those of the consumer's [`try_recv`](crate::kind::BytesConsumer::try_recv). The descriptor stays
    /// readable with every error but `Empty`.
    pub fn try_recv(&mut self) -> Result<C::Frame<'_>, RecvError> {
        let Self { signal, consumer } = self;
        let attempt = |closely| match consumer.attempt(closely) {
            Err(RecvError::Empty) => None,
            found => Some(found),
        };
        let found = signal.attempt(consumer.attempts_after_every_wake(), attempt, || consumer.pass_on());
        if found.is_none() {
            signal.registration.limit_slices(consumer.watch_slice());
        }
        self.consumer.lend(found.unwrap_or(Err(RecvError::Empty))?)
    }

    /// Returns the consumer, for operations that do not wait. A `try_recv` of that consumer leaves
    /// the descriptor as it is.
    pub fn get_ref(&self) -> &C {
        &self.consumer
    }

    /// Returns the consumer, without a descriptor.
    pub fn into_inner(self) -> C {
        self.consumer
    }
}

impl<C: ConsumerHandle> AsFd for PollConsumer<C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signal.flag.event.as_fd()
    }
}

impl<C: ConsumerHandle> AsRawFd for PollConsumer<C> {
    fn as_raw_fd(&self) -> RawFd {
        self.signal.flag.event.as_raw_fd()
    }
}

/// A producer with a descriptor for event loops: *readable* as long as there may be room.
///
/// Watch the descriptor for reading, in level mode, and only while there is something to send: it
/// is readable most of the time. When [`try_send`](Self::try_send) has returned `Full`, wait for
/// the descriptor and try again.
///
/// ```
/// use std::os::fd::AsFd;
///
/// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
/// use ringway::SendError;
/// use ringway::asynchronous::PollProducer;
///
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let mut producer = PollProducer::new(queue.producer()?)?;
/// while let Err(SendError::Full) = producer.try_send(b"hello") {
///     poll(&mut [PollFd::new(producer.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The producer itself stays within reach:
///
/// ```
/// use ringway::asynchronous::PollProducer;
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
/// let mut producer = PollProducer::new(queue.producer()?)?;
/// producer.try_send(b"hello")?;
/// assert!(!producer.get_mut().is_empty());
/// let producer = producer.into_inner(); // waits as usual again
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PollProducer<P: ProducerHandle> {
    signal: Signal,
    producer: P,
}

impl<P: ProducerHandle> PollProducer<P> {
    /// Creates a descriptor for a producer. The first handle of a process starts the thread that
    /// sleeps for all handles.
    ///
    /// # Errors
    /// If that thread cannot be started, or the process has too many descriptors.
    pub fn new(producer: P) -> io::Result<Self> {
        let signal = Signal::new(&reactor::source(producer.event(), Waits::Room)?)?;
        Ok(Self { signal, producer })
    }

    /// Attempts to send the message. If there is no room, the descriptor is not readable from now
    /// on, until there may be some.
    ///
    /// # Errors
    /// Those of the producer's [`try_send`](crate::kind::BytesProducer::try_send). The descriptor stays
    /// readable with every error but `Full`.
    pub fn try_send(&mut self, message: &P::Message) -> Result<(), SendError> {
        let Self { signal, producer } = self;
        let attempt = |_| match producer.offer(message) {
            Err(SendError::Full) => None,
            sent => Some(sent),
        };
        let sent = signal.attempt(true, attempt, || {});
        sent.unwrap_or(Err(SendError::Full))
    }

    /// Returns the producer, for operations that do not wait. A `try_send` of that producer leaves
    /// the descriptor as it is.
    pub fn get_mut(&mut self) -> &mut P {
        &mut self.producer
    }

    /// Returns the producer, without a descriptor.
    pub fn into_inner(self) -> P {
        self.producer
    }
}

impl<P: ProducerHandle> AsFd for PollProducer<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signal.flag.event.as_fd()
    }
}

impl<P: ProducerHandle> AsRawFd for PollProducer<P> {
    fn as_raw_fd(&self) -> RawFd {
        self.signal.flag.event.as_raw_fd()
    }
}
