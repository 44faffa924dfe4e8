//! ringfire: its ring of one producer in lossless mode where there is one of each; messages of 64 KiB and more through its
//! arena of blobs, which has no lossless mode, so that the producer asks for `headroom` itself; with many of both its MPMC
//! ring, which drops the oldest messages when consumers are slower than producers: no flow control can be had there.

mod blob;
mod many;
mod pair;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use ringfire::RingfireError;

use self::blob::Blobs;
use self::many::Many;
use self::pair::Pair;
use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;

/// The producer makes the ring when it comes; consumers wait so long for it.
const PATIENCE: Duration = Duration::from_secs(5);

fn readable(error: RingfireError) -> anyhow::Error {
    anyhow!("{error}")
}

/// Attaches as soon as there is something to attach to.
fn when_made<R>(path: &Path, mut attach: impl FnMut() -> Result<R, RingfireError>) -> Result<R> {
    let start = Instant::now();
    loop {
        match attach() {
            Err(_) if start.elapsed() < PATIENCE => std::thread::yield_now(),
            Err(error) => return Err(anyhow!("{}: {error}", path.display())),
            Ok(attached) => return Ok(attached),
        }
    }
}

/// One system for one of each, another one for more.
pub(super) enum Either<P, M> {
    Pair(P),
    Many(M),
}

impl<P: System, M: System> System for Either<P, M> {
    fn new(setup: &Setup) -> Result<Self> {
        Ok(if setup.is_pair() { Self::Pair(P::new(setup)?) } else { Self::Many(M::new(setup)?) })
    }

    fn sender(&self, index: usize) -> Result<impl Sender> {
        Ok(match self {
            Self::Pair(pair) => Either::Pair(pair.sender(index)?),
            Self::Many(many) => Either::Many(many.sender(index)?),
        })
    }

    fn receiver(&self, index: usize) -> Result<impl Receiver> {
        Ok(match self {
            Self::Pair(pair) => Either::Pair(pair.receiver(index)?),
            Self::Many(many) => Either::Many(many.receiver(index)?),
        })
    }
}

impl<P: Sender, M: Sender> Sender for Either<P, M> {
    fn send(&mut self, first: u64, count: u64) {
        match self {
            Self::Pair(pair) => pair.send(first, count),
            Self::Many(many) => many.send(first, count),
        }
    }
}

impl<P: Receiver, M: Receiver> Receiver for Either<P, M> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        match self {
            Self::Pair(pair) => pair.receive(sink),
            Self::Many(many) => many.receive(sink),
        }
    }
}

pub(super) struct Ringfires;

impl Family for Ringfires {
    type Small<const W: usize> = Either<Pair<W>, Many<W>>;
    type Large<const W: usize> = Either<Blobs<W>, Many<W>>;
}
