//! POSIX message queues. Many of both, no batches. As many messages as the system allows: ten
//! without privileges.

use std::sync::Mutex;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_open, mq_receive, mq_send, mq_set_nonblock, mq_unlink};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;
use workload::fill_bytes;

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Waiter, Way};

/// More are not requested ...
const MOST: usize = 8192;
/// ... and if that is too much, the number in this file.
const MAX_WITHOUT_PRIVILEGES: &str = "/proc/sys/fs/mqueue/msg_max";
const LONGEST: &str = "/proc/sys/fs/mqueue/msgsize_max";

fn allowed(file: &str) -> usize {
    std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(10)
}

/// The workers are forked from the process that has the descriptor, and inherit it.
pub(super) struct PosixMq<const W: usize> {
    queue: Mutex<Option<MqdT>>,
    way: Way,
}

impl<const W: usize> System for PosixMq<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let name = format!("/{}", setup.unique_name());
        // Fails without privileges, as may more messages or larger ones.
        let _ = setrlimit(Resource::RLIMIT_MSGQUEUE, libc::RLIM_INFINITY, libc::RLIM_INFINITY);
        let open = |messages: usize| {
            let attributes = MqAttr::new(0, messages as i64, setup.bytes as i64, 0);
            let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR;
            mq_open(name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR, Some(&attributes))
        };
        let queue = open(setup.capacity.min(MOST)).or_else(|_| open(allowed(MAX_WITHOUT_PRIVILEGES)));
        let queue = queue.with_context(|| {
            format!("no queue for messages of {} bytes: {LONGEST} allows {}", setup.bytes, allowed(LONGEST))
        })?;
        // Processes that have it open keep it; nothing is left.
        mq_unlink(name.as_str()).context("removing the message queue's name")?;
        if setup.way != Way::Own {
            mq_set_nonblock(&queue).context("not blocking")?;
        }
        Ok(Self { queue: Mutex::new(Some(queue)), way: setup.way })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        Ok(Side::<W> { queue: self.inherited()?, way: self.way, buffer: vec![0; W * 8] })
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        Ok(Side::<W> { queue: self.inherited()?, way: self.way, buffer: vec![0; W * 8] })
    }
}

impl<const W: usize> PosixMq<W> {
    /// This worker's descriptor. (It takes one side; its parent keeps its own copy.)
    fn inherited(&self) -> Result<MqdT> {
        self.queue.lock().expect("no worker panics here").take().context("each worker takes one side")
    }
}

struct Side<const W: usize> {
    queue: MqdT,
    way: Way,
    buffer: Vec<u8>,
}

fn until_done<R>(way: Way, mut call: impl FnMut() -> nix::Result<R>) -> R {
    let mut waiter = Waiter::new(way);
    loop {
        match call() {
            Ok(done) => return done,
            Err(Errno::EAGAIN) => waiter.wait(),
            Err(Errno::EINTR) => {}
            Err(error) => panic!("the message queue failed: {error}"),
        }
    }
}

impl<const W: usize> Sender for Side<W> {
    fn send(&mut self, first: u64, count: u64) {
        for word in first..first + count {
            fill_bytes::<W>(word, &mut self.buffer);
            until_done(self.way, || mq_send(&self.queue, &self.buffer, 0));
        }
    }
}

impl<const W: usize> Receiver for Side<W> {
    fn receive(&mut self, sink: &mut impl Sink) {
        let mut priority = 0;
        let len = until_done(self.way, || mq_receive(&self.queue, &mut self.buffer, &mut priority));
        sink.bytes::<W>(&self.buffer[..len]);
    }
}

pub(super) struct PosixMqs;

impl Family for PosixMqs {
    type Small<const W: usize> = PosixMq<W>;
    type Large<const W: usize> = PosixMq<W>;
}
