//! Dead letters: messages that came again too often go to a queue of their own, called `<name>.dead`.

use std::path::PathBuf;
use std::sync::Arc;

use super::sender::MpmcSender;
use crate::error::OpenError;
use crate::layout::Policy;
use crate::queue::kind::{Mpmc, Sender};
use crate::queue::{BytesFrame, BytesQueue, Shared};

/// Where a dead letter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeadLetter {
    /// The queue that it was sent to.
    pub queue: [u8; 16],
    /// Its position there. A message that is buried twice, because the one that did it died before it could say so, has
    /// the same one both times.
    pub position: u64,
}

/// A consumer's way to the dead-letter queue, opened when it is needed.
#[derive(Default)]
pub(super) struct Letters {
    sender: Option<MpmcSender>,
}

impl Letters {
    /// Copies a message there, unless it is there already. False if that does not work.
    pub(super) fn send(&mut self, shared: &Shared, payload: &[u8], position: u64) -> bool {
        if self.sender.is_none() {
            self.sender = shared.dead_letters(true).ok().and_then(|queue| MpmcSender::attach(queue).ok());
        }
        let Some(sender) = &mut self.sender else { return false };
        let origin = (position, words_of(shared.uuid()));
        if sender.links().has_letter(origin) {
            return true;
        }
        let is_sent = sender.send_letter(payload, origin);
        if is_sent {
            sender.shared().bells().messages.notify(1);
        }
        is_sent
    }
}

fn words_of(uuid: [u8; 16]) -> [u64; 2] {
    let number = u128::from_ne_bytes(uuid);
    [number as u64, (number >> 64) as u64]
}

impl Shared {
    fn dead_letters(&self, create: bool) -> Result<Arc<Shared>, OpenError> {
        let mut name = self.path().as_os_str().to_owned();
        name.push(".dead");
        let name = PathBuf::from(name);
        if !create {
            return Self::open::<Mpmc>(&name, self.schema());
        }
        let policy = Policy { at_most_once: false, max_redeliveries: 0, has_letters: true };
        Self::open_or_create::<Mpmc>(&name, &self.options_with(policy), self.schema())
    }
}

impl BytesQueue<Mpmc> {
    /// The queue that holds this one's dead letters: messages that came again more often than
    /// [`Options::max_redeliveries`](crate::Options::max_redeliveries) says. It is an ordinary queue in a file of its own,
    /// `<name>.dead`, made with the first dead letter.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there has been none.
    pub fn dead_letters(&self) -> Result<Self, OpenError> {
        self.shared().dead_letters(false).map(Self::from_shared)
    }
}

impl BytesFrame<'_, Mpmc> {
    /// Where the message comes from, in a dead-letter queue; else none.
    pub fn dead_letter(&self) -> Option<DeadLetter> {
        let (position, [low, high]) = self.keeper().letter(self.taken())?;
        Some(DeadLetter { queue: (u128::from(high) << 64 | u128::from(low)).to_ne_bytes(), position })
    }
}
