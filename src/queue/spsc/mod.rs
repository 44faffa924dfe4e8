//! One producer and one consumer, each with the whole lane to itself.

mod attach;
mod receiver;
mod sender;
#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;

use self::receiver::SpscReceiver;
use self::sender::SpscSender;
use super::Shared;
use super::kind::{Engine, Spsc};
use crate::error::AttachError;
use crate::layout;

impl Engine for Spsc {
    type Sender = SpscSender;
    type Receiver = SpscReceiver;
    const NUMBER: u32 = layout::KIND_SPSC;
    const NAME: &'static str = "SPSC";

    fn attach_sender(shared: Arc<Shared>) -> Result<SpscSender, AttachError> {
        SpscSender::attach(shared)
    }

    fn attach_receiver(shared: Arc<Shared>) -> Result<SpscReceiver, AttachError> {
        SpscReceiver::attach(shared)
    }

    /// The flag beside the bell is all there is: the producer looks at it before each message.
    fn close(_shared: &Shared) {}
}
