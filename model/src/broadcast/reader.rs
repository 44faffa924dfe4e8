//! Readers that receive, in one of three modes.

use super::state::CONTINUES;
use super::*;
use ReaderPc::*;

impl Broadcast {
    pub(super) fn reader(&self, s: &State, r: usize, steps: &mut Steps<State>) {
        match s.readers[r].pc {
            Killed | Out => self.new_reader(s, r, steps),
            Stopped => {}
            Attach | Choose | JoinCursor | JoinFence | JoinFloor | LateDirty => self.join(s, r, steps),
            LeaveClean => self.leave(s, r, steps),
            Ready => {
                self.ready(s, r, steps);
                self.seek(s, r, steps);
                self.leave(s, r, steps);
            }
            _ => self.receive(s, r, steps),
        }
        self.stop(s, r, steps);
    }

    /// Polls the slot of its position.
    fn ready(&self, s: &State, r: usize, steps: &mut Steps<State>) {
        let (me, t) = (s.readers[r], self.thread_of(r));
        let found = s.memory.load(t, self.state_of(me.next));
        let mut n = s.clone();
        n.readers[r].seen = found;
        let mode = self.bounds.readers[r];
        if found == self.full(me.next) {
            if mode == Mode::Pinned && !self.pin(&mut n, r) {
                return;
            }
            if mode != Mode::Pinned {
                n.readers[r].pc = Reference;
            }
        } else if lap(found) > self.lap(me.next) {
            n.readers[r].pc = Gone;
        } else {
            return;
        }
        steps.step(n, || format!("reader {r}: {}", describe(self.state_of(me.next), found)));
    }

    /// Publishes the cursor, then checks `floor`. False: no space for the store.
    fn pin(&self, n: &mut State, r: usize) -> bool {
        let t = self.thread_of(r);
        if !Self::has_space(n, t, 1) {
            return false;
        }
        let me = n.readers[r];
        n.readers[r].pc = match () {
            () if self.makes(Mistake::PinAfterCheck) => PinFloor,
            () if self.makes(Mistake::PinWithoutFence) => PinFloor,
            () => PinFence,
        };
        if !self.makes(Mistake::PinAfterCheck) {
            n.memory.store(t, CURSOR + r, me.next, Order::Release);
        }
        true
    }

    fn receive(&self, s: &State, r: usize, steps: &mut Steps<State>) {
        let (me, t) = (s.readers[r], self.thread_of(r));
        if !Self::has_space(s, t, 1) {
            return;
        }
        let mode = self.bounds.readers[r];
        let (x, message) = (me.next, s.message(me.next));
        let mut n = s.clone();
        let store = |n: &mut State, value| n.memory.store(t, CURSOR + r, value, Order::Release);
        match me.pc {
            PinFence => {
                n.memory.drain_all(t);
                n.readers[r].pc = if self.makes(Mistake::PinAfterCheck) { Reference } else { PinFloor };
                steps.step(n, || format!("reader {r}: fences behind its pin"));
            }
            PinFloor => {
                let floor = s.memory.load(t, FLOOR);
                let late = self.makes(Mistake::PinAfterCheck);
                let is_there = floor <= x;
                n.readers[r].pc = match is_there {
                    true if late => PinFence,
                    true => Reference,
                    false => Lag,
                };
                match () {
                    () if is_there && late => store(&mut n, x),
                    () if !is_there && !late => store(&mut n, NO_CURSOR),
                    () if self.makes(Mistake::UnpinBeforeReading) => store(&mut n, NO_CURSOR),
                    () => {}
                }
                steps.step(n, || format!("reader {r}: pins {x}, floor {floor}"));
            }
            Reference => {
                if self.makes(Mistake::CopyValidatedBefore) && s.memory.load(t, FREE) > x {
                    n.readers[r].pc = Lag;
                    return steps.step(n, || format!("reader {r}: too late for {x}"));
                }
                let early = mode == Mode::Reliable && self.makes(Mistake::CursorBeforeReading);
                if early {
                    store(&mut n, x + 1);
                }
                let cell = s.memory.load(t, REFERENCE + self.slot(x));
                if cell == 0 {
                    steps.require(false, || format!("B2: reader {r} finds no frame at {x}"));
                    return steps.step(n, || format!("reader {r}: no frame at {x}"));
                }
                (n.readers[r].cell, n.readers[r].pc) = (cell, FirstHalf);
                steps.step(n, || format!("reader {r}: the frame of {x} is in cell {}", cell - 1));
            }
            FirstHalf | SecondHalf => {
                let half = usize::from(me.pc == SecondHalf);
                let found = s.memory.load(t, BYTES + 2 * usize::from(me.cell - 1) + half);
                let in_place = mode != Mode::Lossy;
                steps.require(!in_place || found == message, || {
                    format!("B2: reader {r} finds {found} at {x}, where {message} was committed")
                });
                let rest = if in_place { Release } else { Validate };
                let is_first = me.pc == FirstHalf;
                n.readers[r].pc = if is_first { SecondHalf } else { rest };
                if !in_place {
                    n.readers[r].copy[half] = found;
                }
                steps.step(n, || format!("reader {r}: half {half} of {x} is {found}"));
            }
            Release => {
                let after = if mode == Mode::Reliable { x + 1 } else { NO_CURSOR };
                if s.memory.load(t, CURSOR + r) != after {
                    store(&mut n, after);
                }
                self.received(&mut n, r, steps);
                steps.step(n, || format!("reader {r}: releases {x}"));
            }
            Validate => {
                let gone = match () {
                    () if self.makes(Mistake::CopyValidatedBefore) => false,
                    () if self.makes(Mistake::CopyValidatedByState) => {
                        s.memory.load(t, self.state_of(x)) != self.full(x)
                    }
                    () => s.memory.load(t, FREE) > x,
                };
                if gone {
                    n.readers[r] = Reader { pc: Lag, next: x, ..Reader::default() };
                    return steps.step(n, || format!("reader {r}: {x} may have changed meanwhile"));
                }
                steps.require(me.copy == [message; 2], || {
                    format!("B3: reader {r} delivers {:?} of {x}, where {message} was committed", me.copy)
                });
                self.received(&mut n, r, steps);
                steps.step(n, || format!("reader {r}: delivers {x}"));
            }
            Gone => {
                // A later lap: a tombstone, if the position is not over.
                let asks = !self.makes(Mistake::TombstoneUnasked) || me.seen != word(VACANT, self.lap(x) + 1);
                if asks && s.memory.load(t, FREE) > x {
                    n.readers[r] = Reader { pc: Lag, next: x, ..Reader::default() };
                    return steps.step(n, || format!("reader {r}: {x} is over"));
                }
                steps.require(message == 0 && me.seen == word(VACANT, self.lap(x) + 1), || {
                    format!("B6: reader {r} passes {x}, where {message} was committed")
                });
                if mode == Mode::Reliable {
                    store(&mut n, x + 1);
                }
                n.readers[r] = Reader { pc: Ready, next: x + 1, ..Reader::default() };
                steps.step(n, || format!("reader {r}: {x} is a tombstone"));
            }
            _ => {
                let floor = s.memory.load(t, FLOOR);
                let lossy = mode != Mode::Reliable;
                steps.require(lossy && floor > x, || format!("B6: reader {r} loses {x}, floor {floor}"));
                n.readers[r] = Reader { pc: Ready, next: floor, ..Reader::default() };
                steps.step(n, || format!("reader {r}: lagged by {}", floor - x));
            }
        }
    }

    /// The message at its position is delivered, and it is ready for the next.
    fn received(&self, n: &mut State, r: usize, steps: &mut Steps<State>) {
        let x = n.readers[r].next;
        let continues = n.committed[usize::from(x)] & CONTINUES != 0;
        let is_whole = !continues || {
            let found = n.memory.visible(self.state_of(x + 1));
            found == self.full(x + 1) || lap(found) > self.lap(x + 1)
        };
        steps.require(is_whole, || format!("B8: reader {r} receives {x} before the rest of its batch"));
        n.readers[r] = Reader { pc: Ready, next: x + 1, ..Reader::default() };
    }
}
