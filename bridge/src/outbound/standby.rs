//! One bridge for each queue: the others stand by, and the first of them goes on when it ends.
//!
//! The kernel's lock on the whole queue file (`flock`) says who; ringway's own locks are on bytes, and do not see it. It
//! goes with the process. A bridge on another machine, which carries a copy of the file, is refused by the stream.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use ringway::inspect::Inspector;

use crate::failure::Failure;
use crate::stop::Stop;

/// How often a bridge that stands by tries.
const INTERVAL: Duration = Duration::from_millis(200);

/// Held while the queue is carried.
#[derive(Debug)]
pub(crate) struct OnlyBridge(#[allow(dead_code, reason = "dropping it unlocks")] Flock<File>);

/// Waits until no other bridge carries the queue. Returns nothing if it is asked to stop before.
pub(crate) async fn wait(queue: &Path, stop: &mut Stop) -> Result<Option<OnlyBridge>, Failure> {
    let mut is_told = false;
    loop {
        if let Some(lock) = attempt(queue).map_err(Failure::Failed)? {
            return Ok(Some(lock));
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::info!(link = %queue.display(), "another bridge carries this queue; standing by until it ends");
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.requested() => return Ok(None),
        }
    }
}

/// Whether another bridge carries the queue.
pub(crate) fn is_carried(queue: &Path) -> anyhow::Result<bool> {
    Ok(attempt(queue)?.is_none())
}

fn attempt(queue: &Path) -> anyhow::Result<Option<OnlyBridge>> {
    let path = Inspector::open(queue)?.path().to_path_buf();
    let named = || path.display().to_string();
    let file = File::open(&path).with_context(named)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        // The name may lead to another file by now.
        Ok(lock) => {
            match (lock.metadata().with_context(named)?, std::fs::metadata(&path).with_context(named)?) {
                (locked, there) if locked.ino() == there.ino() && locked.dev() == there.dev() => {
                    Ok(Some(OnlyBridge(lock)))
                }
                _ => Ok(None),
            }
        }
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).with_context(|| format!("{}: locking it", path.display())),
    }
}
