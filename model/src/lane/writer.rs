//! The writer's steps, and how a new owner rebuilds the private state of the last one.

use super::{Kind, Lanes, LiveFrame, NO_LIVE_FRAME, NONE, State, Writer, WriterPc};
use crate::checker::Steps;
use crate::mistake::Mistake;

impl Lanes {
    pub(super) fn producer(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let me = s.writers[i];
        let mut n = s.clone();
        let w = &mut n.writers[i];
        let byte = |at: u8| usize::from(at % self.bounds.lane);
        match me.pc {
            WriterPc::Gone => {}
            WriterPc::FindRoom => {
                let Some(&len) = self.bounds.lengths.get(usize::from(me.next)) else { return };
                let left = self.bounds.lane - me.write % self.bounds.lane;
                let start = if len > left { me.write + left } else { me.write };
                let padding = if self.makes(Mistake::PaddingNotCounted) { 0 } else { start - me.write };
                let fits = me.write + padding + len - me.free <= self.bounds.lane;
                if fits && me.frames() < usize::from(self.bounds.slots) {
                    w.frame = LiveFrame { position: NONE, start, end: start + len };
                    w.pc = WriterPc::Write;
                } else {
                    w.pc = WriterPc::Reclaim;
                }
                steps.step(n, || format!("producer {i}: room for {len}? {fits}"));
            }
            WriterPc::Reclaim => {
                let (oldest, newest) = (me.fifo[0].position, me.fifo[me.frames() - 1].position);
                if self.makes(Mistake::FreeOutOfOrder) && self.moved_on(s, newest) {
                    (0..me.frames()).for_each(|_| w.pop());
                } else if self.is_a_lap_too_low(oldest, newest) || self.moved_on(s, oldest) {
                    w.pop();
                }
                w.pc = WriterPc::FindRoom;
                steps.step(n, || format!("producer {i}: slot of its oldest frame at {oldest}"));
            }
            WriterPc::Write => {
                n.bytes[i][byte(me.frame.start + me.done)] = self.message(i, me.next) + 1;
                w.done += 1;
                if me.frame.start + w.done == me.frame.end {
                    (w.pc, w.done) = (WriterPc::Claim, 0);
                }
                steps.step(n, || format!("producer {i}: writes byte {}", byte(me.frame.start + me.done)));
            }
            WriterPc::Claim => {
                let slot = &mut n.slots[self.slot(s.tail)];
                if (slot.kind, slot.lap) != (Kind::Free, s.tail / self.bounds.slots) {
                    return;
                }
                slot.owner = i as u8;
                n.tail += 1;
                w.frame.position = s.tail;
                w.write = me.frame.end;
                w.fifo[me.frames()] = w.frame;
                w.pc = WriterPc::StorePlace;
                steps.step(n, || format!("producer {i}: claims {}", s.tail));
            }
            WriterPc::StorePlace => {
                let slot = &mut n.slots[self.slot(me.frame.position)];
                (slot.lane, slot.offset) = (i as u8, me.frame.start % self.bounds.lane);
                slot.len = me.frame.end - me.frame.start;
                w.pc = WriterPc::Commit;
                steps.step(n, || format!("producer {i}: stores the place of {}", me.frame.position));
            }
            WriterPc::Commit => {
                let slot = &mut n.slots[self.slot(me.frame.position)];
                let message = self.message(i, me.next);
                (slot.kind, slot.owner, slot.message) = (Kind::Full, NONE, message);
                n.committed |= 1 << message;
                (w.pc, w.next, w.frame) = (WriterPc::FindRoom, me.next + 1, NO_LIVE_FRAME);
                steps.step(n, || format!("producer {i}: commits {}", me.frame.position));
            }
            _ => self.rebuild(s, i, steps),
        }
    }

    /// The new owner reads slot after slot.
    fn rebuild(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let mut n = s.clone();
        let w = &mut n.writers[i];
        let x = usize::from(w.done);
        let slot = s.slots[x];
        let (take, skip) = if w.pc == WriterPc::RebuildState {
            w.frame.position = slot.lap * self.bounds.slots + x as u8;
            w.pc = WriterPc::RebuildPlace;
            let skip = match self.mistake {
                Some(Mistake::RebuildOnlyFull) => slot.kind != Kind::Full,
                _ => slot.kind == Kind::Free,
            };
            (false, skip)
        } else {
            // It may have moved on: then its frame is over, or the place is in another lane.
            (w.frame.start, w.frame.end) = (slot.offset, slot.offset + slot.len);
            let is_mine = usize::from(slot.lane) == i;
            (is_mine, !is_mine)
        };
        if take {
            w.fifo[w.frames()] = w.frame;
        }
        if take || skip {
            (w.done, w.frame, w.pc) = (w.done + 1, NO_LIVE_FRAME, WriterPc::RebuildState);
            if w.done == self.bounds.slots {
                w.done = 0;
                self.finish_rebuild(w, steps);
            }
        }
        steps.step(n, || {
            format!("new producer {i}: {:?} of slot {x}: {:?} lap {}", s.writers[i].pc, slot.kind, slot.lap)
        });
    }

    /// Puts the frames into order and counts their bytes on from the oldest one's offset.
    fn finish_rebuild(&self, w: &mut Writer, steps: &mut Steps<State>) {
        w.pc = WriterPc::FindRoom;
        w.fifo.sort_by_key(|live| live.position);
        let mut end = w.fifo[0].start;
        for live in w.fifo.iter_mut().filter(|live| **live != NO_LIVE_FRAME) {
            while live.start < end {
                (live.start, live.end) = (live.start + self.bounds.lane, live.end + self.bounds.lane);
            }
            end = live.end;
        }
        (w.free, w.write) = (w.fifo[0].start, end);
        steps.require(w.write - w.free <= self.bounds.lane, || {
            format!(
                "live frames: the rebuilt ones span {} bytes of a lane of {}",
                w.write - w.free,
                self.bounds.lane
            )
        });
        if self.makes(Mistake::FullLaneTakenForEmpty) && w.write - w.free == self.bounds.lane {
            w.write = w.free;
        }
    }
}
