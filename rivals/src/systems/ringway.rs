//! ringway: queues of bytes, messages written and read in place. SPSC queues where there is one of each, with messages of
//! one size; MPMC queues else.
#![allow(unsafe_code, reason = "queue files that only this program's processes know")]

use std::path::PathBuf;

use anyhow::Result;
use ringway::{
    AttachError, BytesConsumer, BytesProducer, BytesQueue, Kind, Mpmc, Options, RecvError, SendError, Spsc,
};

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::message::fill_bytes;
use crate::wait::{Way, until};

/// The links of a queue that nobody says anything about: more messages than that are never in an MPMC queue here.
const LINKS: usize = 8192;
/// Bytes of the smallest lane.
const LANE: usize = 1 << 19;

pub(super) struct Ringway<const W: usize> {
    path: PathBuf,
    is_pair: bool,
    way: Way,
    batch: usize,
}

impl<const W: usize> System for Ringway<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let path = setup.path("ringway");
        let is_pair = setup.is_pair();
        if is_pair {
            let options = Options::new().capacity(setup.capacity * setup.bytes).fixed_len(setup.bytes);
            // SAFETY: only this program's own processes know the file, and they use ringway.
            unsafe { BytesQueue::<Spsc>::create_with(&path, &options) }?;
        } else {
            let lane = (setup.capacity * setup.bytes).max(LANE);
            let options = Options::new().links(setup.capacity.min(LINKS)).capacity(lane);
            // SAFETY: as above.
            unsafe { BytesQueue::<Mpmc>::create_with(&path, &options) }?;
        }
        Ok(Self { path, is_pair, way: setup.way, batch: setup.batch })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        Ok(if self.is_pair {
            // SAFETY: as in `new`.
            let queue = unsafe { BytesQueue::<Spsc>::open(&self.path) }?;
            Tx::<W>::One(Side(when_free(|| queue.producer())?, self.way, self.batch))
        } else {
            // SAFETY: as in `new`.
            let queue = unsafe { BytesQueue::<Mpmc>::open(&self.path) }?;
            Tx::<W>::Many(Side(queue.producer()?, self.way, self.batch))
        })
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        Ok(if self.is_pair {
            // SAFETY: as in `new`.
            let queue = unsafe { BytesQueue::<Spsc>::open(&self.path) }?;
            Rx::<W>::One(Side(when_free(|| queue.consumer())?, self.way, self.batch))
        } else {
            // SAFETY: as in `new`.
            let queue = unsafe { BytesQueue::<Mpmc>::open(&self.path) }?;
            Rx::<W>::Many(Side(queue.consumer()?, self.way, self.batch))
        })
    }
}

/// Takes a role as soon as the kernel has buried whoever had it.
fn when_free<R>(mut attach: impl FnMut() -> Result<R, AttachError>) -> Result<R> {
    loop {
        match attach() {
            Err(AttachError::RoleTaken { .. }) => std::thread::yield_now(),
            other => return Ok(other?),
        }
    }
}

struct Side<H>(H, Way, usize);

enum Tx<const W: usize> {
    One(Side<BytesProducer<Spsc>>),
    Many(Side<BytesProducer<Mpmc>>),
}

enum Rx<const W: usize> {
    One(Side<BytesConsumer<Spsc>>),
    Many(Side<BytesConsumer<Mpmc>>),
}

impl<const W: usize> Sender for Tx<W> {
    fn send(&mut self, first: u64, count: u64) {
        match self {
            Self::One(side) => send::<_, W>(side, first, count),
            Self::Many(side) => send::<_, W>(side, first, count),
        }
    }
}

impl<const W: usize> Receiver for Rx<W> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        match self {
            Self::One(side) => receive::<_, W>(side, sink),
            Self::Many(side) => receive::<_, W>(side, sink),
        }
    }
}

fn send<K: Kind, const W: usize>(side: &mut Side<BytesProducer<K>>, first: u64, count: u64) {
    let Side(producer, way, batch) = side;
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
            let mut claim = producer.claim(W * 8).expect("room");
            fill_bytes::<W>(word, &mut claim);
            claim.commit().expect("a commit");
        }
    } else {
        for word in first..first + count {
            until(*way, || sent(try_single::<K, W>(producer, word)));
        }
    }
}

#[inline(always)]
fn try_single<K: Kind, const W: usize>(producer: &mut BytesProducer<K>, first: u64) -> Result<(), SendError> {
    let mut claim = producer.try_claim(W * 8)?;
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
        match batch.try_claim(W * 8) {
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

#[inline(always)]
fn receive<K: Kind, const W: usize>(side: &mut Side<BytesConsumer<K>>, sink: &mut impl Sink) {
    let Side(consumer, way, batch) = side;
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

#[inline(always)]
fn received<R>(result: Result<R, RecvError>) -> Option<R> {
    match result {
        Ok(received) => Some(received),
        Err(RecvError::Empty) => None,
        Err(error) => panic!("{error}"),
    }
}

pub(super) struct Ringways;

impl Family for Ringways {
    type Small<const W: usize> = Ringway<W>;
    type Large<const W: usize> = Ringway<W>;
}
