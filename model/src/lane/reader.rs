//! The consumers' steps; what recovery does for both sides; kills and new owners.

use super::{Kind, Lanes, NONE, READY, Reader, ReaderPc, Slot, State, Writer, WriterPc};
use crate::checker::Steps;
use crate::mistake::Mistake;

impl Lanes {
    pub(super) fn consumer(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let me = s.readers[j];
        let mut n = s.clone();
        let r = &mut n.readers[j];
        let x = usize::from(me.slot);
        match me.pc {
            ReaderPc::Gone => {}
            ReaderPc::Take => self.take(s, j, steps),
            ReaderPc::ReadFields => {
                let Slot { lane, offset, len, message, .. } = s.slots[x];
                *r = Reader { pc: ReaderPc::Read, lane, offset, len, message, ..me };
                if self.makes(Mistake::ReleaseBeforeReading) {
                    self.release(&mut n.slots[x]);
                }
                steps.step(n, || format!("consumer {j}: reads the fields of slot {x}"));
            }
            ReaderPc::Read => {
                let at = usize::from((me.offset + me.done) % self.bounds.lane);
                let found = s.bytes[usize::from(me.lane)][at];
                steps.require(found == me.message + 1, || {
                    format!("I4: consumer {j} reads message {} and finds a byte of another", me.message)
                });
                r.done += 1;
                if r.done == me.len {
                    n.delivered |= 1 << me.message;
                    *r = Reader { pc: ReaderPc::Release, slot: me.slot, ..READY };
                }
                steps.step(n, || format!("consumer {j}: reads byte {at} of lane {}", me.lane));
            }
            ReaderPc::Release => {
                if !self.makes(Mistake::ReleaseBeforeReading) {
                    self.release(&mut n.slots[x]);
                }
                *r = READY;
                steps.step(n, || format!("consumer {j}: releases slot {x}"));
            }
        }
    }

    fn take(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let mut hold = |x: usize, head: u8| {
            let mut n = s.clone();
            n.head = head;
            (n.slots[x].kind, n.slots[x].owner) = (Kind::Held, j as u8);
            n.readers[j] = Reader { pc: ReaderPc::ReadFields, slot: x as u8, ..READY };
            steps.step(n, || format!("consumer {j}: takes slot {x}"));
        };
        for x in (0..usize::from(self.bounds.slots)).filter(|&x| s.slots[x].kind == Kind::Redeliver) {
            hold(x, s.head);
        }
        let x = self.slot(s.head);
        let lap = s.head / self.bounds.slots;
        if (s.slots[x].kind, s.slots[x].lap) == (Kind::Full, lap) {
            hold(x, s.head + 1);
        } else if s.slots[x].lap > lap {
            let n = State { head: s.head + 1, ..s.clone() };
            steps.step(n, || format!("consumer {j}: moves head past {}", s.head));
        }
    }

    /// In single steps, what `claims` shows recovery to do.
    pub(super) fn recovery(&self, s: &State, steps: &mut Steps<State>) {
        for x in 0..usize::from(self.bounds.slots) {
            let Slot { kind, owner, .. } = s.slots[x];
            let mut n = s.clone();
            if owner == NONE {
                continue;
            } else if kind == Kind::Free && s.writers[usize::from(owner)].pc == WriterPc::Gone {
                self.release(&mut n.slots[x]);
                steps.step(n, || format!("recovery: tombstone in slot {x}"));
            } else if kind == Kind::Held && s.readers[usize::from(owner)].pc == ReaderPc::Gone {
                (n.slots[x].kind, n.slots[x].owner) = (Kind::Redeliver, NONE);
                steps.step(n, || format!("recovery: REDELIVER in slot {x}"));
            }
        }
    }

    pub(super) fn kills_and_attaches(&self, s: &State, steps: &mut Steps<State>) {
        for i in 0..self.bounds.producers {
            let me = s.writers[i];
            let finished = me.pc == WriterPc::FindRoom && usize::from(me.next) == self.bounds.lengths.len();
            if s.kills < self.bounds.kills && me.pc != WriterPc::Gone && !finished {
                let mut n = State { kills: s.kills + 1, ..s.clone() };
                n.writers[i] = Writer::new(WriterPc::Gone, me.next);
                steps.environment(n, || format!("producer {i} KILLED at {:?}", me.pc));
            }
            let claims = s.slots.iter().any(|slot| slot.kind == Kind::Free && usize::from(slot.owner) == i);
            if s.attaches < self.bounds.attaches && me.pc == WriterPc::Gone && !claims {
                let mut n = State { attaches: s.attaches + 1, ..s.clone() };
                let skip = self.makes(Mistake::RebuildSkipped);
                let pc = if skip { WriterPc::FindRoom } else { WriterPc::RebuildState };
                n.writers[i] = Writer::new(pc, me.next);
                steps.environment(n, || format!("a new producer {i} attaches"));
            }
        }
        for j in 0..self.bounds.consumers {
            if s.kills < self.bounds.kills && s.readers[j].pc != ReaderPc::Gone {
                let mut n = State { kills: s.kills + 1, ..s.clone() };
                n.readers[j] = Reader { pc: ReaderPc::Gone, ..READY };
                steps.environment(n, || format!("consumer {j} KILLED at {:?}", s.readers[j].pc));
            }
        }
    }
}
