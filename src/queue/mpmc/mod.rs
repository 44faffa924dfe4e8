//! Many producers, many consumers: each with a registry entry, each producer with a lane of its own.

mod census;
mod dead_letter_mover;
mod dead_letters;
pub(super) mod mapping;
pub(super) mod participant;
mod receiver;
pub(super) mod recovery;
mod sender;
pub(super) mod stall;
mod stats;
#[cfg(all(test, not(loom)))]
mod tests;
mod watch;
#[cfg(all(test, not(loom)))]
mod watch_tests;

use std::sync::Arc;

use self::receiver::MpmcReceiver;
use self::sender::MpmcSender;
use super::Shared;
use super::checksummed::serial::Serial;
use super::kind::{Engine, Mpmc};
use crate::error::AttachError;
use crate::layout;

pub(super) use self::dead_letter_mover::SharedDeadLetterMover;
pub use self::dead_letters::DeadLetter;
pub use self::recovery::{Recovery, recover};
pub use self::stats::{ParticipantStats, Stats};

impl Serial for Mpmc {}

impl Engine for Mpmc {
    type Sender = MpmcSender;
    type Receiver = MpmcReceiver;
    const NUMBER: u32 = layout::KIND_MPMC;
    const NAME: &'static str = "MPMC";
    const CHECKED_NAME: &'static str = "MPMC with checksums";

    fn attach_sender(shared: Arc<Shared>) -> Result<MpmcSender, AttachError> {
        MpmcSender::attach(shared)
    }

    fn attach_receiver(shared: Arc<Shared>) -> Result<MpmcReceiver, AttachError> {
        MpmcReceiver::attach(shared)
    }

    fn waiting(shared: &Shared) -> u64 {
        shared.ring().waiting()
    }

    fn room(shared: &Shared) -> u64 {
        shared.ring().free_positions()
    }

    fn close(shared: &Shared) {
        shared.ring().close();
    }
}
