//! ringway: queues of bytes, messages written and read in place. SPSC queues where there is one of
//! each, with fixed-size messages; MPMC queues otherwise.
#![allow(unsafe_code, reason = "queue files that only this program's processes know")]

use std::marker::PhantomData;
use std::path::PathBuf;

use anyhow::Result;
use ringway::kind::{BytesConsumer, BytesProducer, BytesQueue, Kind, Mpmc, Spsc};
use ringway::{AttachError, CreateOptions, Framing, RecvError, SendError};
use workload::fill_bytes;

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Way, until};

/// Bytes of the smallest lane.
const LANE: usize = 1 << 19;

/// What differs.
pub(super) trait Made: Kind + Sync {
    fn options(setup: &Setup) -> CreateOptions;
}

impl Made for Spsc {
    fn options(setup: &Setup) -> CreateOptions {
        CreateOptions::new().ring_bytes(setup.capacity * setup.bytes).framing(Framing::Fixed(setup.bytes))
    }
}

impl Made for Mpmc {
    fn options(setup: &Setup) -> CreateOptions {
        let lane = (setup.capacity * setup.bytes).max(LANE);
        CreateOptions::new().max_messages(setup.capacity).ring_bytes(lane)
    }
}

pub(super) struct Ringway<K, const W: usize> {
    path: PathBuf,
    way: Way,
    batch: usize,
    kind: PhantomData<K>,
}

impl<K: Made, const W: usize> System for Ringway<K, W> {
    fn new(setup: &Setup) -> Result<Self> {
        let path = setup.path("ringway");
        // SAFETY: only this program's own processes know the file, and they use ringway.
        drop(unsafe { BytesQueue::<K>::create_with(&path, &K::options(setup)) }?);
        Ok(Self { path, way: setup.way, batch: setup.batch, kind: PhantomData })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        // SAFETY: as in `new`.
        let queue = unsafe { BytesQueue::<K>::open(&self.path) }?;
        Ok(Side::<_, W>(when_free(|| queue.producer())?, self.way, self.batch))
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        // SAFETY: as in `new`.
        let queue = unsafe { BytesQueue::<K>::open(&self.path) }?;
        Ok(Side::<_, W>(when_free(|| queue.consumer())?, self.way, self.batch))
    }
}

/// Takes a role as soon as the kernel has ended its dead holder.
fn when_free<R>(mut attach: impl FnMut() -> Result<R, AttachError>) -> Result<R> {
    loop {
        match attach() {
            Err(AttachError::RoleTaken { .. }) => std::thread::yield_now(),
            other => return Ok(other?),
        }
    }
}

struct Side<H, const W: usize>(H, Way, usize);

impl<K: Kind, const W: usize> Sender for Side<BytesProducer<K>, W> {
    fn send(&mut self, first: u64, count: u64) {
        let Self(producer, way, batch) = self;
        if *batch > 1 {
            // Batches have no call that waits.
            let way = if *way == Way::Own { Way::Yield } else { *way };
            let (mut next, end) = (first, first + count);
            while next < end {
                let most = (end - next).min(*batch as u64);
                next += until(way, || sent(try_batch::<K, W>(producer, next, most)));
            }
        } else if *way == Way::Own {
            for word in first..first + count {
                let mut claim = producer.reserve(W * 8).expect("room");
                fill_bytes::<W>(word, &mut claim);
                claim.commit().expect("a commit");
            }
        } else {
            for word in first..first + count {
                until(*way, || sent(try_single::<K, W>(producer, word)));
            }
        }
    }
}

#[inline(always)]
fn try_single<K: Kind, const W: usize>(producer: &mut BytesProducer<K>, first: u64) -> Result<(), SendError> {
    let mut claim = producer.try_reserve(W * 8)?;
    fill_bytes::<W>(first, &mut claim);
    claim.commit()
}

/// As many as there is room for, in one commit.
#[inline(always)]
fn try_batch<K: Kind, const W: usize>(
    producer: &mut BytesProducer<K>,
    first: u64,
    most: u64,
) -> Result<u64, SendError> {
    let mut batch = producer.batch()?;
    for word in first..first + most {
        match batch.try_reserve(W * 8) {
            Ok(payload) => fill_bytes::<W>(word, payload),
            Err(error) if word == first => return Err(error),
            Err(_) => break,
        }
    }
    batch.commit().map(|count| count as u64)
}

#[inline(always)]
fn sent<R>(result: Result<R, SendError>) -> Option<R> {
    match result {
        Ok(done) => Some(done),
        Err(SendError::Full) => None,
        Err(error) => panic!("{error}"),
    }
}

impl<K: Kind, const W: usize> Receiver for Side<BytesConsumer<K>, W> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        let Self(consumer, way, batch) = self;
        match (*way, *batch) {
            (Way::Own, 1) => sink.bytes::<W>(&consumer.recv().expect("a message")),
            (Way::Own, batch) => {
                let frames = consumer.recv_many(batch).expect("messages");
                frames.iter().for_each(|message| sink.bytes::<W>(message));
            }
            // A guard that is read where it is received stays in registers.
            (way, 1) => until(way, || {
                sink.bytes::<W>(&received(consumer.try_recv())?);
                Some(())
            }),
            (way, batch) => until(way, || {
                let frames = received(consumer.try_recv_many(batch))?;
                frames.iter().for_each(|message| sink.bytes::<W>(message));
                Some(())
            }),
        }
    }
}

#[inline(always)]
fn received<R>(result: Result<R, RecvError>) -> Option<R> {
    match result {
        Ok(received) => Some(received),
        Err(RecvError::Empty) => None,
        Err(error) => panic!("{error}"),
    }
}

pub(super) struct Ringways<K>(K);

impl<K: Made> Family for Ringways<K> {
    type Small<const W: usize> = Ringway<K, W>;
    type Large<const W: usize> = Ringway<K, W>;
}
