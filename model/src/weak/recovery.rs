//! Recovery, which only loads and compares-and-swaps: it needs no store buffer.

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pc {
    ReadTail,
    ReadHead,
    ReadSlot,
    ReadIntent,
    ProbeLock,
    Cas,
    Bump,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Recovery {
    pc: Pc,
    tail: u8,
    head: u8,
    slot: u8,
    word: u8,
    thread: u8,
}

pub(super) const AT_START: Recovery =
    Recovery { pc: Pc::ReadTail, tail: 0, head: 0, slot: 0, word: 0, thread: 0 };

impl WeakMemory {
    pub(super) fn recovery(&self, s: &State, steps: &mut Steps<State>) {
        let r = s.recovery;
        let mut n = s.clone();
        let q = &mut n.recovery;
        let t = usize::from(r.thread);
        let next_slot = Recovery { pc: Pc::ReadSlot, slot: r.slot + 1, word: 0, thread: 0, ..r };
        let next_slot = if r.slot + 1 == SLOTS { Recovery { pc: Pc::Bump, ..AT_START } } else { next_slot };
        let position = lap(r.word) * SLOTS + r.slot;
        match r.pc {
            Pc::ReadTail => {
                *q = Recovery { pc: Pc::ReadHead, tail: s.memory.visible(TAIL), ..r };
                steps.step(n, || "recovery: reads tail".into());
            }
            Pc::ReadHead => {
                *q = Recovery { pc: Pc::ReadSlot, head: s.memory.visible(HEAD), ..r };
                steps.step(n, || "recovery: reads head".into());
            }
            Pc::ReadSlot => {
                let found = s.memory.visible(slot(r.slot));
                let position = lap(found) * SLOTS + r.slot;
                let side = match kind(found) {
                    FREE if position < r.tail => Some((Pc::ReadIntent, 0)),
                    FULL if position < r.head => Some((Pc::ReadIntent, self.bounds.producers)),
                    HELD => Some((Pc::ProbeLock, owner(found))),
                    _ => None,
                };
                *q = side.map_or(next_slot, |(pc, t)| Recovery { pc, word: found, thread: t as u8, ..r });
                steps.step(n, || format!("recovery: {}", describe(slot(r.slot), found)));
            }
            Pc::ReadIntent => {
                let covers = s.memory.visible(INTENT + t) == intent(position);
                let last = t + 1 == if kind(r.word) == FREE { self.bounds.producers } else { self.threads() };
                *q = match (covers, last) {
                    (true, _) => Recovery { pc: Pc::ProbeLock, ..r },
                    (false, true) => Recovery { pc: Pc::Cas, ..r },
                    (false, false) => Recovery { thread: r.thread + 1, ..r },
                };
                steps.step(n, || format!("recovery: intent of {} covers {position}? {covers}", self.name(t)));
            }
            Pc::ProbeLock => {
                let live = Self::liveness_lock(s, t);
                let last = t + 1 == if kind(r.word) == FREE { self.bounds.producers } else { self.threads() };
                *q = match (live, kind(r.word) == HELD || last) {
                    (true, _) => next_slot,
                    (false, true) => Recovery { pc: Pc::Cas, ..r },
                    (false, false) => Recovery { pc: Pc::ReadIntent, thread: r.thread + 1, ..r },
                };
                steps.step(n, || format!("recovery: liveness lock of {} held? {live}", self.name(t)));
            }
            Pc::Bump => {
                *q = AT_START;
                self.bump_epoch(&mut n);
                steps.step(n, || "recovery: redelivery_epoch += 1".into());
            }
            Pc::Cas => {
                *q = next_slot;
                let unchanged = s.memory.visible(slot(r.slot)) == r.word;
                if unchanged {
                    let tombstone = kind(r.word) == FREE;
                    let l = lap(r.word);
                    n.memory.modify(
                        slot(r.slot),
                        if tombstone { word(FREE, 0, l + 1) } else { word(REDELIVER, 0, l) },
                    );
                }
                steps.step(n, || format!("recovery: CAS of slot {}: {unchanged}", r.slot));
            }
        }
    }
}
