//! The systems, each at its best.
//!
//! ```text
//! list      all of them: names, scopes, which cases they take part in and how
//! values    queues of one process that take values: rtrb, nexus-queue, crossbeam-queue, crossbeam-channel, flume, kanal
//! the rest  a file each
//! ```

mod disruptor;
mod iceoryx;
mod ipc_channel;
mod ipmpsc;
pub(crate) mod list;
mod posix_mq;
mod ringfire;
mod ringway;
mod seqpacket;
mod shaq;
mod shmem_ipc;
mod streams;
mod values;

use std::path::PathBuf;

use anyhow::Result;

use crate::case::Shape;
use crate::check::Sink;
use crate::wait::Way;

/// The requirements for which a system is created.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) shape: Shape,
    /// Bytes of a message.
    pub(crate) bytes: usize,
    /// Messages that it should have room for.
    pub(crate) capacity: usize,
    /// Messages to send and receive in one call: 1 for one by one.
    pub(crate) batch: usize,
    pub(crate) way: Way,
    /// Receivers must sleep.
    pub(crate) parked: bool,
    /// Where it may put files. Its last part is a name that nothing else uses; everything with that
    /// name is removed in the end.
    pub(crate) directory: PathBuf,
    /// Which of several systems for one measurement this is.
    pub(crate) number: usize,
}

impl Setup {
    /// A path for a file of this system.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}-{}", self.number))
    }

    /// A name that nothing else uses.
    fn unique_name(&self) -> String {
        let name = self.directory.file_name().unwrap_or_default();
        format!("{}-{}", name.to_string_lossy(), self.number)
    }

    fn is_pair(&self) -> bool {
        self.shape == Shape::PAIR
    }
}

/// Something that moves messages of one size. Created by the process that then starts the workers,
/// threads or children that it forks; each of them takes its side for itself.
pub(crate) trait System: Sync + Sized {
    fn new(setup: &Setup) -> Result<Self>;

    /// The side of producer `index`.
    fn sender(&self, index: usize) -> Result<impl Sender>;

    /// The side of consumer `index`.
    fn receiver(&self, index: usize) -> Result<impl Receiver>;
}

/// A side that cannot go on panics: the measurement fails then.
pub(crate) trait Sender {
    /// Sends messages `first`, `first + 1`, …; waits for room.
    fn send(&mut self, first: u64, count: u64);
}

pub(crate) trait Receiver {
    /// Waits for a message, or several, and passes them on.
    fn receive(&mut self, sink: &mut impl Sink);
}

/// A system for each size. Messages of more than some KiB are too large to be moved as values.
pub(crate) trait Family {
    type Small<const W: usize>: System;
    type Large<const W: usize>: System;
}
