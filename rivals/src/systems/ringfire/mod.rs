//! ringfire: its ring of one producer in lossless mode where there is one of each; messages of 64
//! KiB and more through its arena of blobs, which has no lossless mode, so that the producer checks
//! `headroom` itself; with many of both its MPMC ring, which drops the oldest messages when
//! consumers are slower than producers: it has no flow control.

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
use super::Family;

/// The producer creates the ring when it starts; consumers wait this long for it.
const TIME_LIMIT: Duration = Duration::from_secs(5);

fn readable(error: RingfireError) -> anyhow::Error {
    anyhow!("{error}")
}

/// Attaches as soon as the ring exists.
fn when_made<R>(path: &Path, mut attach: impl FnMut() -> Result<R, RingfireError>) -> Result<R> {
    let start = Instant::now();
    loop {
        match attach() {
            Err(_) if start.elapsed() < TIME_LIMIT => std::thread::yield_now(),
            Err(error) => return Err(anyhow!("{}: {error}", path.display())),
            Ok(attached) => return Ok(attached),
        }
    }
}

pub(super) struct Pairs;
pub(super) struct Manys;

impl Family for Pairs {
    type Small<const W: usize> = Pair<W>;
    type Large<const W: usize> = Blobs<W>;
}

impl Family for Manys {
    type Small<const W: usize> = Many<W>;
    type Large<const W: usize> = Many<W>;
}
