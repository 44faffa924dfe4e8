//! Opening queues to take part.

use std::path::Path;

use anyhow::{Context, Result};
use ringway::inspect::{Inspector, QueueKind};
use ringway::{OpenError, mpmc, spsc};

/// A queue of bytes, of whichever kind it is.
pub(crate) enum BytesQueue {
    Spsc(spsc::BytesQueue),
    Mpmc(mpmc::BytesQueue),
}

/// Opens a queue of bytes.
pub(crate) fn open(name: &Path) -> Result<BytesQueue> {
    let kind = Inspector::open(name)?.header().kind;
    let queue = match kind {
        // SAFETY: who runs this command on a queue vouches for it: only programs that use ringway write to the file.
        // Nothing in here writes to the file in any other way, and children that `recv` forks only replace their program.
        QueueKind::Spsc => unsafe { spsc::BytesQueue::open(name) }.map(BytesQueue::Spsc),
        // SAFETY: as above.
        QueueKind::Mpmc => unsafe { mpmc::BytesQueue::open(name) }.map(BytesQueue::Mpmc),
    };
    let is_typed = matches!(queue, Err(OpenError::WrongType { .. }));
    let queue = queue.map_err(anyhow::Error::from);
    match is_typed {
        true => queue.context("this takes part only in queues of bytes; `ringway peek` looks into others"),
        false => queue,
    }
}
