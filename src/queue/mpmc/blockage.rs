//! Noticing that a position does not move on because its holder has died.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::member::Member;
use crate::links::{Blocked, EntrySet};

/// How often it is looked who holds up the same position.
const INTERVAL: Duration = Duration::from_micros(50);

/// The position that was in the way last, and when that was looked into.
#[derive(Default)]
pub(super) struct Blockage {
    last: Cell<Option<(u64, Instant)>>,
}

impl Blockage {
    /// `position` is in the way. Finds out why if it is due, and recovers if its holder is dead; true if looking again
    /// may help. What does not work is noted as the participant's trouble.
    ///
    /// `at_once`: also when the position has not been in the way before.
    #[cold]
    pub(super) fn look_into(&self, member: &Member, position: u64, at_once: bool) -> bool {
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
        let (leases, mut dead) = (member.leases(), EntrySet::EMPTY);
        let blocked = member.links.blocked(position, &leases, &mut dead);
        match leases.answered(blocked) {
            Ok(Blocked::No) => {
                member.trouble().clear();
                true
            }
            Ok(Blocked::ByLiving) => {
                member.trouble().clear();
                false
            }
            Ok(Blocked::ByDead) => member.recover_from(&dead),
            Err(source) => {
                member.trouble().note(member.shared(), super::recovery::ASKING, source);
                false
            }
        }
    }
}
