//! One producer and one consumer, each with the whole lane to itself.

mod attach;
mod receiver;
mod sender;
mod serial;
#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;

use self::receiver::SpscReceiver;
use self::sender::SpscSender;
use super::Shared;
use super::checksummed::serial::Serial;
use super::kind::{Engine, Spsc};
use crate::error::{AttachError, Role};
use crate::lane::Ref;
use crate::layout::{self, Cursors};
use crate::sync::Ordering;

impl Serial for Spsc {}

impl Engine for Spsc {
    type Sender = SpscSender;
    type Receiver = SpscReceiver;
    const NUMBER: u32 = layout::KIND_SPSC;
    const NAME: &'static str = "SPSC";
    const CHECKED_NAME: &'static str = "SPSC with checksums";

    fn attach_sender(shared: Arc<Shared>) -> Result<SpscSender, AttachError> {
        SpscSender::attach(shared)
    }

    fn attach_receiver(shared: Arc<Shared>) -> Result<SpscReceiver, AttachError> {
        SpscReceiver::attach(shared)
    }

    fn waiting(shared: &Shared) -> u64 {
        let cursors: Ref<Cursors> = shared.words(layout::CURSORS_OFFSET);
        let consumer = &cursors.consumer;
        // What a consumer that is gone had in flight waits again. In doubt the consumer counts as
        // alive.
        let is_alive = || shared.is_role_taken(Role::Consumer).unwrap_or(true);
        let taken = consumer.taken.load(Ordering::Relaxed);
        let released = consumer.released.load(Ordering::Relaxed);
        let from = if taken > released && is_alive() { taken } else { released };
        cursors.tail.load(Ordering::Relaxed).saturating_sub(from)
    }

    fn room(shared: &Shared) -> u64 {
        let cursors: Ref<Cursors> = shared.words(layout::CURSORS_OFFSET);
        let consumer = &cursors.consumer;
        let used =
            cursors.tail.load(Ordering::Relaxed).saturating_sub(consumer.released.load(Ordering::Relaxed));
        shared.geometry().capacity.saturating_sub(used)
    }

    /// The flag beside the eventcount suffices: the producer reads it before each message.
    fn close(_shared: &Shared) {}
}
