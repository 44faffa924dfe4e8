//! Noticing that a position makes no progress because its holder has died.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::mapping::MappedRing;
use super::participant::Participant;
use crate::order_ring::{Blocked, EntrySet, Registry};
use crate::queue::KernelProbe;

/// Time between two checks of the holder of the same position.
const INTERVAL: Duration = Duration::from_micros(50);

/// The last position that blocked, and when its holder was checked.
#[derive(Default)]
pub(in crate::queue) struct StallDetector {
    last: Cell<Option<(u64, Instant)>>,
}

impl StallDetector {
    /// `position` blocks. Checks its holder if that is due, and recovers if the holder is dead;
    /// returns true if another attempt may succeed. A failure is noted as the participant's recovery failure.
    ///
    /// `at_once`: also if the position has not blocked before.
    #[cold]
    pub(in crate::queue) fn check<R: MappedRing>(
        &self,
        participant: &Participant<R>,
        position: u64,
        at_once: bool,
    ) -> bool {
        let blocked = |probe: &KernelProbe<'_>, dead: &mut EntrySet| {
            Registry::blocked(participant.ring(), position, probe, dead)
        };
        self.check_with(participant, position, at_once, blocked)
    }

    /// Like `check`, where `blocked` tells which participant is in the way; `key` stands for what
    /// it is in the way of.
    pub(in crate::queue) fn check_with<R: MappedRing>(
        &self,
        participant: &Participant<R>,
        key: u64,
        at_once: bool,
        blocked: impl FnOnce(&KernelProbe<'_>, &mut EntrySet) -> Blocked,
    ) -> bool {
        let now = Instant::now();
        match self.last.get() {
            Some((last, at)) if last == key && now.duration_since(at) < INTERVAL => return false,
            Some((last, _)) if last == key => {}
            _ if at_once => {}
            _ => {
                self.last.set(Some((key, now)));
                return false;
            }
        }
        self.last.set(Some((key, now)));
        let (probe, mut dead) = (participant.probe(), EntrySet::EMPTY);
        let blocked = blocked(&probe, &mut dead);
        let done = participant.conclude(&probe, dead);
        done.has_recovered || done.has_answers && blocked == Blocked::No
    }
}
