//! The expected behaviour of the ring, without laps, slots or intents: a list of positions.

use crate::layout::order::{MAX_REDELIVERIES, SlotState, position_limit};
use crate::order_ring::{Claimed, NotClaimed, NotTaken, OrderRing};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Claimed(usize),
    Full,
    /// Taken by this participant, not marked yet.
    TakenPositions(usize),
    HeldSlot(usize, u64),
    Redelivery(u64),
    Over,
}

/// One position that was claimed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) at: At,
    pub(super) message: u8,
    pub(super) len: usize,
    pub(super) lane: usize,
    pub(super) committed: bool,
    pub(super) delivered: u64,
}

pub(super) struct Reference {
    pub(super) start: u64,
    ring: u64,
    at_most_once: bool,
    pub(super) head: u64,
    /// The claimed positions, from `start` on.
    pub(super) claims: Vec<Claim>,
}

impl Reference {
    pub(super) fn new(start: u64, ring: usize, at_most_once: bool) -> Self {
        Self { start, ring: ring as u64, at_most_once, head: start, claims: Vec::new() }
    }

    pub(super) fn tail(&self) -> u64 {
        self.start + self.claims.len() as u64
    }

    pub(super) fn at(&mut self, position: u64) -> &mut Claim {
        &mut self.claims[(position - self.start) as usize]
    }

    /// The lowest position that is to be redelivered.
    pub(super) fn oldest_redelivery(&self) -> Option<u64> {
        let index = self.claims.iter().position(|claim| matches!(claim.at, At::Redelivery(_)))?;
        Some(self.start + index as u64)
    }

    fn state(&self, position: u64) -> At {
        self.claims[(position - self.start) as usize].at
    }

    fn is_reusable(&self, position: u64) -> bool {
        position < self.start || position < self.tail() && self.state(position) == At::Over
    }

    pub(super) fn claim(&self, least: u64, most: u64) -> Result<Claimed, NotClaimed> {
        let limit = position_limit(self.ring.trailing_zeros());
        let first = self.tail();
        // Positions at or after the tail are not over.
        let is_free = |position: u64| {
            position < limit && (position < self.start + self.ring || self.is_reusable(position - self.ring))
        };
        let count = (first..first + most).take_while(|position| is_free(*position)).count() as u64;
        match first + count {
            _ if count >= least => Ok(Claimed { first, count }),
            position if position >= limit => Err(NotClaimed::PositionsExhausted),
            position => Err(NotClaimed::Full(position)),
        }
    }

    /// The next positions to take, up to `most`; skips positions that are over before them.
    pub(super) fn run(&mut self, most: u64) -> Result<(u64, u64), NotTaken> {
        while self.head < self.tail() && self.is_reusable(self.head) {
            self.head += 1;
        }
        if self.head == self.tail() {
            return Err(NotTaken::Empty);
        }
        if self.state(self.head) != At::Full {
            return Err(NotTaken::Uncommitted(self.head));
        }
        let end = self.tail().min(self.head + most.min(self.ring));
        let run =
            (self.head..end).take_while(|position| matches!(self.state(*position), At::Full | At::Over));
        Ok((self.head, run.count() as u64))
    }

    /// The state that a rejected frame, or a frame of a dead consumer, changes to.
    pub(super) fn put_back(&self, redeliveries: u64) -> At {
        if self.at_most_once { At::Over } else { At::Redelivery((redeliveries + 1).min(MAX_REDELIVERIES)) }
    }

    /// The state that recovery changes a position to, if `is_dead` for its owner.
    pub(super) fn recovered(&self, at: At, is_dead: impl Fn(usize) -> bool) -> At {
        match at {
            At::Claimed(owner) if is_dead(owner) => At::Over,
            At::TakenPositions(owner) if is_dead(owner) => At::Redelivery(0),
            At::HeldSlot(owner, redeliveries) if is_dead(owner) => self.put_back(redeliveries),
            at => at,
        }
    }

    /// The position that slot `slot` is about now.
    fn present(&self, slot: u64) -> u64 {
        let mut position = self.start + (slot + self.ring - self.start % self.ring) % self.ring;
        while self.is_reusable(position) {
            position += self.ring;
        }
        position
    }

    /// The state word of slot `slot`, exactly.
    pub(super) fn word(&self, slot: u64) -> SlotState {
        let position = self.present(slot);
        let lap = position / self.ring;
        match (position < self.tail()).then(|| self.state(position)) {
            None | Some(At::Claimed(_)) => SlotState::free(lap),
            Some(At::Full | At::TakenPositions(_)) => SlotState::full(lap),
            Some(At::HeldSlot(owner, redeliveries)) => SlotState::held(lap, owner, redeliveries),
            Some(At::Redelivery(redeliveries)) => SlotState::redeliver(lap, redeliveries),
            Some(At::Over) => unreachable!("it would be about the next lap"),
        }
    }

    /// Follows what the owner of entry `me` did before it died: every change that it may have got
    /// to.
    pub(super) fn follow(&mut self, ring: &OrderRing, me: usize, staged: &[(u8, usize)]) {
        let tail = ring.tail().position();
        for (message, len) in staged.iter().take((tail - self.tail()) as usize) {
            self.add(*message, *len, me);
        }
        let is_at_most_once = self.at_most_once;
        let head = ring.head().position();
        for position in self.head..head {
            if self.state(position) == At::Full {
                self.at(position).at = At::TakenPositions(me);
            }
        }
        self.head = head;
        for slot in 0..self.ring {
            let position = self.present(slot);
            if position >= self.tail() {
                continue;
            }
            let word = ring.state(slot as usize);
            let at = self.state(position);
            let may = match at {
                At::Claimed(owner) if owner == me => vec![At::Full],
                At::TakenPositions(owner) if owner == me => vec![At::HeldSlot(me, 0)],
                At::HeldSlot(owner, count) if owner == me => {
                    vec![self.put_back(count), At::Redelivery(count), At::Over]
                }
                At::Redelivery(count) => vec![At::HeldSlot(me, count)],
                _ => vec![],
            };
            for next in may {
                self.at(position).at = next;
                if self.word(slot) == word {
                    break;
                }
                self.at(position).at = at;
            }
            let claim = self.at(position);
            claim.committed |= claim.at == At::Full;
            claim.delivered += u64::from(matches!(claim.at, At::HeldSlot(..)) && claim.at != at);
            // Returned to the queue by a caller that did not read it.
            let was_unseen =
                matches!((at, claim.at), (At::HeldSlot(_, before), At::Redelivery(now)) if before == now);
            claim.delivered -= u64::from(was_unseen && is_at_most_once);
        }
    }

    pub(super) fn add(&mut self, message: u8, len: usize, lane: usize) {
        let at = At::Claimed(lane);
        self.claims.push(Claim { at, message, len, lane, committed: false, delivered: 0 });
    }
}
