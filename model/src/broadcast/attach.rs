//! Readers attach, join, seek and leave; and stop for good.

use super::*;
use ReaderPc::*;

impl Broadcast {
    /// Another participant gets the entry: its liveness lock is free.
    pub(super) fn new_reader(&self, s: &State, r: usize, steps: &mut Steps<State>) {
        let is_free = !self.is_alive(s, self.thread_of(r)) && !is_dirty(s.memory.visible(ENTRY + r));
        if is_free && s.attaches < self.bounds.attaches {
            let mut n = State { attaches: s.attaches + 1, ..s.clone() };
            n.readers[r].pc = Attach;
            steps.environment(n, || format!("reader {r}: another one attaches"));
        }
    }

    pub(super) fn join(&self, s: &State, r: usize, steps: &mut Steps<State>) {
        let (me, t) = (s.readers[r], self.thread_of(r));
        if !Self::has_space(s, t, 1) {
            return;
        }
        let mut n = s.clone();
        let put = |n: &mut State, location, value| n.memory.store(t, location, value, Order::Release);
        let late = self.makes(Mistake::CursorBeforeDirty);
        let dirty = s.memory.load(t, ENTRY + r) + 1;
        match me.pc {
            Attach => {
                if !late {
                    put(&mut n, ENTRY + r, dirty);
                }
                n.readers[r].pc = Choose;
                steps.step(n, || format!("reader {r}: attaches"));
            }
            LateDirty => {
                put(&mut n, ENTRY + r, dirty);
                n.readers[r].pc = JoinFence;
                steps.step(n, || format!("reader {r}: is DIRTY"));
            }
            Choose => {
                let oldest = s.memory.load(t, FREE);
                let newest = s.memory.load(t, TAIL);
                let reliable = self.bounds.readers[r] == Mode::Reliable;
                let pc = if reliable { JoinCursor } else { Ready };
                if newest > oldest && !self.bounds.oldest {
                    let mut n = n.clone();
                    (n.readers[r].pc, n.readers[r].next) = (pc, newest);
                    steps.step(n, || format!("reader {r}: joins at the newest, {newest}"));
                }
                (n.readers[r].pc, n.readers[r].next) = (pc, oldest);
                steps.step(n, || format!("reader {r}: joins at the oldest, {oldest}"));
            }
            JoinCursor => {
                put(&mut n, CURSOR + r, me.next);
                let is_dirty = is_dirty(s.memory.load(t, ENTRY + r));
                n.readers[r].pc = match () {
                    () if late && !is_dirty => LateDirty,
                    () if self.makes(Mistake::JoinWithoutFence) => JoinFloor,
                    () => JoinFence,
                };
                steps.step(n, || format!("reader {r}: cursor {}", me.next));
            }
            JoinFence => {
                n.memory.drain_all(t);
                n.readers[r].pc = JoinFloor;
                steps.step(n, || format!("reader {r}: fences"));
            }
            _ => {
                let location = if self.makes(Mistake::JoinAsksFree) { FREE } else { FLOOR };
                let floor = s.memory.load(t, location);
                let begin = if self.makes(Mistake::JoinIgnoresFloor) { me.next } else { me.next.max(floor) };
                if begin != me.next {
                    put(&mut n, CURSOR + r, begin);
                }
                n.readers[r] = Reader { pc: Ready, next: begin, ..Reader::default() };
                steps.step(n, || format!("reader {r}: floor {floor}, begins at {begin}"));
            }
        }
    }

    /// Joins again, anywhere up to `tail`.
    pub(super) fn seek(&self, s: &State, r: usize, steps: &mut Steps<State>) {
        if s.seeks == self.bounds.seeks {
            return;
        }
        let tail = s.memory.load(self.thread_of(r), TAIL);
        let joins = self.bounds.readers[r] == Mode::Reliable && !self.makes(Mistake::SeekWithoutJoin);
        for to in (0..=tail).filter(|&to| to != s.readers[r].next) {
            let mut n = State { seeks: s.seeks + 1, ..s.clone() };
            let pc = if joins { JoinCursor } else { Ready };
            n.readers[r] = Reader { pc, next: to, ..Reader::default() };
            steps.environment(n, || format!("reader {r}: seeks {to}"));
        }
    }

    pub(super) fn leave(&self, s: &State, r: usize, steps: &mut Steps<State>) {
        let t = self.thread_of(r);
        let mut n = s.clone();
        if !Self::has_space(s, t, 1) {
            return;
        }
        if s.readers[r].pc == LeaveClean {
            n.memory.store(t, ENTRY + r, s.memory.load(t, ENTRY + r) + 1, Order::Release);
            n.readers[r] = Reader::default();
            return steps.step(n, || format!("reader {r}: is CLEAN"));
        }
        if s.leaves < self.bounds.leaves {
            n.leaves += 1;
            n.memory.store(t, CURSOR + r, NO_CURSOR, Order::Release);
            n.readers[r] = Reader { pc: LeaveClean, ..Reader::default() };
            steps.environment(n, || format!("reader {r}: leaves"));
        }
    }

    /// A lossy reader may stop for good anywhere; one that reads in place, only while it has no cursor.
    pub(super) fn stop(&self, s: &State, r: usize, steps: &mut Steps<State>) {
        let may = match (self.bounds.readers[r], s.readers[r].pc) {
            (Mode::Reliable, _) | (_, Killed | Out | Stopped | Attach) => false,
            (Mode::Lossy, _) => true,
            (Mode::Pinned, pc) => matches!(pc, Ready | Gone | Lag),
        };
        if may && s.stops < self.bounds.stops {
            let mut n = State { stops: s.stops + 1, ..s.clone() };
            n.readers[r] = Reader { pc: Stopped, ..Reader::default() };
            steps.environment(n, || format!("reader {r} STOPPED at {:?}", s.readers[r].pc));
        }
    }
}
