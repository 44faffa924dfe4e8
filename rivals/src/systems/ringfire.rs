//! ringfire: its ring of one producer in lossless mode where there is one of each; messages of 64 KiB and more through its
//! arena of blobs, which has no lossless mode, so that the producer asks for `headroom` itself; with many of both its MPMC
//! ring, which drops the oldest messages when consumers are slower than producers: no flow control can be had there.
#![allow(unsafe_code, reason = "bytes of words")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use ringfire::{
    BlobConsumer, BlobProducer, BlobProducerBuilder, CleanupMode, FlowControl, FutexWait, MpmcProducer,
    MpmcQueueConsumer, RingConsumer, RingProducer, RingProducerBuilder,
};

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::message::{Message, fill_bytes, make};
use crate::wait::{Waiter, Way, until};

/// The producer makes the ring when it comes; consumers wait so long for it.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Ringfire<const W: usize> {
    path: PathBuf,
    is_pair: bool,
    capacity: u64,
    way: Way,
    batch: usize,
    /// The MPMC ring lives as long as the one who made it.
    _made: Option<MpmcProducer<Message<W>>>,
}

impl<const W: usize> System for Ringfire<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let (path, is_pair) = (setup.path("ringfire"), setup.is_pair());
        let capacity = setup.capacity.next_power_of_two() as u64;
        let made =
            if is_pair { None } else { Some(MpmcProducer::create(&path, capacity).map_err(readable)?) };
        Ok(Self { path, is_pair, capacity, way: setup.way, batch: setup.batch, _made: made })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        Ok(if self.is_pair {
            let ring =
                RingProducerBuilder::new(self.capacity).flow_control(FlowControl::LosslessBackpressure);
            let tx = ring.cleanup_mode(CleanupMode::Persistent).build(&self.path).map_err(readable)?;
            Tx::<W>::One { tx, way: self.way, batch: Vec::with_capacity(self.batch), most: self.batch }
        } else {
            Tx::Many(MpmcProducer::attach(&self.path).map_err(readable)?)
        })
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        Ok(if self.is_pair {
            let rx = when_made(&self.path, || RingConsumer::attach(&self.path))?;
            Rx::<W>::One { rx, way: self.way, batch: vec![[0; W]; self.batch] }
        } else {
            Rx::Many(MpmcQueueConsumer::attach(&self.path).map_err(readable)?, self.way)
        })
    }
}

fn readable(error: ringfire::RingfireError) -> anyhow::Error {
    anyhow!("{error}")
}

/// Attaches as soon as there is something to attach to.
fn when_made<R>(path: &Path, mut attach: impl FnMut() -> Result<R, ringfire::RingfireError>) -> Result<R> {
    let start = Instant::now();
    loop {
        match attach() {
            Err(_) if start.elapsed() < PATIENCE => std::thread::yield_now(),
            Err(error) => return Err(anyhow!("{}: {error}", path.display())),
            Ok(attached) => return Ok(attached),
        }
    }
}

enum Tx<const W: usize> {
    One { tx: RingProducer<Message<W>>, way: Way, batch: Vec<Message<W>>, most: usize },
    Many(MpmcProducer<Message<W>>),
}

impl<const W: usize> Sender for Tx<W> {
    fn send(&mut self, first: u64, count: u64) {
        match self {
            Self::One { tx, way: Way::Own, most: 1, .. } => {
                (first..first + count).for_each(|word| tx.push(&make(word)));
            }
            Self::One { tx, way, most: 1, .. } => {
                for word in first..first + count {
                    let message = make(word);
                    let mut waiter = Waiter::new(*way);
                    while tx.try_push(&message).is_err() {
                        waiter.wait();
                    }
                }
            }
            Self::One { tx, batch, most, .. } => {
                for start in (first..first + count).step_by(*most) {
                    batch.clear();
                    batch.extend((start..(first + count).min(start + *most as u64)).map(make));
                    tx.push_batch(batch);
                }
            }
            // It has no batches.
            Self::Many(tx) => (first..first + count).for_each(|word| {
                let _ = tx.push(&make(word));
            }),
        }
    }
}

enum Rx<const W: usize> {
    One { rx: RingConsumer<Message<W>>, way: Way, batch: Vec<Message<W>> },
    Many(MpmcQueueConsumer<Message<W>>, Way),
}

impl<const W: usize> Receiver for Rx<W> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        match self {
            Self::One { rx, way: Way::Own, .. } => {
                sink.words(rx.recv_blocking(&mut FutexWait::default()).into_iter());
            }
            Self::One { rx, way, batch } if batch.len() == 1 => {
                sink.words(until(*way, || rx.try_recv()).into_iter());
            }
            Self::One { rx, way, batch } => {
                let count = until(*way, || Some(rx.recv_batch(batch)).filter(|count| *count > 0));
                batch[..count].iter().for_each(|message| sink.words(message.iter().copied()));
            }
            Self::Many(rx, way) => sink.words(until(*way, || rx.try_recv()).into_iter()),
        }
    }
}

/// Large messages between one of each.
pub(super) struct Blobs<const W: usize> {
    path: PathBuf,
    capacity: u64,
    way: Way,
    inner: Option<Ringfire<W>>,
}

impl<const W: usize> System for Blobs<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let capacity = setup.capacity.next_power_of_two() as u64;
        let inner = if setup.is_pair() { None } else { Some(Ringfire::new(setup)?) };
        Ok(Self { path: setup.path("ringfire"), capacity, way: setup.way, inner })
    }

    fn sender(&self, index: usize) -> Result<impl Sender> {
        Ok(match &self.inner {
            Some(inner) => Either::Ring(inner.sender(index)?),
            None => {
                // As many slots as the arena has room for, and half of them for what is being written.
                let arena = 2 * self.capacity as usize * W * 8;
                let ring =
                    BlobProducerBuilder::new(self.capacity, arena).cleanup_mode(CleanupMode::Persistent);
                Either::Blob(BlobTx::<W>(ring.build(&self.path).map_err(readable)?, self.way))
            }
        })
    }

    fn receiver(&self, index: usize) -> Result<impl Receiver> {
        Ok(match &self.inner {
            Some(inner) => Either::Ring(inner.receiver(index)?),
            None => {
                let attach = || BlobConsumer::attach_with_name(&self.path, "consumer");
                Either::Blob(BlobRx::<W>(when_made(&self.path, attach)?, self.way))
            }
        })
    }
}

enum Either<R, B> {
    Ring(R),
    Blob(B),
}

struct BlobTx<const W: usize>(BlobProducer<()>, Way);
struct BlobRx<const W: usize>(BlobConsumer<()>, Way);

impl<R: Sender, const W: usize> Sender for Either<R, BlobTx<W>> {
    fn send(&mut self, first: u64, count: u64) {
        let BlobTx(tx, way) = match self {
            Self::Ring(ring) => return ring.send(first, count),
            Self::Blob(blob) => blob,
        };
        for word in first..first + count {
            let mut waiter = Waiter::new(*way);
            // One that is being read counts as unread.
            while tx.headroom() < 2 {
                waiter.wait();
            }
            tx.push_with(&(), W * 8, |payload| fill_bytes::<W>(word, payload))
                .map_err(readable)
                .expect("pushed");
        }
    }
}

impl<R: Receiver, const W: usize> Receiver for Either<R, BlobRx<W>> {
    fn receive(&mut self, sink: &mut impl Sink) {
        let BlobRx(rx, way) = match self {
            Self::Ring(ring) => return ring.receive(sink),
            Self::Blob(blob) => blob,
        };
        until(*way, || rx.view(|(), payload| sink.bytes::<W>(payload)).map_err(readable).expect("a look"));
        assert_eq!(rx.lapped_count(), 0, "messages were overwritten before they were read");
    }
}

pub(super) struct Ringfires;

impl Family for Ringfires {
    type Small<const W: usize> = Ringfire<W>;
    type Large<const W: usize> = Blobs<W>;
}
