//! The MPMC protocol proper: claim, commit, take, release, reject, recover, attach, detach.
//!
//! # What is modelled
//!
//! The order ring with its two cursors, one registry entry per participant, and the processes that
//! own them. Producers claim up to `send_k` slots with one CAS on `tail`, consumers take up to
//! `recv_k` with one CAS on `head`; guards are released or rejected in any order, by other threads
//! if need be. Recovery is the full pass over registry and slots, and may be killed anywhere.
//! Entries are detached from and attached to again, while recovery runs. Each load, store and CAS
//! of a shared word is a step of its own (see the files `producer`, `consumer`, `recovery` and
//! `entry`), and a kill can come between any two steps.
//!
//! # What is left out
//!
//! * Memory is sequentially consistent (`weak` has store buffers), and frames are message numbers
//!   (`lane` has their bytes). No participant sleeps (`waiting`, `room`).
//! * Recovery runs as a process of its own. In the product it runs inside a participant that is
//!   stopped by Pending, Full or a full lane, or by a dead-peer scan; here it may start whenever
//!   there has been a kill or a detach, and a fair scheduler lets it run. That there is one such
//!   process stands for the recovery lock, which the kernel drops with its holder.
//! * `redelivery_epoch` is compared with the copies that consumers keep, never ordered, and it only grows;
//!   so the model keeps, for each copy, whether it equals the current epoch, and no number.
//! * CLOSED, W, dead letters, saturation of `redelivery_count`; a reject under at-most-once, which is a release.
//!
//! # Invariants, and where they are asserted
//!
//! | | |
//! |---|---|
//! | I1 | `Claims::evidence`: a slot FREE below `tail` is covered by its winner's intent; a slot FULL below `head` likewise |
//! | I2 | where a slot is moved: `producer` commit, `consumer` HELD and release, `recovery` act; a guard's slot is always HELD by its holder (`invariant`) |
//! | I3 | `Slot::free_next` is the only place that changes a lap, upwards |
//! | I5 | `invariant`: delivered once, and again at most as often as consumers died, rejected or detached; "at least once" is in the goal |
//! | I6 | `invariant`: what is delivered is committed |
//! | I7 | `evidence`: a CLEAN entry has no claim, no take and no HELD slot left |
//! | I9 | `invariant`: no more positions are claimed and not released than the bound |
//! | I10 | `invariant`: `skipped` counts each tombstone once; skipped positions and committed messages are no more than `tail`, and at the goal as many |
//! | I8 | [`Claims::goal`] must stay reachable without further kills |

mod consumer;
mod entry;
mod producer;
mod recovery;
mod state;

use crate::checker::{Model, Steps};
use crate::mistake::Mistake;
use recovery::Recovery;
pub use state::{Bounds, State};
use state::{ENTRIES, Entry, Intent, Kind, MESSAGES, NONE, Pc, Process, SLOTS, Slot, Word};

pub struct Claims {
    pub bounds: Bounds,
    pub mistake: Option<Mistake>,
}

impl Claims {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn lap(&self, position: u8) -> u8 {
        position / self.bounds.slots
    }

    fn slot(&self, position: u8) -> usize {
        usize::from(position % self.bounds.slots)
    }

    /// The position that a slot's word names.
    fn position(&self, word: Word, slot: usize) -> u8 {
        word.lap * self.bounds.slots + slot as u8
    }

    fn is_producer(&self, entry: usize) -> bool {
        entry < self.bounds.producers
    }

    fn entries(&self) -> usize {
        self.bounds.producers + self.bounds.consumers
    }

    /// A kill between any two steps of any participant. One that will not call again is spared, as
    /// its kill could do no more than the kill of one that has just returned.
    fn kill(&self, s: &State, e: usize, steps: &mut Steps<State>) {
        let me = s.processes[e];
        let finished = self.is_producer(e) && me.pc == Pc::Ready && me.next == self.bounds.messages;
        if s.kills < self.bounds.kills && !finished && me.pc != Pc::Idle {
            let mut n = s.clone();
            n.kills += 1;
            n.consumer_kills += u8::from(!self.is_producer(e));
            n.processes[e] = Process::new(Pc::Gone, me.next);
            n.entries[e].liveness_lock = false;
            steps.environment(n, || format!("{} KILLED at {:?}", self.name(e), me.pc));
        }
    }

    fn idle(&self, s: &State, e: usize, steps: &mut Steps<State>) {
        if s.idlers < self.bounds.idlers {
            let mut n = s.clone();
            n.idlers += 1;
            n.processes[e].pc = Pc::Idle;
            steps.environment(n, || format!("{} never calls again", self.name(e)));
        }
    }

    /// I1 and I7: recovery finds the evidence that it needs. A mistake breaks them immediately, so
    /// with a mistake they are not asserted: what matters is the harm that follows.
    fn evidence(&self, s: &State) -> Result<(), String> {
        for (x, slot) in s.slots[..usize::from(self.bounds.slots)].iter().enumerate() {
            let position = self.position(slot.word, x);
            let won = match slot.word.kind {
                Kind::Free => position < s.tail,
                Kind::Full => position < s.head,
                Kind::Held | Kind::Redeliver => false,
            };
            if won != (slot.winner != NONE) {
                return Err(format!(
                    "I1: position {position} is {:?} with winner {}",
                    slot.word.kind, slot.winner
                ));
            }
            if won && !s.entries[usize::from(slot.winner)].intent.covers(position) {
                return Err(format!(
                    "I1: position {position} is {:?}, and its winner's intent does not say so",
                    slot.word.kind
                ));
            }
            for owner in [slot.winner, slot.word.owner] {
                if owner != NONE && !s.entries[usize::from(owner)].dirty {
                    return Err(format!(
                        "I7: {} is CLEAN, but position {position} is its residue",
                        self.name(owner.into())
                    ));
                }
            }
        }
        Ok(())
    }

    fn name(&self, e: usize) -> String {
        if self.is_producer(e) {
            format!("producer {e}")
        } else {
            format!("consumer {}", e - self.bounds.producers)
        }
    }
}

impl Model for Claims {
    type State = State;

    fn initial(&self) -> State {
        let Bounds { producers, messages, prefilled, .. } = self.bounds;
        let word = Word { kind: Kind::Free, lap: 0, owner: NONE, redelivery_count: 0 };
        let mut s = State {
            tail: prefilled,
            head: 0,
            slots: [Slot { word, message: NONE, winner: NONE }; SLOTS],
            entries: [Entry { dirty: true, generation: 0, liveness_lock: true, intent: Intent::NONE };
                ENTRIES],
            processes: [Process::new(Pc::Ready, 0); ENTRIES],
            recovery: Recovery::idle(),
            skipped: 0,
            skip_target: 0,
            skip_position: 0,
            tombstones: 0,
            committed: 0,
            deliveries: [0; MESSAGES],
            kills: 0,
            attaches: 0,
            detaches: 0,
            rejects: 0,
            idlers: 0,
            consumer_kills: 0,
        };
        for i in 0..prefilled {
            let message = producers as u8 * messages + i;
            s.slots[usize::from(i)].word.kind = Kind::Full;
            s.slots[usize::from(i)].message = message;
            s.committed |= 1 << message;
        }
        s
    }

    fn steps(&self, s: &State, steps: &mut Steps<State>) {
        for e in 0..self.entries() {
            match s.processes[e].pc {
                Pc::Gone => entry::attach(self, s, e, steps),
                Pc::Idle => {}
                Pc::AttachCheck | Pc::AttachClear | Pc::AttachDirty => entry::attaching(self, s, e, steps),
                Pc::DetachRedeliver | Pc::DetachBump | Pc::DetachClean | Pc::DetachUnlock => {
                    entry::detaching(self, s, e, steps)
                }
                _ if self.is_producer(e) => producer::steps(self, s, e, steps),
                _ => consumer::steps(self, s, e, steps),
            }
            if s.processes[e].pc == Pc::Cas && self.makes(Mistake::PausedBeforeCas) {
                self.idle(s, e, steps);
            }
            if s.processes[e].pc != Pc::Gone {
                self.kill(s, e, steps);
            }
        }
        recovery::steps(self, s, steps);
    }

    fn invariant(&self, s: &State) -> Result<(), String> {
        if self.mistake.is_none() {
            self.evidence(s)?;
        }
        for e in self.bounds.producers..self.entries() {
            for x in (0..SLOTS).filter(|x| s.processes[e].guards >> x & 1 == 1) {
                let Slot { word: Word { kind, owner, .. }, winner, .. } = s.slots[x];
                let not_yet = self.makes(Mistake::GuardsBeforeHeld) && usize::from(winner) == e;
                if (kind, usize::from(owner)) != (Kind::Held, e) && !not_yet {
                    return Err(format!("I2: slot {x} was taken from under the guard of {}", self.name(e)));
                }
            }
        }
        let most = self.bounds.slots - self.bounds.slack;
        for (x, slot) in s.slots[..usize::from(self.bounds.slots)].iter().enumerate() {
            let position = self.position(slot.word, x);
            let is_out = slot.word.kind != Kind::Free || position < s.tail;
            if is_out && position + most < s.tail {
                return Err(format!("I9: position {position} is not released, and tail is {}", s.tail));
            }
        }
        let is_decided = s.skip_position > 0 && s.skipped == s.tombstones + 1;
        if s.skipped != s.tombstones && !is_decided {
            return Err(format!(
                "I10: {} positions are tombstones, and {} are counted",
                s.tombstones, s.skipped
            ));
        }
        if s.skipped + s.committed.count_ones() as u8 > s.tail {
            return Err(format!("I10: {} skipped, tail is {}: `join` would return early", s.skipped, s.tail));
        }
        for (message, &times) in s.deliveries.iter().enumerate() {
            if times > 0 && s.committed >> message & 1 == 0 {
                return Err(format!("I6: message {message} was delivered and never committed"));
            }
            let again = s.consumer_kills + s.rejects + s.detaches;
            if times > 1 + if self.bounds.at_most_once { 0 } else { again } {
                return Err(format!("I5: message {message} was delivered {times} times"));
            }
        }
        Ok(())
    }

    /// While a consumer goes on calling: live producers are done, everything committed is
    /// delivered, and every slot is free for its next lap.
    fn goal(&self, s: &State) -> bool {
        let calls = |e: usize| s.processes[e].pc.calls();
        if !(self.bounds.producers..self.entries()).any(calls) {
            return true;
        }
        let sent =
            (0..self.bounds.producers).all(|e| !calls(e) || s.processes[e].next == self.bounds.messages);
        let free = (0..usize::from(self.bounds.slots)).all(|x| {
            let word = s.slots[x].word;
            word.kind == Kind::Free && self.position(word, x) >= s.tail
        });
        let delivered = (0..MESSAGES).all(|m| s.committed >> m & 1 == 0 || s.deliveries[m] > 0);
        let all_counted = s.skipped + s.committed.count_ones() as u8 == s.tail;
        sent && free && delivered && all_counted
    }

    fn show(&self, s: &State) -> String {
        let mut line = format!("tail {} head {}", s.tail, s.head);
        for (x, slot) in s.slots[..usize::from(self.bounds.slots)].iter().enumerate() {
            line += &format!(", slot {x} {:?}", slot.word);
        }
        for e in 0..self.entries() {
            let Entry { dirty, liveness_lock, intent, .. } = s.entries[e];
            line += &format!(
                ", {}: {} {} intent {}+{} at {:?}",
                self.name(e),
                if dirty { "DIRTY" } else { "CLEAN" },
                if liveness_lock { "live" } else { "dead" },
                intent.position,
                intent.k,
                s.processes[e].pc
            );
        }
        line
    }
}
