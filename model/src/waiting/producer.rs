//! Claim, commit, wake, set W again.

use super::{Producer, ProducerPc, Slot, State, Waiting};
use crate::checker::Steps;
use crate::mistake::Mistake;

impl Waiting {
    pub(super) fn producer(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let me = s.producers[i];
        let k = self.bounds.k;
        let mut n = s.clone();
        let p = &mut n.producers[i];
        match me.pc {
            ProducerPc::ReadTail => {
                *p = Producer { pc: ProducerPc::Cas, position: s.tail, w: s.w, count: 0 };
                steps.step(n, || format!("producer {i}: reads tail {} W {}", s.tail, s.w));
            }
            ProducerPc::Cas => {
                let won = (s.tail, s.w) == (me.position, me.w);
                p.pc = if won { ProducerPc::Commit } else { ProducerPc::ReadTail };
                if won {
                    (n.tail, n.w) = (s.tail + k, false);
                }
                steps.step(n, || format!("producer {i}: CAS tail {}", if won { "claims" } else { "fails" }));
            }
            ProducerPc::Commit => {
                n.slots[usize::from(me.position + me.count)] = Slot::Full;
                p.count += 1;
                if p.count == k {
                    (p.pc, p.count) = (if me.w { ProducerPc::Ring } else { ProducerPc::Done }, 0);
                }
                steps.step(n, || format!("producer {i}: commits {}", me.position + me.count));
            }
            ProducerPc::Ring | ProducerPc::RingMore => {
                p.pc = if me.pc == ProducerPc::Ring { ProducerPc::Wake } else { ProducerPc::WakeMore };
                n.ring();
                steps.step(n, || format!("producer {i}: rings the bell"));
            }
            ProducerPc::Wake => {
                let wanted = if self.makes(Mistake::WakeOneForBatch) { 1 } else { k };
                self.wake(s, wanted, steps, |n, woken| {
                    let more = woken == wanted && !self.makes(Mistake::NoRearm);
                    n.producers[i].pc = if more { ProducerPc::Rearm } else { ProducerPc::Done };
                    format!("producer {i}: futex_wake({wanted}) woke {woken}")
                });
            }
            ProducerPc::Rearm => {
                n.w = true;
                let meanwhile = s.tail - (me.position + k);
                let owed = match self.mistake {
                    Some(Mistake::RearmBlindly) => 0,
                    Some(Mistake::OneExtraWake) => meanwhile.min(1),
                    _ => meanwhile,
                };
                p.count = owed;
                p.pc = if owed > 0 { ProducerPc::RingMore } else { ProducerPc::Done };
                steps.step(n, || format!("producer {i}: sets W again; {meanwhile} claimed meanwhile"));
            }
            ProducerPc::WakeMore => self.wake(s, me.count, steps, |n, woken| {
                n.producers[i].pc = ProducerPc::Done;
                format!("producer {i}: futex_wake({}) woke {woken}", me.count)
            }),
            ProducerPc::Done | ProducerPc::Killed => return,
        }
        if s.kills < self.bounds.kills && me.pc != ProducerPc::Done {
            let mut n = State { kills: s.kills + 1, ..s.clone() };
            n.producers[i].pc = ProducerPc::Killed;
            steps.environment(n, || format!("producer {i} KILLED at {:?}", me.pc));
        }
    }
}
