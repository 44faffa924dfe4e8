//! Broadcast: which consumer holds the floor, and whether producers wait for it.

use ringway::inspect::{Liveness, QueueKind, Snapshot};

use super::finding::{Finding, Remedy};
use crate::stat::{holder, lag_from};
use crate::text::counted;

/// Whether fewer than a sixteenth of the positions can be claimed while no consumer moves on.
fn is_full(snapshot: &Snapshot) -> bool {
    let backlog = &snapshot.backlog;
    backlog.used >= backlog.capacity - backlog.capacity / 16
}

pub(super) fn floor(snapshot: &Snapshot) -> Option<Finding> {
    if snapshot.header.kind != QueueKind::Broadcast {
        return None;
    }
    let (one, whom) = (snapshot.floor_holder()?, holder(snapshot)?);
    let from = one.reading?.holds_from?;
    let is_dead = one.liveness != Liveness::Alive;
    match (is_full(snapshot), is_dead) {
        (true, true) => Some(
            Finding::warning(format!("it is full, and the floor is {whom}, which died"))
                .advice("--repair recovers it now; otherwise the producer that it blocks does")
                .remedy(Remedy::Recover),
        ),
        (true, false) => Some(
            Finding::warning(format!("it is full, so producers wait: the floor is {whom}")).advice(
                "continue that process, make it faster, or end it; a consumer that may miss messages can be lossy \
                 (`recv --lossy`), and a queue that must not wait is created with `--no-gating`",
            ),
        ),
        // One that has read everything holds nothing back.
        (false, _) if lag_from(snapshot, from) == 0 => None,
        (false, _) => {
            let kept = counted(snapshot.backlog.used, "message");
            Some(Finding::note(format!("the floor is {whom}; {kept} are kept for it")))
        }
    }
}
