//! Every message to every consumer: one order ring, and a cursor for each consumer.

mod mapping;
mod positions;
mod receiver;
mod sender;
mod stats;
mod subscribe;

use std::sync::Arc;

use self::receiver::BroadcastReceiver;
use self::sender::BroadcastSender;
use super::kind::{Broadcast, Engine};
use super::mpmc::mapping::MappedRing as _;
use super::{BytesConsumer, BytesQueue, Recovery, Shared};
use crate::error::{AttachError, RecoverError};
use crate::layout;
use crate::order_ring::broadcast::BroadcastRing;

pub use self::stats::{BroadcastStats, ConsumerStats};
pub use self::subscribe::{ConsumerMode, Start, Subscribe};

impl Engine for Broadcast {
    type Sender = BroadcastSender;
    type Receiver = BroadcastReceiver;
    const NUMBER: u32 = layout::KIND_BROADCAST;
    const NAME: &'static str = "broadcast";
    const WAKES_ALL: bool = true;

    fn attach_sender(shared: Arc<Shared>) -> Result<BroadcastSender, AttachError> {
        BroadcastSender::attach(shared)
    }

    fn attach_receiver(shared: Arc<Shared>) -> Result<BroadcastReceiver, AttachError> {
        BroadcastReceiver::attach(shared, &Subscribe::reliable())
    }

    /// Lossy: a queue that was created with `gating(false)` admits no other.
    fn attach_probe(shared: Arc<Shared>) -> Result<BroadcastReceiver, AttachError> {
        BroadcastReceiver::attach(shared, &Subscribe::lossy())
    }

    /// The messages that are retained.
    fn waiting(shared: &Shared) -> u64 {
        BroadcastRing::of(shared).retained()
    }

    fn room(shared: &Shared) -> u64 {
        BroadcastRing::of(shared).room()
    }

    fn close(shared: &Shared) {
        BroadcastRing::of(shared).close();
    }
}

impl BytesQueue<Broadcast> {
    /// Attaches one of the consumers, which reads as `subscribe` says;
    /// [`consumer`](Self::consumer) is the same with [`Subscribe::reliable`].
    ///
    /// # Errors
    /// [`AttachError::NotAdmitted`] if producers might have to wait for it and the queue was created
    /// with [`gating(false)`](crate::CreateOptions::gating), [`AttachError::NotReached`] if it is to begin
    /// at a position that does not exist yet, [`AttachError::TooManyOfRole`].
    ///
    /// ```
    /// use ringway::broadcast::{BytesQueue, Start, Subscribe};
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::create(&name)? };
    /// queue.producer()?.send_many(&["one", "two"])?;
    /// let consumer = queue.consumer_with(&Subscribe::reliable().from(Start::Oldest))?;
    /// assert_eq!(*consumer.recv()?, *b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer_with(&self, subscribe: &Subscribe) -> Result<BytesConsumer<Broadcast>, AttachError> {
        let attach = |shared| BroadcastReceiver::attach(shared, subscribe);
        BytesConsumer::attach_as(Arc::clone(self.shared()), attach)
    }

    /// Finds dead participants and removes their residue, now.
    ///
    /// Calling this is not necessary: a participant that is blocked by a dead one recovers by
    /// itself. The call is for callers that do not want to wait, and for tests.
    ///
    /// # Errors
    /// [`RecoverError::Busy`] if another process is recovering this queue at this moment.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// assert_eq!(queue.recover()?.deaths, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> Result<Recovery, RecoverError> {
        self.shared().recover_now::<BroadcastRing>()
    }
}
