//! Dead letters: messages that were redelivered too many times go to a queue of their own, called
//! `<name>.dead`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::OpenError;
use crate::order_ring::SentDeadLetter;
use crate::queue::file::letters_name::letters_name;
use crate::queue::kind::Mpmc;
use crate::queue::{BytesFrame, BytesQueue, Shared, Uuid};

/// The origin and the history of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The queue that the message was sent to. A queue that was created anew under the same name is
    /// another one: [`BytesQueue::uuid`] tells them apart.
    pub queue: Uuid,
    /// The message's position in that queue. A message that became a dead letter twice, because the
    /// consumer that moved it died before it released it, has the same position both times.
    pub position: u64,
    /// How many times the message had been redelivered by then, counted up to 15.
    pub redeliveries: u64,
    /// The process that held the message last, and died or rejected it, by its pid in its own pid
    /// namespace; none if that is not known.
    pub last_holder: Option<u32>,
    /// When the message became a dead letter, by the clock of the consumer that moved it.
    pub at: SystemTime,
}

impl DeadLetter {
    pub(crate) fn new(letter: SentDeadLetter) -> Self {
        let SentDeadLetter { origin: (position, [low, high]), redeliveries, holder, at_ns } = letter;
        Self {
            queue: Uuid::from((u128::from(high) << 64 | u128::from(low)).to_ne_bytes()),
            position,
            redeliveries,
            last_holder: u32::try_from(holder).ok().filter(|pid| *pid != 0),
            at: SystemTime::UNIX_EPOCH + Duration::from_nanos(at_ns),
        }
    }
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue, position, redeliveries, last_holder, .. } = self;
        write!(f, "position {position} of queue {queue}, redelivered {redeliveries} times")?;
        match last_holder {
            Some(pid) => write!(f, ", last held by process {pid}"),
            None => Ok(()),
        }
    }
}

impl Shared {
    /// Whether messages of this queue may become dead letters.
    pub(super) fn has_dead_letters(&self) -> bool {
        self.geometry().order.is_some_and(|order| order.policy.max_redeliveries != 0) && !self.is_memfd()
    }

    /// Opens the dead-letter queue; creates it if there is none and `create` says so.
    pub(super) fn dead_letters(&self, create: bool) -> Result<Arc<Shared>, OpenError> {
        if self.is_memfd() {
            let reason = format!("{} has no name, and so none for its dead letters", self.path().display());
            return Err(OpenError::InvalidName { reason });
        }
        let name = letters_name(self.path());
        if !create {
            return Self::open::<Mpmc>(&name, self.schema(), self.derived_handle_options());
        }
        Self::open_or_create::<Mpmc>(&name, &self.options_for_letters(), self.schema())
    }
}

impl BytesQueue<Mpmc> {
    /// Opens the queue that holds this queue's dead letters: messages that were redelivered more
    /// often than [`CreateOptions::max_redeliveries`](crate::CreateOptions::max_redeliveries) allows. It is an
    /// ordinary queue in a file of its own, `<name>.dead`. It is created with the first dead
    /// letter, or by this call, so that a consumer can wait for the first one.
    ///
    /// A queue that is created anew under the same name finds the dead letters of the queue before
    /// it there: [`DeadLetter::queue`] tells which queue each comes from.
    /// [`unlink_with_letters`](crate::unlink_with_letters) removes both files.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there is none, and this queue's messages never become dead
    /// letters. Otherwise as opening and creating a queue: the file that has that name may be
    /// something else.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("jobs");
    /// let options = ringway::CreateOptions::new().max_redeliveries(1);
    /// // SAFETY: every process that can write this file uses ringway.
    /// let queue = unsafe { ringway::mpmc::BytesQueue::create_with(&name, &options)? };
    /// let letters = queue.dead_letters()?.consumer()?;
    /// # let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// # producer.send(b"poison")?;
    /// # (0..2).try_for_each(|_| consumer.recv().map(|frame| frame.reject()))?;
    /// # assert!(consumer.try_recv().is_err());
    /// let letter = letters.recv()?;
    /// let about = letter.dead_letter().expect("a dead letter");
    /// assert_eq!((about.queue, about.redeliveries), (queue.uuid(), 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(&self) -> Result<Self, OpenError> {
        let shared = self.shared();
        shared.dead_letters(shared.has_dead_letters()).map(Self::from_shared)
    }
}

impl BytesFrame<'_, Mpmc> {
    /// Returns the origin and the history of the message, if this is a dead-letter queue; else
    /// none.
    pub fn dead_letter(&self) -> Option<DeadLetter> {
        self.store().letter(self.taken()).map(DeadLetter::new)
    }
}
