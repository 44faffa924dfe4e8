//! `send(f[1..k])`: check the slots, store the intent, claim by CAS, commit one by one.
//!
//! `tail` is read at the beginning, and any steps of other participants may come between that and
//! the CAS. The library may instead guess that `tail` is where this producer left it. Such a guess
//! is a read before its own last commits, which do not move `tail`.

use super::{Claims, Intent, Kind, NONE, Pc, Process, State};
use crate::checker::Steps;
use crate::mistake::Mistake;

pub(super) fn steps(model: &Claims, s: &State, e: usize, steps: &mut Steps<State>) {
    let me = s.processes[e];
    let mut n = s.clone();
    match me.pc {
        Pc::Ready => ready(model, s, e, steps),
        Pc::Check => {
            let position = me.position + me.done;
            let decides = position + if model.makes(Mistake::BoundIgnored) { 0 } else { model.bounds.slack };
            let word = s.slots[model.slot(decides)].word;
            n.processes[e] = if (word.kind, word.lap) != (Kind::Free, model.lap(decides)) {
                me.ready() // Full, or the tail has moved: the user may try again, or not
            } else if me.done + 1 < me.k {
                Process { done: me.done + 1, ..me }
            } else if model.makes(Mistake::IntentAfterCas) {
                Process { pc: Pc::Cas, done: 0, ..me }
            } else {
                Process { pc: Pc::StoreIntent, done: 0, ..me }
            };
            steps.step(n, || format!("{}: slot of {decides} is {word:?}", model.name(e)));
        }
        Pc::StoreIntent => {
            let k = if model.makes(Mistake::IntentCoversFirstOnly) { 1 } else { me.k };
            n.entries[e].intent = Intent { position: me.position, k };
            n.processes[e].pc = if model.makes(Mistake::IntentAfterCas) { Pc::Mark } else { Pc::Cas };
            steps.step(n, || format!("{}: intent {}+{k}", model.name(e), me.position));
        }
        Pc::Cas => {
            let won = s.tail == me.position;
            if won {
                n.tail += me.k;
                for position in me.position..n.tail {
                    n.slots[model.slot(position)].winner = e as u8;
                }
                n.processes[e].pc = match model.mistake {
                    Some(Mistake::IntentAfterCas) => Pc::StoreIntent,
                    Some(Mistake::IntentClearedBeforeCommit) => Pc::ClearIntent,
                    _ => Pc::Mark,
                };
            } else if model.makes(Mistake::FailedCasKeepsIntent) {
                n.processes[e] = me.ready();
            } else {
                n.processes[e].pc = Pc::ClearIntent;
            }
            let result = if won { "claims" } else { "fails to claim" };
            steps.step(n, || format!("{}: CAS tail {result} {}+{}", model.name(e), me.position, me.k));
        }
        Pc::ClearIntent => {
            n.entries[e].intent = Intent::NONE;
            let claimed = s.slots[model.slot(me.position)].winner == e as u8;
            n.processes[e] = if claimed { Process { pc: Pc::Mark, ..me } } else { me.ready() };
            steps.step(n, || format!("{}: intent NONE", model.name(e)));
        }
        Pc::Mark => {
            let position = me.position + me.done;
            let slot = &mut n.slots[model.slot(position)];
            steps.require((slot.word.kind, slot.word.lap) == (Kind::Free, model.lap(position)), || {
                format!(
                    "I2: {} commits {position}, and its slot was moved by another participant",
                    model.name(e)
                )
            });
            slot.word.kind = Kind::Full;
            slot.message = e as u8 * model.bounds.messages + me.next;
            slot.winner = NONE;
            n.committed |= 1 << slot.message;
            let last = me.done + 1 == me.k;
            let me = Process { next: me.next + 1, done: me.done + 1, ..me };
            n.processes[e] = if last { me.ready() } else { me };
            steps.step(n, || format!("{}: commit {position}", model.name(e)));
        }
        _ => unreachable!("a producer is never at {:?}", me.pc),
    }
}

/// Between two calls: send some of the messages that are left, stop for good, or detach.
fn ready(model: &Claims, s: &State, e: usize, steps: &mut Steps<State>) {
    let me = s.processes[e];
    let left = model.bounds.messages - me.next;
    for k in 1..=left.min(model.bounds.send_k) {
        let mut n = s.clone();
        n.processes[e] = Process { pc: Pc::Check, position: s.tail, k, ..me };
        steps.step(n, || format!("{}: reads tail {} to send {k}", model.name(e), s.tail));
    }
    if left > 0 {
        model.idle(s, e, steps);
    }
    if s.detaches < model.bounds.detaches {
        let mut n = s.clone();
        n.detaches += 1;
        n.processes[e].pc = Pc::DetachClean;
        steps.environment(n, || format!("{} starts to detach", model.name(e)));
    }
}
