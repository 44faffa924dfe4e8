//! Producers and consumers, and their stores on the way to memory.

use super::*;

impl WeakMemory {
    pub(super) fn thread(&self, s: &State, t: usize, steps: &mut Steps<State>) {
        let me = s.threads[t];
        let producer = self.is_producer(t);
        let x = slot(me.position);
        let mut n = s.clone();
        let stores =
            matches!(me.pc, Pc::StoreIntent | Pc::ClearIntent | Pc::StoreFields | Pc::Mark | Pc::Release);
        if stores && !s.memory.has_room(t) {
            return;
        }
        match me.pc {
            Pc::Killed | Pc::Idle => {}
            Pc::Ready => self.ready(s, t, steps),
            Pc::Scan => {
                let found = s.memory.load(t, slot(me.position));
                if kind(found) == REDELIVER && !s.memory.may_modify(t, slot(me.position), Order::Release) {
                    return;
                }
                n.threads[t] = if kind(found) == REDELIVER {
                    n.memory.modify(slot(me.position), word(HELD, t, lap(found)));
                    let position = lap(found) * SLOTS + me.position;
                    Thread { pc: Pc::ReadFields, position, scan_is_current: false, ..me }
                } else if me.position + 1 < SLOTS {
                    Thread { position: me.position + 1, ..me }
                } else {
                    let seen = me.scan_is_current;
                    Thread { pc: Pc::Ready, position: 0, seen, scan_is_current: false, ..me }
                };
                steps.step(n, || format!("{}: scans slot {}", self.name(t), me.position));
            }
            Pc::CheckSlot => {
                let found = s.memory.load(t, x);
                let wanted = if producer { FREE } else { FULL };
                n.threads[t].pc = if (kind(found), lap(found)) == (wanted, me.position / SLOTS) {
                    Pc::StoreIntent
                } else {
                    if !producer && lap(found) > me.position / SLOTS && s.memory.visible(HEAD) == me.position
                    {
                        n.memory.modify(HEAD, me.position + 1); // a tombstone: skip it
                    }
                    Pc::Ready
                };
                steps.step(n, || format!("{}: {}", self.name(t), describe(x, s.memory.load(t, x))));
            }
            Pc::StoreIntent => {
                let order = self.order(if producer {
                    Mistake::RelaxedClaimIntent
                } else {
                    Mistake::RelaxedTakeIntent
                });
                n.memory.store(t, INTENT + t, intent(me.position), order);
                n.threads[t].pc = Pc::Cas;
                steps.step(n, || format!("{}: stores intent {}", self.name(t), me.position));
            }
            Pc::Cas => {
                let cursor = if producer { TAIL } else { HEAD };
                let order = self.order(if producer { Mistake::RelaxedClaim } else { Mistake::RelaxedTake });
                let wins = s.memory.visible(cursor) == me.position;
                if wins && !s.memory.may_modify(t, cursor, order) {
                    return;
                }
                if wins {
                    n.memory.modify(cursor, me.position + 1);
                }
                n.threads[t].pc = match wins {
                    false => Pc::ClearIntent,
                    true if producer => Pc::StoreFields,
                    true => Pc::Mark,
                };
                let result = if wins { "wins" } else { "loses" };
                steps.step(n, || format!("{}: CAS {result} {}", self.name(t), me.position));
            }
            Pc::ClearIntent => {
                n.memory.store(t, INTENT + t, 0, Order::Release);
                n.threads[t] = Thread { pc: Pc::Ready, position: 0, ..me };
                steps.step(n, || format!("{}: stores intent NONE", self.name(t)));
            }
            Pc::StoreFields => {
                n.memory.store(t, fields(me.position), self.message(t, me.sent) + 1, Order::Relaxed);
                n.threads[t].pc = Pc::Mark;
                steps.step(n, || format!("{}: stores the fields of {}", self.name(t), me.position));
            }
            Pc::Mark if producer => {
                let full = word(FULL, 0, me.position / SLOTS);
                n.memory.store(t, x, full, self.order(Mistake::RelaxedCommit));
                n.committed[usize::from(me.position)] = self.message(t, me.sent) + 1;
                n.threads[t] = Thread { pc: Pc::Ready, position: 0, sent: me.sent + 1, ..me };
                steps.step(n, || format!("{}: stores FULL {}", self.name(t), me.position));
            }
            Pc::Mark => {
                let held = word(HELD, t, me.position / SLOTS);
                n.memory.store(t, x, held, Order::Release);
                n.threads[t].pc = Pc::ReadFields;
                steps.step(n, || format!("{}: stores HELD {}", self.name(t), me.position));
            }
            Pc::ReadFields => {
                let found = s.memory.load(t, fields(me.position));
                steps.require(found == s.committed[usize::from(me.position)], || {
                    format!("I4, I6: {} reads {found} at {}", self.name(t), me.position)
                });
                n.delivered[usize::from(me.position)] = true;
                n.threads[t].pc = Pc::Release;
                steps.step(n, || format!("{}: reads the frame of {}", self.name(t), me.position));
            }
            Pc::Release => {
                let free = word(FREE, 0, me.position / SLOTS + 1);
                n.memory.store(t, x, free, Order::Release);
                n.threads[t] = Thread { pc: Pc::Ready, position: 0, ..me };
                steps.step(n, || format!("{}: stores FREE, {} is released", self.name(t), me.position));
                if s.rejects < self.bounds.rejects {
                    let mut n = State { rejects: s.rejects + 1, ..s.clone() };
                    n.memory.store(t, x, word(REDELIVER, 0, me.position / SLOTS), Order::Release);
                    n.threads[t].pc = Pc::Bump;
                    steps.environment(n, || {
                        format!("{}: stores REDELIVER, rejects {}", self.name(t), me.position)
                    });
                }
            }
            Pc::Bump => {
                // An epoch has a location of its own, to which no thread has a store under way.
                let order = self.order(Mistake::RelaxedBump);
                if order == Order::Release && !s.memory.is_drained(t) {
                    return;
                }
                n.threads[t] = Thread { pc: Pc::Ready, position: 0, ..me };
                self.bump_epoch(&mut n);
                let mut idle = n.clone();
                idle.threads[t].pc = Pc::Idle;
                steps.environment(idle, || {
                    format!("{}: redelivery_epoch += 1, and never calls again", self.name(t))
                });
                steps.step(n, || format!("{}: redelivery_epoch += 1", self.name(t)));
            }
        }
    }

    fn ready(&self, s: &State, t: usize, steps: &mut Steps<State>) {
        let me = s.threads[t];
        let producer = self.is_producer(t);
        if producer && me.sent == self.bounds.messages {
            return;
        }
        let mut n = s.clone();
        if !producer && !me.seen {
            n.threads[t] = Thread { pc: Pc::Scan, position: 0, scan_is_current: true, ..me };
            return steps.step(n, || format!("{}: redelivery_epoch has changed", self.name(t)));
        }
        let cursor = s.memory.visible(if producer { TAIL } else { HEAD });
        n.threads[t] = Thread { pc: Pc::CheckSlot, position: cursor, ..me };
        steps.step(n, || format!("{}: reads its cursor, {cursor}", self.name(t)));
    }

    pub(super) fn kill(&self, s: &State, t: usize, steps: &mut Steps<State>) {
        let me = s.threads[t];
        let finished = self.is_producer(t) && me.pc == Pc::Ready && me.sent == self.bounds.messages;
        if s.kills < self.bounds.kills && me.pc != Pc::Killed && !finished {
            let mut n = State { kills: s.kills + 1, ..s.clone() };
            n.threads[t] = Thread { pc: Pc::Killed, position: 0, ..me };
            steps.environment(n, || format!("{} KILLED at {:?}", self.name(t), me.pc));
        }
    }

    /// One of the thread's stores becomes visible.
    pub(super) fn drain(&self, s: &State, t: usize, steps: &mut Steps<State>) {
        for (at, store) in s.memory.ripe(t) {
            let mut n = s.clone();
            n.memory.drain(t, at);
            let location = usize::from(store.location);
            if (SLOT..FIELDS).contains(&location) {
                let before = s.memory.visible(location);
                let l = lap(store.value);
                let meets = match kind(store.value) {
                    FULL => before == word(FREE, 0, l),
                    HELD => before == word(FULL, 0, l),
                    REDELIVER => before == word(HELD, t, l),
                    _ => before == word(HELD, t, l.wrapping_sub(1)),
                };
                steps.require(meets, || {
                    let name = self.name(t);
                    format!("I2: a store of {name} to slot {} comes after another thread's", location - SLOT)
                });
            }
            steps.step(n, || {
                format!("{}'s store is visible: {}", self.name(t), describe(location, store.value))
            });
        }
    }
}
