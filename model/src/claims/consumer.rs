//! `recv(up to k)`: scan for REDELIVER slots if the epoch has changed, else take a run of FULL
//! slots from `head`. Guards are released and rejected at any time, in any order, by any thread.
//! `head` is read at the beginning; the library may guess it instead: see `producer`.

use super::{Claims, Intent, Kind, NONE, Pc, Process, State};
use crate::checker::Steps;
use crate::mistake::Mistake;

pub(super) fn steps(model: &Claims, s: &State, e: usize, steps: &mut Steps<State>) {
    guards(model, s, e, steps);
    let me = s.processes[e];
    let held = me.guards.count_ones();
    let mut n = s.clone();
    match me.pc {
        Pc::Ready => {
            // A user who holds the maximum of guards must release one before it calls again.
            if held < model.bounds.guards {
                let (pc, scan_is_current) = if me.seen { (Pc::ReadHead, false) } else { (Pc::Scan, true) };
                n.processes[e] = Process { pc, scan_is_current, ..me };
                steps.step(n, || format!("{}: redelivery_epoch seen? {}", model.name(e), me.seen));
            }
            if me.guards == 0 && !me.bump_due && me.late_redelivery == NONE {
                model.idle(s, e, steps);
            }
            if s.detaches < model.bounds.detaches && !me.bump_due && me.late_redelivery == NONE {
                let mut n = s.clone();
                n.detaches += 1;
                n.processes[e].pc = Pc::DetachRedeliver;
                steps.environment(n, || format!("{} starts to detach", model.name(e)));
            }
        }
        Pc::Scan => {
            let x = usize::from(me.done);
            let found = s.slots[x].word.kind == Kind::Redeliver;
            n.processes[e] = if found {
                n.slots[x].hold(e);
                n.deliveries[usize::from(s.slots[x].message)] += 1;
                Process { guards: me.guards | 1 << x, ..me.ready() }
            } else if me.done + 1 < model.bounds.slots {
                Process { done: me.done + 1, ..me }
            } else {
                let seen = me.scan_is_current || model.makes(Mistake::SeenReadAfterScan);
                Process { seen, pc: Pc::ReadHead, ..me.ready() }
            };
            steps.step(n, || {
                format!(
                    "{}: scan slot {x}: {}",
                    model.name(e),
                    if found { "takes REDELIVER" } else { "no REDELIVER" }
                )
            });
        }
        Pc::ReadHead => {
            n.processes[e] = Process { pc: Pc::Check, position: s.head, ..me };
            steps.step(n, || format!("{}: reads head {}", model.name(e), s.head));
        }
        Pc::Check => {
            let position = me.position + me.k;
            let word = s.slots[model.slot(position)].word;
            let passed = word.lap > model.lap(position);
            let full = (word.kind, word.lap) == (Kind::Full, model.lap(position));
            // Under the mistake, intent and CAS change places, here and below.
            let claim = if model.makes(Mistake::IntentAfterCas) { Pc::Cas } else { Pc::StoreIntent };
            let enough = me.k + 1 == model.bounds.recv_k || held + u32::from(me.k) + 1 == model.bounds.guards;
            n.processes[e] = match me.k {
                0 if passed => Process { pc: Pc::Skip, ..me },
                0 if !full => me.ready(), // Pending or Empty
                k if !full && !passed => Process { pc: claim, k, ..me },
                k if enough => Process { pc: claim, k: k + 1, ..me },
                k => Process { k: k + 1, ..me },
            };
            steps.step(n, || format!("{}: slot of {position} is {word:?}", model.name(e)));
        }
        Pc::Skip => {
            if s.head == me.position {
                n.head += 1;
            }
            n.processes[e] = me.ready();
            steps.step(n, || format!("{}: CAS head past {}", model.name(e), me.position));
        }
        Pc::StoreIntent => {
            let k = if model.makes(Mistake::IntentCoversFirstOnly) { 1 } else { me.k };
            n.entries[e].intent = Intent { position: me.position, k };
            n.processes[e].pc = if model.makes(Mistake::IntentAfterCas) { Pc::Mark } else { Pc::Cas };
            steps.step(n, || format!("{}: intent {}+{k}", model.name(e), me.position));
        }
        Pc::Cas => cas(model, s, e, steps),
        Pc::ClearIntent => {
            n.entries[e].intent = Intent::NONE;
            n.processes[e] = me.ready();
            steps.step(n, || format!("{}: intent NONE", model.name(e)));
        }
        Pc::Mark => mark(model, s, e, steps),
        _ => unreachable!("a consumer is never at {:?}", me.pc),
    }
}

fn cas(model: &Claims, s: &State, e: usize, steps: &mut Steps<State>) {
    let me = s.processes[e];
    let mut n = s.clone();
    let won = s.head == me.position;
    if won {
        n.head += me.k;
        for position in me.position..n.head {
            let slot = &mut n.slots[model.slot(position)];
            if slot.word.lap == model.lap(position) {
                slot.winner = e as u8;
            }
        }
        n.processes[e].pc = if model.makes(Mistake::IntentAfterCas) { Pc::StoreIntent } else { Pc::Mark };
    } else if model.makes(Mistake::FailedCasKeepsIntent) {
        n.processes[e] = me.ready();
    } else {
        n.processes[e].pc = Pc::ClearIntent;
    }
    let result = if won { "takes" } else { "fails to take" };
    steps.step(n, || format!("{}: CAS head {result} {}+{}", model.name(e), me.position, me.k));
}

/// Marks one of the taken slots HELD; all of them before `recv` returns.
fn mark(model: &Claims, s: &State, e: usize, steps: &mut Steps<State>) {
    let me = s.processes[e];
    let mut n = s.clone();
    let position = me.position + me.done;
    let x = model.slot(position);
    let mut guards = me.guards;
    if s.slots[x].word.lap == model.lap(position) {
        steps.require(s.slots[x].word.kind == Kind::Full, || {
            format!(
                "I2: {} marks {position} HELD, and its slot was moved by another participant",
                model.name(e)
            )
        });
        n.slots[x].hold(e);
        n.deliveries[usize::from(s.slots[x].message)] += 1;
        guards |= 1 << x;
    }
    let mut last = me.done + 1 == me.k;
    if model.makes(Mistake::GuardsBeforeHeld) {
        // All the guards immediately; the other slots would be marked when they are next examined.
        last = true;
        for position in me.position + 1..me.position + me.k {
            n.deliveries[usize::from(s.slots[model.slot(position)].message)] += 1;
            guards |= 1 << model.slot(position);
        }
    }
    let me = Process { done: me.done + 1, guards, ..me };
    n.processes[e] = if last { me.ready() } else { me };
    steps.step(n, || format!("{}: HELD {position}", model.name(e)));
}

/// What the user's other threads do with the guards meanwhile.
fn guards(model: &Claims, s: &State, e: usize, steps: &mut Steps<State>) {
    let me = s.processes[e];
    for x in (0..usize::from(model.bounds.slots)).filter(|x| me.guards >> x & 1 == 1) {
        let mut n = s.clone();
        n.slots[x].free_next();
        n.processes[e].guards &= !(1 << x);
        steps.step(n, || format!("{}: releases slot {x}", model.name(e)));

        if s.rejects == model.bounds.rejects || me.bump_due || me.late_redelivery != NONE {
            continue;
        }
        let mut n = s.clone();
        n.rejects += 1;
        if model.makes(Mistake::BumpBeforeRedeliver) {
            n.bump_epoch();
            n.processes[e].late_redelivery = x as u8;
        } else {
            n.slots[x].redeliver(s.slots[x].word.redelivery_count + 1);
            n.processes[e].guards &= !(1 << x);
            n.processes[e].bump_due = !model.makes(Mistake::RejectWithoutBump);
        }
        steps.environment(n, || format!("{}: rejects slot {x}", model.name(e)));
    }
    if me.bump_due {
        let mut n = s.clone();
        n.bump_epoch();
        n.processes[e].bump_due = false;
        steps.step(n, || format!("{}: redelivery_epoch += 1", model.name(e)));
    }
    if me.late_redelivery != NONE {
        let mut n = s.clone();
        let x = usize::from(me.late_redelivery);
        if me.guards >> x & 1 == 1 {
            n.slots[x].redeliver(s.slots[x].word.redelivery_count + 1);
            n.processes[e].guards &= !(1 << x);
        }
        n.processes[e].late_redelivery = NONE;
        steps.step(n, || format!("{}: REDELIVER in slot {x}, after the bump", model.name(e)));
    }
}
