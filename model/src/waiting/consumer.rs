//! The consumers' steps: attempt, take, pass on, sleep; recover, reject, observe the end.

use super::{ConsumerPc, FREE, PRODUCERS, ProducerPc, REDELIVER, State, TAKEN, TOMBSTONE, Waiting};
use crate::checker::Steps;
use crate::doorbell::{ALL, Rules, Sleeping, Waking};
use crate::mistake::Mistake;
use crate::store_buffer::Order;

impl Waiting {
    pub(super) fn consumer(&self, s: &State, j: usize, rules: &Rules, steps: &mut Steps<State>) {
        let t = PRODUCERS + j;
        if s.bell.threads[t].waking != Waking::No {
            return;
        }
        match s.consumers[j].pc {
            ConsumerPc::Wait => match s.bell.threads[t].sleeping {
                Sleeping::No | Sleeping::Look => self.look(s, j, rules, steps),
                _ => {
                    if let Some((bell, label)) = s.bell.sleeping(t, rules) {
                        steps.step(State { bell, ..s.clone() }, || format!("consumer {j}: {label}"));
                    }
                }
            },
            ConsumerPc::PassOn => self.pass_on(s, j, ConsumerPc::Holding, steps),
            ConsumerPc::PassOnTold => self.pass_on(s, j, ConsumerPc::Told, steps),
            ConsumerPc::Holding => self.holding(s, j, steps),
            ConsumerPc::Busy | ConsumerPc::Told => {}
        }
    }

    fn look(&self, s: &State, j: usize, rules: &Rules, steps: &mut Steps<State>) {
        let t = PRODUCERS + j;
        let mut n = s.clone();
        // Tombstones are skipped.
        while n.head < n.tail && n.slot(n.head) == TOMBSTONE {
            n.head += 1;
        }
        let redo = (0..n.head).find(|&x| n.slot(x) == REDELIVER);
        let next = n.is_full(n.head).then_some(n.head);
        if let Some(position) = redo.or(next) {
            n.head += u8::from(redo.is_none());
            n.bell.memory.modify(position.into(), TAKEN);
            n.bell.stay_awake(t);
            (n.consumers[j].pc, n.consumers[j].position) = (ConsumerPc::PassOn, position);
            steps.step(n, || format!("consumer {j}: takes {position}"));
        } else if self.recover(&mut n, t) {
            steps.step(n, || format!("consumer {j}: recovers, from {} on", s.head));
        } else if s.closed && self.is_over(&mut n) {
            let live = |p: &super::Producer| p.pc == ProducerPc::Commit;
            steps.require(!s.producers.iter().any(live), || "closed: told so with a message to come".into());
            n.bell.stay_awake(t);
            n.consumers[j].pc = ConsumerPc::PassOnTold;
            steps.step(n, || format!("consumer {j}: is told that the queue is closed"));
        } else if s.bell.threads[t].sleeping == Sleeping::Look {
            n.bell.found_nothing(t, rules);
            steps.step(n, || format!("consumer {j}: still finds nothing"));
        } else {
            n.bell.begin(t, rules);
            steps.step(n, || format!("consumer {j}: finds nothing, reads the bell"));
        }
    }

    /// The queue is closed and nothing is there. Closes the tail; true if nothing will come.
    fn is_over(&self, n: &mut State) -> bool {
        n.tail_closed = true;
        n.head == n.tail || self.makes(Mistake::ToldBeforeDrained)
    }

    /// Dead producers' claims at `head`: makes their tombstones and wakes all.
    fn recover(&self, n: &mut State, t: usize) -> bool {
        if n.head == n.tail {
            return false;
        }
        let is_dead = |n: &State, x: u8| {
            let k = self.bounds.k;
            n.producers.iter().enumerate().any(|(i, p)| {
                let claimed = p.pc == ProducerPc::Killed && (p.position..p.position + k).contains(&x);
                claimed && n.bell.memory.is_drained(i)
            })
        };
        let lost = |n: &State, x: u8| n.slot(x) == FREE && is_dead(n, x);
        if !lost(n, n.head) {
            return false;
        }
        for x in n.head..n.tail {
            if lost(n, x) {
                n.bell.memory.modify(x.into(), TOMBSTONE);
            }
        }
        n.bell.stay_awake(t);
        n.bell.notify(t, ALL);
        true
    }

    fn pass_on(&self, s: &State, j: usize, pc: ConsumerPc, steps: &mut Steps<State>) {
        let t = PRODUCERS + j;
        let mut n = s.clone();
        n.consumers[j].pc = pc;
        let wanted = match () {
            () if self.makes(Mistake::NothingPassedOn) => 0,
            () if s.closed && self.makes(Mistake::EndNotPassedOn) => 0,
            () if s.closed => ALL,
            () => u8::from(s.is_full(s.head)),
        };
        if wanted > 0 {
            n.bell.notify(t, wanted);
        }
        steps.step(n, || format!("consumer {j}: passes the ring on to {wanted}"));
    }

    /// The user keeps its message, or rejects it; either way it does not come back for another.
    fn holding(&self, s: &State, j: usize, steps: &mut Steps<State>) {
        let t = PRODUCERS + j;
        let position = s.consumers[j].position;
        let mut n = s.clone();
        (n.consumers[j].pc, n.consumers[j].position) = (ConsumerPc::Busy, 0);
        steps.step(n.clone(), || format!("consumer {j}: is busy with its message"));
        if s.rejects < self.bounds.rejects {
            n.rejects += 1;
            n.bell.memory.store(t, position.into(), REDELIVER, Order::Release);
            if !self.makes(Mistake::RejectWithoutRing) {
                n.bell.notify(t, ALL);
            }
            steps.environment(n, || format!("consumer {j}: rejects {position}"));
        }
    }
}
