//! The consumers' steps: attempt, take, pass on, sleep; recover, reject, observe the end.

use super::{ConsumerPc, FREE, PRODUCERS, ProducerPc, REDELIVER, State, TAKEN, TOMBSTONE, Waiting};
use crate::checker::Steps;
use crate::eventcount::{ALL, Rules, Sleeping, Waking};
use crate::mistake::Mistake;
use crate::store_buffer::Order;

impl Waiting {
    pub(super) fn consumer(&self, s: &State, j: usize, rules: &Rules, steps: &mut Steps<State>) {
        let t = PRODUCERS + j;
        if s.eventcount.threads[t].waking != Waking::No {
            return;
        }
        match s.consumers[j].pc {
            ConsumerPc::Wait => match s.eventcount.threads[t].sleeping {
                Sleeping::No | Sleeping::Check => self.check(s, j, rules, steps),
                _ => {
                    if let Some((eventcount, label)) = s.eventcount.sleeping(t, rules) {
                        steps.step(State { eventcount, ..s.clone() }, || format!("consumer {j}: {label}"));
                    }
                }
            },
            ConsumerPc::PassOn => self.pass_on(s, j, ConsumerPc::Holding, steps),
            ConsumerPc::PassOnClosed => self.pass_on(s, j, ConsumerPc::FoundClosed, steps),
            ConsumerPc::Holding => self.holding(s, j, steps),
            ConsumerPc::Busy | ConsumerPc::FoundClosed => {}
        }
    }

    fn check(&self, s: &State, j: usize, rules: &Rules, steps: &mut Steps<State>) {
        let t = PRODUCERS + j;
        let mut n = s.clone();
        // Tombstones are skipped.
        while n.head < n.tail && n.slot(n.head) == TOMBSTONE {
            n.head += 1;
        }
        let redelivered = (0..n.head).find(|&x| n.slot(x) == REDELIVER);
        let next = n.is_full(n.head).then_some(n.head);
        if let Some(position) = redelivered.or(next) {
            n.head += u8::from(redelivered.is_none());
            n.eventcount.memory.modify(position.into(), TAKEN);
            n.eventcount.stay_awake(t);
            (n.consumers[j].pc, n.consumers[j].position) = (ConsumerPc::PassOn, position);
            steps.step(n, || format!("consumer {j}: takes {position}"));
        } else if self.recover(&mut n, t) {
            steps.step(n, || format!("consumer {j}: recovers, from {} on", s.head));
        } else if s.closed && self.is_over(&mut n) {
            let live = |p: &super::Producer| p.pc == ProducerPc::Commit;
            steps.require(!s.producers.iter().any(live), || "closed: told so with a message to come".into());
            n.eventcount.stay_awake(t);
            n.consumers[j].pc = ConsumerPc::PassOnClosed;
            steps.step(n, || format!("consumer {j}: is told that the queue is closed"));
        } else if s.eventcount.threads[t].sleeping == Sleeping::Check {
            n.eventcount.found_nothing(t, rules);
            steps.step(n, || format!("consumer {j}: still finds nothing"));
        } else {
            n.eventcount.begin(t, rules);
            steps.step(n, || format!("consumer {j}: finds nothing, reads the eventcount"));
        }
    }

    /// The queue is closed and nothing is there. Closes the tail; true if nothing will come.
    fn is_over(&self, n: &mut State) -> bool {
        n.tail_closed = true;
        n.head == n.tail || self.makes(Mistake::ClosedBeforeDrained)
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
                claimed && n.eventcount.memory.is_drained(i)
            })
        };
        let lost = |n: &State, x: u8| n.slot(x) == FREE && is_dead(n, x);
        if !lost(n, n.head) {
            return false;
        }
        for x in n.head..n.tail {
            if lost(n, x) {
                n.eventcount.memory.modify(x.into(), TOMBSTONE);
            }
        }
        n.eventcount.stay_awake(t);
        n.eventcount.notify(t, ALL);
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
            n.eventcount.notify(t, wanted);
        }
        steps.step(n, || format!("consumer {j}: passes the notification on to {wanted}"));
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
            n.eventcount.memory.store(t, position.into(), REDELIVER, Order::Release);
            if !self.makes(Mistake::RejectWithoutNotify) {
                n.eventcount.notify(t, ALL);
            }
            steps.environment(n, || format!("consumer {j}: rejects {position}"));
        }
    }
}
