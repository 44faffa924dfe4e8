//! A producer that sends: room, payload, claim, commit.

use super::state::CONTINUES;
use super::*;

impl Broadcast {
    pub(super) fn is_done(&self, producer: &Producer) -> bool {
        producer.pc == ProducerPc::Begin && producer.written == self.bounds.messages
    }

    pub(super) fn producer(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        use ProducerPc::*;
        match s.producers[i].pc {
            Killed => self.attach_producer(s, i, steps),
            Begin | Write | ReadTail | CasTail | StoreReference | StoreState => self.send(s, i, steps),
            OneReference | OneState | OneTail => self.commit_batch(s, i, steps),
            TakeFree | TakeWalk | TakeClear | TakeTail | Rebuild => self.takeover(s, i, steps),
            _ => self.raise(s, i, steps),
        }
    }

    fn send(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let me = s.producers[i];
        let Bounds { slots, lane, messages, batch, .. } = self.bounds;
        let mut n = s.clone();
        let p = &mut n.producers[i];
        match me.pc {
            ProducerPc::Begin => {
                if me.written == messages {
                    return;
                }
                let count = batch.max(1).min(messages - me.written);
                // The newest of the frames that lie where the batch shall be.
                let over = (0..count).map(|k| me.at[usize::from((me.cell + k) % lane)]).max().unwrap_or(0);
                if over > me.free && !self.makes(Mistake::LaneIgnoresFree) {
                    self.begin_raise(p, over);
                    return steps.step(n, || format!("producer {i}: no room in the lane, {over} positions"));
                }
                (p.pc, p.count, p.index) = (ProducerPc::Write, count, 0);
                steps.step(n, || format!("producer {i}: room for {count} in the lane"));
            }
            ProducerPc::Write => {
                if !Self::has_space(s, i, 2) {
                    return;
                }
                p.written += 1;
                p.index += 1;
                if p.index == me.count {
                    (p.pc, p.index) = (ProducerPc::ReadTail, 0);
                }
                let cell = (me.cell + me.index) % lane;
                let at = BYTES + 2 * (i * usize::from(lane) + usize::from(cell));
                let id = self.message_of(i, me.written);
                // Behind a release fence: not before `free` is visible that says that the frame is over.
                let is_fenced = !self.makes(Mistake::WriteWithoutFence);
                let order = if is_fenced { Order::Release } else { Order::Relaxed };
                n.memory.store(i, at, id, order);
                n.memory.store(i, at + 1, id, order);
                steps.step(n, || format!("producer {i}: writes {id} to cell {cell}"));
            }
            ProducerPc::ReadTail => {
                let t = s.memory.load(i, TAIL);
                if t + me.count > me.free + slots {
                    self.begin_raise(p, t + me.count - slots);
                    p.back = ProducerPc::ReadTail;
                    return steps.step(n, || format!("producer {i}: no room in the order ring"));
                }
                p.position = t;
                if self.one_writer() {
                    let first = self.makes(Mistake::TailBeforeStates);
                    p.pc = if first { ProducerPc::OneTail } else { ProducerPc::OneReference };
                } else if Self::has_space(s, i, 1) {
                    p.pc = ProducerPc::CasTail;
                    n.memory.store(i, INTENT + i, t + 1, Order::Release);
                } else {
                    return;
                }
                steps.step(n, || format!("producer {i}: room at tail {t}"));
            }
            ProducerPc::CasTail => {
                if !s.memory.is_drained(i) {
                    return;
                }
                let wins = s.memory.visible(TAIL) == me.position;
                if wins {
                    n.memory.modify(TAIL, me.position + 1);
                    p.pc = ProducerPc::StoreReference;
                } else {
                    (p.pc, p.position) = (ProducerPc::ReadTail, 0);
                    n.memory.store(i, INTENT + i, 0, Order::Release);
                }
                steps.step(n, || format!("producer {i}: claims {}: {wins}", me.position));
            }
            ProducerPc::StoreReference => {
                if !Self::has_space(s, i, 1) {
                    return;
                }
                p.pc = ProducerPc::StoreState;
                self.store_reference(&mut n, i, 0);
                steps.step(n, || format!("producer {i}: stores reference {}", me.position));
            }
            _ => {
                if !Self::has_space(s, i, 1) {
                    return;
                }
                let relaxed = self.makes(Mistake::CommitRelaxed);
                let order = if relaxed { Order::Relaxed } else { Order::Release };
                n.memory.store(i, self.state_of(me.position), self.full(me.position), order);
                self.committed(&mut n, i, steps);
                rest(&mut n.producers[i]);
                steps.step(n, || format!("producer {i}: commits {}", me.position));
            }
        }
    }

    /// One writer's batch: the first state is stored last, and `tail` behind it.
    fn commit_batch(&self, s: &State, i: usize, steps: &mut Steps<State>) {
        let me = s.producers[i];
        if !Self::has_space(s, i, 1) {
            return;
        }
        let tail_first = self.makes(Mistake::TailBeforeStates);
        let mut n = s.clone();
        match me.pc {
            ProducerPc::OneReference => {
                let is_last = me.index + 1 == me.count;
                self.store_reference(&mut n, i, me.index);
                let p = &mut n.producers[i];
                p.index = if is_last { 0 } else { me.index + 1 };
                p.pc = if is_last { ProducerPc::OneState } else { ProducerPc::OneReference };
                steps.step(n, || format!("producer {i}: stores reference {}", me.position + me.index));
            }
            ProducerPc::OneState => {
                let first_first = self.makes(Mistake::FirstStateFirst);
                let k = if first_first { me.index } else { me.count - 1 - me.index };
                let at = me.position + k;
                let relaxed = self.makes(Mistake::CommitRelaxed);
                let order = if relaxed { Order::Relaxed } else { Order::Release };
                n.memory.store(i, self.state_of(at), self.full(at), order);
                let is_last = me.index + 1 == me.count;
                let p = &mut n.producers[i];
                p.index = me.index + 1;
                p.pc = if is_last { ProducerPc::OneTail } else { ProducerPc::OneState };
                if k == 0 {
                    self.committed(&mut n, i, steps);
                }
                if is_last && tail_first {
                    rest(&mut n.producers[i]);
                }
                steps.step(n, || format!("producer {i}: stores state {at}"));
            }
            _ => {
                n.memory.store(i, TAIL, me.position + me.count, Order::Release);
                if tail_first {
                    n.producers[i].pc = ProducerPc::OneReference;
                } else {
                    rest(&mut n.producers[i]);
                }
                steps.step(n, || format!("producer {i}: stores tail {}", me.position + me.count));
            }
        }
    }

    fn message_of(&self, producer: usize, written: u8) -> u8 {
        producer as u8 * self.bounds.messages + written + 1
    }

    fn store_reference(&self, n: &mut State, i: usize, k: u8) {
        let Producer { position, cell, .. } = n.producers[i];
        let cell = i as u8 * self.bounds.lane + (cell + k) % self.bounds.lane;
        n.memory.store(i, REFERENCE + self.slot(position + k), cell + 1, Order::Relaxed);
    }

    /// The messages of this claim are committed.
    fn committed(&self, n: &mut State, i: usize, steps: &mut Steps<State>) {
        let Producer { position, count, written, cell, .. } = n.producers[i];
        for k in 0..count {
            let at = position + k;
            steps.require(n.message(at) == 0, || format!("B7: position {at} has a message already"));
            let continues = if k + 1 < count { CONTINUES } else { 0 };
            n.committed[usize::from(at)] = self.message_of(i, written - count + k) | continues;
            n.producers[i].at[usize::from((cell + k) % self.bounds.lane)] = at + 1;
        }
        n.producers[i].cell = (cell + count) % self.bounds.lane;
    }
}

fn rest(p: &mut Producer) {
    (p.pc, p.position, p.count, p.index) = (ProducerPc::Begin, 0, 0, 0);
}
