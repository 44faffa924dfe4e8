//! What inspection reports wherever an operation was killed or paused: a healthy queue is reported
//! healthy, and is not changed by inspection.

use std::path::Path;
use std::sync::OnceLock;

use ringway::inspect::{Inspector, Peek, Start};
use ringway::{InspectError, OpenError};

use crate::process::{Outcome, ensure};

/// Where the preamble says of which kind a queue is.
const KIND: usize = 0x20;
const BROADCAST: u8 = 3;

/// An additional inspector.
pub(crate) type Inspect = fn(&Path) -> Outcome;

static ALSO: OnceLock<Inspect> = OnceLock::new();

#[allow(dead_code, reason = "for who has tools of its own")]
/// From now on this inspector runs as well, after the library's. The operation was killed or is
/// paused.
pub(crate) fn also(inspect_queue: Inspect) {
    assert!(ALSO.set(inspect_queue).is_ok(), "there is one already");
}

/// Inspects the queue, and that of its dead letters.
pub(crate) fn inspect_queue(path: &Path) -> Outcome {
    let mut letters = path.as_os_str().to_owned();
    letters.push(".dead");
    for path in [path, Path::new(&letters)] {
        let before = bytes(path)?;
        let is_broadcast = before.as_deref().and_then(|bytes| bytes.get(KIND)) == Some(&BROADCAST);
        inspect(path, is_broadcast).map_err(|error| format!("inspecting {}: {error}", path.display()))?;
        ensure!(bytes(path)? == before, "inspecting {} changed it", path.display());
    }
    match ALSO.get() {
        Some(inspect_queue) => inspect_queue(path),
        None => Ok(()),
    }
}

/// None if there is no such file.
pub(crate) fn bytes(path: &Path) -> Outcome<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn inspect(path: &Path, is_broadcast: bool) -> Outcome {
    let inspector = match Inspector::open(path) {
        Ok(inspector) => inspector,
        Err(InspectError::Open(OpenError::NotFound { .. })) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let snapshot = inspector.snapshot()?;
    ensure!(snapshot.corruption.is_empty(), "{:?}, {:?}", snapshot.corruption, snapshot.cursors);
    if is_broadcast {
        // Its consumers each have a backlog of their own.
        return Ok(());
    }
    let backlog = snapshot.backlog;
    let (Some(waiting), Some(held)) = (backlog.waiting, backlog.held) else {
        return Err("nothing moves, and messages were not counted".into());
    };
    for start in [Start::Oldest, Start::Newest] {
        for (is_held, expected) in [(false, waiting), (true, waiting + held)] {
            let peeked = inspector.peek(&Peek::new().most(1000).held(is_held).start(start))?;
            ensure!(peeked.corruption.is_none() && peeked.gone == 0, "{peeked:?}");
            let found = peeked.frames.len() as u64;
            ensure!(found == expected, "{found} messages were copied, of {expected} that were counted");
        }
    }
    inspector.progress()?;
    Ok(())
}
