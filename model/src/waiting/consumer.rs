//! Look, set W, look again, sleep; and reject.

use super::{CONSUMERS, Consumer, ConsumerPc, Producer, ProducerPc, Slot, State, Waiting};
use crate::checker::Steps;
use crate::mistake::Mistake;

impl Waiting {
    pub(super) fn consumer(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let me = s.consumers[j];
        let mut n = s.clone();
        let c = &mut n.consumers[j];
        match me.pc {
            ConsumerPc::Look => self.look(s, j, steps),
            ConsumerPc::SetW => {
                n.w = true;
                c.position = s.tail;
                c.pc = ConsumerPc::CheckEpoch;
                steps.step(n, || format!("consumer {j}: sets W, tail was {}", s.tail));
            }
            ConsumerPc::CheckEpoch => {
                c.pc = if me.seen { ConsumerPc::CheckHead } else { ConsumerPc::Look };
                c.bell &= me.seen;
                steps.step(n, || format!("consumer {j}: epoch seen? {}", me.seen));
            }
            ConsumerPc::CheckHead => {
                let empty = me.position == s.head || self.makes(Mistake::ParkOnPending);
                c.pc = if empty { ConsumerPc::FutexWait } else { ConsumerPc::Look };
                c.bell &= empty;
                steps.step(n, || format!("consumer {j}: head {}", s.head));
            }
            ConsumerPc::FutexWait => {
                if self.makes(Mistake::BellReadLast) && !me.bell {
                    c.bell = true;
                    return steps.step(n, || format!("consumer {j}: reads the bell"));
                }
                let same = match self.mistake {
                    Some(Mistake::ParkOnTail) => (s.tail, s.w) == (me.position, true),
                    _ => me.bell,
                };
                (c.position, c.bell) = (0, false);
                c.pc = if same { ConsumerPc::Asleep } else { ConsumerPc::Look };
                steps.step(n, || {
                    format!("consumer {j}: futex_wait {}", if same { "sleeps" } else { "EAGAIN" })
                });
            }
            ConsumerPc::Asleep => {
                if self.bounds.kills > 0 && !self.makes(Mistake::UnboundedPark) {
                    c.pc = ConsumerPc::Look;
                    steps.step(n, || format!("consumer {j}: its slice ends"));
                }
            }
            ConsumerPc::Holding => self.holding(s, j, steps),
            ConsumerPc::BumpEpoch => {
                for consumer in &mut n.consumers {
                    consumer.seen = false;
                }
                let tested = self.makes(Mistake::RejectLoadsW) && !me.w;
                n.consumers[j].pc = if tested { ConsumerPc::Busy } else { ConsumerPc::ClearW };
                steps.step(n, || format!("consumer {j}: redo_epoch += 1"));
            }
            ConsumerPc::ClearW => {
                n.w = false;
                c.w = false;
                let wakes = s.w || !self.makes(Mistake::RejectWakesOnlyIfW);
                c.pc = if wakes { ConsumerPc::Ring } else { ConsumerPc::Busy };
                steps.step(n, || format!("consumer {j}: clears W, was {}", s.w));
            }
            ConsumerPc::Ring => {
                c.pc = ConsumerPc::WakeAll;
                n.ring();
                steps.step(n, || format!("consumer {j}: rings the bell"));
            }
            ConsumerPc::WakeAll => {
                let wanted = if self.makes(Mistake::RejectWakesOne) { 1 } else { CONSUMERS as u8 };
                self.wake(s, wanted, steps, |n, woken| {
                    n.consumers[j].pc = ConsumerPc::Busy;
                    format!("consumer {j}: futex_wake({wanted}) woke {woken}")
                });
            }
            ConsumerPc::Busy => {}
        }
    }

    /// One call of `recv`, up to where it is about to park. Its races are the matter of `claims`.
    fn look(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let me = s.consumers[j];
        let mut n = s.clone();
        if !me.seen {
            match s.slots.iter().position(|&slot| slot == Slot::Redo) {
                Some(x) => {
                    n.slots[x] = Slot::Taken;
                    n.consumers[j] = Consumer { pc: ConsumerPc::Holding, position: x as u8, ..me };
                }
                None => n.consumers[j].seen = true,
            }
            return steps.step(n, || format!("consumer {j}: scans for REDO"));
        }
        let here = s.slots.get(usize::from(s.head));
        match here {
            Some(Slot::Full) => {
                n.slots[usize::from(s.head)] = Slot::Taken;
                n.consumers[j] = Consumer { pc: ConsumerPc::Holding, position: s.head, ..me };
                n.head += 1;
                steps.step(n, || format!("consumer {j}: takes {}", s.head));
            }
            Some(Slot::Taken) => {
                n.head += 1; // a tombstone
                steps.step(n, || format!("consumer {j}: moves head past {}", s.head));
            }
            _ if s.tail > s.head && !self.makes(Mistake::ParkOnPending) => self.recover(s, j, steps),
            _ => {
                n.consumers[j].pc = ConsumerPc::SetW;
                n.consumers[j].bell = !self.makes(Mistake::BellReadLast);
                steps.step(n, || format!("consumer {j}: finds nothing, reads the bell"));
            }
        }
    }

    /// Pending: spin; and if the claimer is dead, make its tombstones, clear W and wake everyone.
    fn recover(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let mut n = s.clone();
        let alive = |x: u8| {
            let covers = |p: &Producer| (p.position..p.position + self.bounds.k).contains(&x);
            s.producers.iter().any(|p| p.pc == ProducerPc::Commit && covers(p))
        };
        for x in (s.head..s.tail).filter(|&x| s.slots[usize::from(x)] == Slot::Free && !alive(x)) {
            n.slots[usize::from(x)] = Slot::Taken;
        }
        if n.slots != s.slots {
            n.w = false;
            n.ring();
            for consumer in n.consumers.iter_mut().filter(|c| c.pc == ConsumerPc::Asleep) {
                consumer.pc = ConsumerPc::Look;
            }
            steps.step(n, || format!("consumer {j}: recovers {}, wakes everyone", s.head));
        }
    }

    /// The user keeps its message, or gives it back; either way it does not come back for another.
    fn holding(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let me = s.consumers[j];
        let mut n = s.clone();
        n.consumers[j] = Consumer { pc: ConsumerPc::Busy, position: 0, ..me };
        steps.step(n, || format!("consumer {j}: is busy with its message"));
        if s.rejects < self.bounds.rejects {
            let mut n = State { rejects: s.rejects + 1, ..s.clone() };
            n.slots[usize::from(me.position)] = Slot::Redo;
            // With a plain load of W after the bump, nothing forbids that the load is satisfied
            // before the bump is visible; so the mistake loads it here.
            let w = s.w && self.makes(Mistake::RejectLoadsW);
            n.consumers[j] = Consumer { pc: ConsumerPc::BumpEpoch, position: 0, w, ..me };
            steps.environment(n, || format!("consumer {j}: rejects {}", me.position));
        }
    }
}
