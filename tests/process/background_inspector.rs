//! A process that inspects a queue from outside all the time, whatever happens to its participants:
//! it never finds corruption.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ringway::inspect::{Inspector, Peek, Start};
use ringway::{InspectError, OpenError};

use super::{Child, Outcome, TestDir, ensure};

/// Between inspections: so that it takes no processor away from the participants.
const PAUSE: Duration = Duration::from_micros(500);
/// One of this number of inspections is the doctor's, if there is one.
const INSPECTIONS_PER_DOCTOR: u64 = 64;

/// Inspects until it is dropped.
pub(crate) struct BackgroundInspector(Child);

impl BackgroundInspector {
    /// To be started before there is a handle of the queue: a child shares the descriptors of its parent.
    ///
    /// `RINGWAY_DOCTOR=target/release/ringway` makes that command's doctor inspect as well.
    pub(crate) fn start(place: &TestDir) -> Self {
        let path = place.path();
        let doctor = std::env::var_os("RINGWAY_DOCTOR").map(PathBuf::from);
        Self(Child::fork(|| inspect_always(&path, doctor.as_deref())))
    }

    /// It has found nothing so far.
    pub(crate) fn check(&self) -> Outcome {
        ensure!(
            !self.0.has_ended()?,
            "the process that inspects from outside has found corruption, or failed"
        );
        Ok(())
    }
}

fn inspect_always(path: &Path, doctor: Option<&Path>) -> Outcome {
    for number in 0_u64.. {
        match Inspector::open(path) {
            Ok(inspector) => inspect(&inspector)?,
            // It is yet to be created, or was unlinked.
            Err(InspectError::Open(OpenError::NotFound { .. })) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(doctor) =
            doctor.filter(|_| number.is_multiple_of(INSPECTIONS_PER_DOCTOR) && path.exists())
        {
            let output = Command::new(doctor).args(["doctor", "--json"]).arg(path).output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let is_wrong = text.contains("\"severity\":\"error\"") || text.contains("anew");
            ensure!(!is_wrong || !path.exists(), "the doctor says: {text}");
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn inspect(inspector: &Inspector) -> Outcome {
    let snapshot = inspector.snapshot()?;
    ensure!(
        snapshot.corruption.is_empty(),
        "an inspection finds {:?}, {:?}",
        snapshot.corruption,
        snapshot.cursors
    );
    for start in [Start::Oldest, Start::Newest] {
        let peeked = inspector.peek(&Peek::new().held(true).start(start))?;
        ensure!(peeked.corruption.is_none(), "an inspection of messages finds {:?}", peeked.corruption);
    }
    Ok(())
}
