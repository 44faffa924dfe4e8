//! The next owner of a dead producer's lane. With one writer it also decides what its predecessor had
//! committed: positions from `tail` on whose slots are FULL, one after the other.

use super::*;
use ProducerPc::*;

impl Broadcast {
    /// An entry is given to a new owner once its residue is removed.
    pub(super) fn attach_producer(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let is_free = !self.is_alive(s, i) && (self.one_writer() || !self.has_residue(s));
        if is_free && s.attaches < self.bounds.attaches && s.producers[i].written < self.bounds.messages {
            let mut n = State { attaches: s.attaches + 1, ..s.clone() };
            n.producers[i].pc = TakeFree;
            n.memory.modify(INTENT + i, 0);
            steps.environment(n, || format!("producer {i}: another one attaches"));
        }
    }

    pub(super) fn takeover(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let me = s.producers[i];
        if !Self::has_space(s, i, 1) {
            return;
        }
        let mut n = s.clone();
        let p = &mut n.producers[i];
        let found = |position: u8| s.memory.load(i, self.state_of(position));
        match me.pc {
            TakeFree => {
                p.free = s.memory.load(i, FREE);
                p.position = s.memory.load(i, TAIL);
                p.pc = match () {
                    () if !self.one_writer() => Rebuild,
                    () if self.makes(Mistake::TakeoverWithoutWalk) => TakeTail,
                    () => TakeWalk,
                };
                steps.step(n, || format!("producer {i}: takes over, tail {}", me.position));
            }
            TakeWalk => {
                let is_full = found(me.position) == self.full(me.position);
                if is_full {
                    p.position += 1;
                } else {
                    p.pc = if self.makes(Mistake::TakeoverKeepsStates) { TakeTail } else { TakeClear };
                }
                steps.step(n, || format!("producer {i}: {} is committed: {is_full}", me.position));
            }
            TakeClear => {
                let at = me.position + me.index;
                p.index += 1;
                if p.index == self.bounds.slots {
                    (p.pc, p.index) = (TakeTail, 0);
                }
                if found(at) == self.full(at) {
                    n.memory.store(i, self.state_of(at), word(VACANT, self.lap(at)), Order::Release);
                }
                steps.step(n, || format!("producer {i}: {at} is cleared"));
            }
            TakeTail => {
                p.pc = Rebuild;
                if s.memory.load(i, TAIL) != me.position {
                    n.memory.store(i, TAIL, me.position, Order::Release);
                }
                steps.step(n, || format!("producer {i}: tail {}", me.position));
            }
            _ => {
                self.rebuild(s, &mut n, i);
                steps.step(n, || format!("producer {i}: rebuilds its lane from slot {}", me.index));
            }
        }
    }

    /// The frame of one slot, if it is in this lane and not over.
    fn rebuild(&self, s: &State, n: &mut State, i: usize) {
        let me = s.producers[i];
        let slot = usize::from(me.index);
        let state = s.memory.load(i, STATE + slot);
        let reference = s.memory.load(i, REFERENCE + slot);
        let position = lap(state) * self.bounds.slots + me.index;
        let first = i as u8 * self.bounds.lane + 1;
        let is_mine = (first..first + self.bounds.lane).contains(&reference);
        let p = &mut n.producers[i];
        if is_full(state) && is_mine && position >= me.free {
            let at = &mut p.at[usize::from(reference - first)];
            *at = (*at).max(position + 1);
        }
        p.index += 1;
        if p.index == self.bounds.slots {
            let newest = (0..self.bounds.lane).max_by_key(|&cell| p.at[usize::from(cell)]);
            let newest = newest.filter(|&cell| p.at[usize::from(cell)] > 0);
            p.cell = newest.map_or(0, |cell| (cell + 1) % self.bounds.lane);
            (p.pc, p.position, p.index) = (Begin, 0, 0);
        }
    }
}
