//! The things that a set waits for.

use std::fmt;
use std::time::Duration;

use crate::park::EventCount;
use crate::queue::{BytesConsumer, BytesProducer, Kind};
use crate::typed::{Consumer, Message, Producer};
use crate::wait::Attempt;

/// One of the things that a [`WaitSet`](super::WaitSet) waits for: a message of a consumer, or room
/// of a producer. Created for each wait; it costs nothing.
///
/// ```
/// use ringway::{Interest, WaitSet};
/// # let dir = tempfile::tempdir()?;
/// # let jobs = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("jobs"))? };
/// # let results = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("results"))? };
/// let (consumer, mut producer) = (jobs.consumer()?, results.producer()?);
/// let mut set = WaitSet::new();
/// // A message of 100 bytes may be sent: there is room.
/// let ready = set.wait(&mut [Interest::messages(&consumer), Interest::room(&mut producer, 100)])?;
/// assert_eq!(ready, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Interest<'a>(For<'a>);

enum For<'a> {
    Messages(&'a dyn Messages),
    Room(&'a mut dyn Room, usize),
}

impl<'a> Interest<'a> {
    /// Creates an interest in messages of a [`Consumer`] or [`BytesConsumer`], of any kind.
    #[allow(private_bounds, reason = "sealed: how it is written is no one else's business")]
    pub fn messages(consumer: &'a impl Messages) -> Self {
        Self(For::Messages(consumer))
    }

    /// Creates an interest in room for a message of `len` bytes, of a [`Producer`] or
    /// [`BytesProducer`] of any kind. A length that the queue never takes counts as ready.
    #[allow(private_bounds, reason = "sealed: how it is written is no one else's business")]
    pub fn room(producer: &'a mut impl Room, len: usize) -> Self {
        Self(For::Room(producer, len))
    }

    pub(super) fn event(&mut self) -> &EventCount {
        match &mut self.0 {
            For::Messages(consumer) => consumer.event(),
            For::Room(producer, _) => producer.event(),
        }
    }

    /// The longest sleep without a check for dead peers: as for a handle that waits for this alone.
    pub(super) fn max_sleep(&self) -> Duration {
        match &self.0 {
            For::Messages(consumer) => consumer.watch_slice().min(Duration::from_millis(100)),
            For::Room(..) => Duration::from_millis(20),
        }
    }

    /// Whether the next call of the handle says why nothing comes.
    pub(super) fn has_cause(&self) -> bool {
        match &self.0 {
            For::Messages(consumer) => consumer.has_cause(),
            For::Room(producer, _) => producer.has_cause(),
        }
    }

    /// Whether it is ready, by this attempt.
    pub(super) fn is_ready(&mut self, which: Attempt) -> bool {
        match &mut self.0 {
            For::Messages(consumer) => consumer.is_ready(which),
            For::Room(producer, len) => producer.is_ready(*len, which),
        }
    }
}

impl fmt::Debug for Interest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            For::Messages(_) => f.write_str("Interest in messages"),
            For::Room(_, len) => write!(f, "Interest in room for {len} bytes"),
        }
    }
}

trait Messages {
    fn event(&self) -> &EventCount;
    fn watch_slice(&self) -> Duration;
    fn has_cause(&self) -> bool;
    fn is_ready(&self, which: Attempt) -> bool;
}

impl<K: Kind> Messages for BytesConsumer<K> {
    fn event(&self) -> &EventCount {
        self.event()
    }

    fn watch_slice(&self) -> Duration {
        self.watch_slice()
    }

    fn has_cause(&self) -> bool {
        self.has_cause()
    }

    fn is_ready(&self, which: Attempt) -> bool {
        self.is_ready(which)
    }
}

impl<T: Message, K: Kind> Messages for Consumer<T, K> {
    fn event(&self) -> &EventCount {
        self.bytes().event()
    }

    fn watch_slice(&self) -> Duration {
        self.bytes().watch_slice()
    }

    fn has_cause(&self) -> bool {
        self.bytes().has_cause()
    }

    fn is_ready(&self, which: Attempt) -> bool {
        self.bytes().is_ready(which)
    }
}

trait Room {
    fn event(&self) -> &EventCount;
    fn has_cause(&self) -> bool;
    fn is_ready(&mut self, len: usize, which: Attempt) -> bool;
}

impl<K: Kind> Room for BytesProducer<K> {
    fn event(&self) -> &EventCount {
        self.event()
    }

    fn has_cause(&self) -> bool {
        self.has_cause()
    }

    fn is_ready(&mut self, len: usize, which: Attempt) -> bool {
        self.is_ready(len, which)
    }
}

impl<T: Message, K: Kind> Room for Producer<T, K> {
    fn event(&self) -> &EventCount {
        self.bytes().event()
    }

    fn has_cause(&self) -> bool {
        self.bytes().has_cause()
    }

    fn is_ready(&mut self, len: usize, which: Attempt) -> bool {
        self.bytes_mut().is_ready(len, which)
    }
}
