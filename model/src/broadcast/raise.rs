//! Raise: `floor` announces what may go, `free` confirms what may be overwritten.

use super::*;
use ProducerPc::*;

impl Broadcast {
    /// The caller needs `target` to be at most `free`.
    pub(super) fn begin_raise(&self, p: &mut Producer, target: u8) {
        (p.back, p.target, p.index) = (p.pc, target, 0);
        p.early = NO_CURSOR;
        let early = self.makes(Mistake::IntentsBeforeTail);
        p.pc = if early { RaiseIntent } else { RaiseTail };
        p.want = if early { NO_CURSOR } else { 0 };
    }

    pub(super) fn raise(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let me = s.producers[i];
        let mut n = s.clone();
        let readers = self.bounds.readers.len() as u8;
        let p = &mut n.producers[i];
        match me.pc {
            RaiseTail => {
                p.free = s.memory.load(i, FREE);
                if p.free >= me.target && !self.makes(Mistake::IntentsBeforeTail) {
                    Self::raised(p);
                    return steps.step(n, || format!("producer {i}: is raised already"));
                }
                let tail = s.memory.load(i, TAIL);
                let early = self.makes(Mistake::IntentsBeforeTail);
                p.want = (me.target + self.bounds.more).min(tail).min(me.early);
                let without = self.one_writer() || self.makes(Mistake::FreePassesClaim) || early;
                self.next(p, if without { RaiseFirstScan } else { RaiseIntent });
                steps.step(n, || format!("producer {i}: raises, tail {tail}"));
            }
            RaiseIntent => {
                let intent = s.memory.load(i, INTENT + usize::from(me.index));
                if intent != 0 && intent - 1 < me.want {
                    (p.pc, p.claimed) = (RaiseSlot, intent - 1);
                } else {
                    self.next_intent(p);
                }
                steps.step(n, || {
                    format!("producer {i}: raises, {}", describe(INTENT + usize::from(me.index), intent))
                });
            }
            RaiseSlot => {
                let found = s.memory.load(i, self.state_of(me.claimed));
                let is_open = self.open_position(self.slot(me.claimed), found) <= me.claimed;
                if is_open {
                    p.want = me.want.min(me.claimed);
                }
                p.claimed = 0;
                self.next_intent(p);
                steps.step(n, || format!("producer {i}: raises, {} is open: {is_open}", me.claimed));
            }
            RaiseFirstScan | RaiseSecondScan => {
                let cursor = match me.index < readers {
                    true => s.memory.load(i, CURSOR + usize::from(me.index)),
                    false => NO_CURSOR,
                };
                p.gate = me.gate.min(cursor);
                p.index += 1;
                if p.index >= readers {
                    self.scanned(p);
                }
                steps.step(n, || format!("producer {i}: {:?}, cursor {} is {cursor}", me.pc, me.index));
            }
            RaiseFloor => {
                if !self.raise_word(s, &mut n, i, FLOOR, me.want) {
                    return;
                }
                let p = &mut n.producers[i];
                match () {
                    () if self.makes(Mistake::FreeBeforeFloor) => Self::raised(p),
                    () if self.makes(Mistake::OneScan) => p.pc = RaiseFree,
                    () if self.makes(Mistake::RaiseWithoutFence) => self.next(p, RaiseSecondScan),
                    () => p.pc = RaiseFence,
                }
                steps.step(n, || format!("producer {i}: floor {}", me.want));
            }
            RaiseFence => {
                n.memory.drain_all(i);
                self.next(&mut n.producers[i], RaiseSecondScan);
                steps.step(n, || format!("producer {i}: fences"));
            }
            _ => {
                if !self.raise_word(s, &mut n, i, FREE, me.want.min(me.gate)) {
                    return;
                }
                let free = n.memory.load(i, FREE);
                let p = &mut n.producers[i];
                p.free = free;
                if self.makes(Mistake::FreeBeforeFloor) {
                    p.pc = RaiseFloor;
                } else {
                    Self::raised(p);
                }
                steps.step(n, || format!("producer {i}: free {free}"));
            }
        }
    }

    fn next(&self, p: &mut Producer, pc: ProducerPc) {
        (p.pc, p.index) = (pc, 0);
        p.gate = if matches!(pc, RaiseFirstScan | RaiseSecondScan) { NO_CURSOR } else { 0 };
    }

    fn next_intent(&self, p: &mut Producer) {
        p.index += 1;
        if usize::from(p.index) < self.bounds.producers {
            p.pc = RaiseIntent;
        } else if self.makes(Mistake::IntentsBeforeTail) {
            p.early = p.want;
            self.next(p, RaiseTail);
        } else {
            self.next(p, RaiseFirstScan);
        }
    }

    /// A scan of the cursors is complete.
    fn scanned(&self, p: &mut Producer) {
        if p.pc == RaiseSecondScan {
            p.pc = RaiseFree;
            return;
        }
        p.want = p.want.min(p.gate);
        p.pc = match () {
            // Held up: by a reader, which recovery looks at, or by another producer's claim.
            () if p.want < p.target => return Self::raised(p),
            () if self.makes(Mistake::FreeBeforeFloor) => RaiseFence,
            () => RaiseFloor,
        };
    }

    /// It checks again whether there is room.
    fn raised(p: &mut Producer) {
        let back = p.back;
        (p.pc, p.back, p.index, p.target, p.want, p.gate, p.early) = (back, Begin, 0, 0, 0, 0, 0);
    }

    /// The word becomes `value` if it is less: a plain store of one writer, a read-modify-write of
    /// several. False: the thread's buffer is in the way.
    fn raise_word(&self, s: &State, n: &mut State, i: usize, location: usize, value: u8) -> bool {
        let is_less = s.memory.load(i, location) < value;
        if self.one_writer() {
            if is_less {
                if !Self::has_space(s, i, 1) {
                    return false;
                }
                n.memory.store(i, location, value, Order::Release);
            }
            return true;
        }
        let order = if location == FREE { Order::Release } else { Order::Relaxed };
        if !s.memory.may_modify(i, location, order) {
            return false;
        }
        if is_less {
            n.memory.modify(location, value);
        }
        true
    }
}
