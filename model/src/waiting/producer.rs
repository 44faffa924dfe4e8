//! The producers' steps: claim, commit, notify.

use super::{FULL, NONE, Producer, ProducerPc, State, Waiting};
use crate::checker::Steps;
use crate::eventcount::Waking;
use crate::mistake::Mistake;
use crate::store_buffer::Order;

impl Waiting {
    /// All steps but those of `notify`, which the eventcount has.
    pub(super) fn producer(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let me = s.producers[i];
        let k = self.bounds.k;
        let mut n = s.clone();
        let p = &mut n.producers[i];
        match me.pc {
            ProducerPc::Claim if s.tail_closed => {
                p.pc = ProducerPc::Done;
                steps.step(n, || format!("producer {i}: finds the tail closed"));
            }
            ProducerPc::Claim => {
                *p = Producer {
                    pc: ProducerPc::Commit,
                    position: s.tail,
                    commits: 0,
                    armed: s.eventcount.armed,
                };
                n.tail += k;
                steps.step(n, || format!("producer {i}: claims {}", s.tail));
            }
            ProducerPc::Commit => {
                let position = me.position + me.commits;
                n.eventcount.memory.store(i, position.into(), FULL, Order::Release);
                p.commits += 1;
                if p.commits == k {
                    *p = Producer { pc: ProducerPc::Done, position: NONE, commits: 0, armed: false };
                    if me.armed || !self.makes(Mistake::CheckBeforeCommit) {
                        n.eventcount.notify(i, k);
                    }
                }
                steps.step(n, || format!("producer {i}: commits {position}"));
            }
            ProducerPc::Done | ProducerPc::Killed => {}
        }
        let at_it = matches!(me.pc, ProducerPc::Claim | ProducerPc::Commit);
        let wakes = s.eventcount.threads[i].waking != Waking::No;
        if s.kills < self.bounds.kills && (at_it || wakes) {
            let mut n = State { kills: s.kills + 1, ..s.clone() };
            // The claimed position is still in its entry, for recovery.
            n.producers[i].pc = ProducerPc::Killed;
            n.eventcount.rest(i);
            steps.environment(n, || format!("producer {i} KILLED at {:?}", me.pc));
        }
    }
}
