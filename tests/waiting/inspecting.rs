//! What inspection reports wherever an operation was killed or paused. Other participants are awake
//! meanwhile, so the file may change; but it is never reported as corrupted.

use std::path::Path;

use ringway::inspect::{Inspector, Peek};
use ringway::{InspectError, OpenError};

use crate::process::{Outcome, ensure};

pub(crate) fn inspect_queue(path: &Path) -> Outcome {
    let inspector = match Inspector::open(path) {
        Ok(inspector) => inspector,
        Err(InspectError::Open(OpenError::NotFound { .. })) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let corruption = inspector.snapshot()?.corruption;
    ensure!(corruption.is_empty(), "{corruption:?}");
    let corruption = inspector.peek(&Peek::new().held(true))?.corruption;
    ensure!(corruption.is_none(), "{corruption:?}");
    Ok(())
}
