//! From a stream into a queue: each message is committed to the queue before it is acknowledged to the server.
//!
//! A task (`puller.rs`) pulls from a [`Source`], epoch after epoch, and judges messages; a thread (`committer.rs`) owns the
//! queue's producer. An SPSC queue receives each message exactly once, in the stream's order, whichever process is killed
//! when: `ledger.rs` has the proof. An MPMC queue receives each at least once; a kill between a commit and its
//! acknowledgement repeats what was committed and not acknowledged, one batch at most.
//!
//! A full queue holds the stream up: nothing more is pulled than the server may have outstanding, two batches.

mod committer;
#[cfg(test)]
mod double;
mod judge;
mod ledger;
mod puller;
pub mod source;
mod target;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringway::Sharing;

use crate::failure::Failure;
use crate::stats::Stats;
use crate::stop::Stop;
use puller::Puller;
pub use source::Source;
pub use target::Create;
use target::Target;

/// What to do with a message that the queue cannot take: too large, of another length than the queue's, without a type
/// for a typed queue, or damaged. A message of *another* type always ends the link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnBad {
    /// The link ends, refused; the message stays in the stream, not acknowledged.
    #[default]
    Stop,
    /// It is stored under this subject, with the reason, and acknowledged.
    DeadLetter(String),
}

/// A link from a stream into a queue.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The queue: a bare name is a file in /dev/shm, anything with a slash is a path.
    pub queue: PathBuf,
    /// Which users may write to the queue's file, and are therefore trusted.
    pub sharing: Sharing,
    /// How to create the queue if it does not exist.
    pub create: Option<Create>,
    /// See [`OnBad`].
    pub on_bad: OnBad,
    /// Goes on where the server's consumer is, if the ledger is of another stream or does not fit the queue.
    pub takes_over: bool,
    /// When the link is asked to end: how long it waits until the server has all acknowledgements.
    pub drain: Duration,
    /// While the queue is full: how often the server is told that its messages are still being worked on. Less than
    /// half of the consumer's ack wait.
    pub keep_interval: Duration,
}

impl Inbound {
    /// A link into this queue, with the defaults.
    pub fn new(queue: impl Into<PathBuf>) -> Self {
        Self {
            queue: queue.into(),
            sharing: Sharing::Owner,
            create: None,
            on_bad: OnBad::Stop,
            takes_over: false,
            drain: Duration::from_secs(10),
            keep_interval: Duration::from_secs(10),
        }
    }

    /// Carries messages until `stop` asks to end; outages do not end it.
    ///
    /// # Errors
    /// [`Failure::Refused`] if going on would lose, repeat or damage messages, [`Failure::Failed`] if the queue cannot be
    /// written to.
    pub async fn run<S: Source>(&self, mut source: S, stats: Arc<Stats>, stop: Stop) -> Result<(), Failure> {
        if let OnBad::DeadLetter(subject) = &self.on_bad {
            source.dead_letters_to(subject);
        }
        let target = Target::new(self, stop.clone());
        Puller::new(self, source, target, stats).run(stop).await
    }
}
