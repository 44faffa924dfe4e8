//! Noticing that a position makes no progress because its holder has died.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::participant::Participant;
use crate::order_ring::{Blocked, EntrySet};

/// Time between two checks of the holder of the same position.
const INTERVAL: Duration = Duration::from_micros(50);

/// The last position that blocked, and when its holder was checked.
#[derive(Default)]
pub(super) struct StallDetector {
    last: Cell<Option<(u64, Instant)>>,
}

impl StallDetector {
    /// `position` blocks. Checks its holder if that is due, and recovers if the holder is dead;
    /// returns true if another attempt may succeed. A failure is noted as the participant's recovery failure.
    ///
    /// `at_once`: also if the position has not blocked before.
    #[cold]
    pub(super) fn check(&self, participant: &Participant, position: u64, at_once: bool) -> bool {
        let now = Instant::now();
        match self.last.get() {
            Some((last, at)) if last == position && now.duration_since(at) < INTERVAL => return false,
            Some((last, _)) if last == position => {}
            _ if at_once => {}
            _ => {
                self.last.set(Some((position, now)));
                return false;
            }
        }
        self.last.set(Some((position, now)));
        let (probe, mut dead) = (participant.probe(), EntrySet::EMPTY);
        let blocked = participant.ring().blocked(position, &probe, &mut dead);
        let done = participant.conclude(&probe, dead);
        done.has_recovered || done.has_answers && blocked == Blocked::No
    }
}
