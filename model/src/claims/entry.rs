//! Attach and detach: how a registry entry changes hands, without the recovery lock.
//!
//! Attach locks the byte of any free entry and then reads its word. An entry that is DIRTY is the
//! evidence of a death: attach unlocks it again, because a held liveness lock makes its dead owner
//! seem alive, and recovery could never finish with it.

use super::{Claims, Intent, Kind, Pc, Process, State};
use crate::checker::Steps;
use crate::mistake::Mistake;

/// A new process picks entry `e`, whose byte is not locked.
pub(super) fn attach(model: &Claims, s: &State, e: usize, steps: &mut Steps<State>) {
    if s.attaches < model.bounds.attaches && !s.entries[e].liveness_lock {
        let mut n = s.clone();
        n.attaches += 1;
        n.entries[e].liveness_lock = true;
        n.processes[e].pc = Pc::AttachCheck;
        steps.environment(n, || format!("attach: locks the byte of {}", model.name(e)));
    }
}

pub(super) fn attaching(model: &Claims, s: &State, e: usize, steps: &mut Steps<State>) {
    let mut n = s.clone();
    let entry = &mut n.entries[e];
    let process = &mut n.processes[e];
    match process.pc {
        Pc::AttachCheck => {
            let dirty = entry.dirty;
            if !dirty || model.makes(Mistake::ReuseBeforeClean) {
                process.pc =
                    if model.makes(Mistake::AttachKeepsIntent) { Pc::AttachDirty } else { Pc::AttachClear };
            } else if !model.makes(Mistake::AttachKeepsDirtyByte) {
                entry.liveness_lock = false;
                process.pc = Pc::Gone;
            }
            steps.step(n, || {
                format!("attach: {} is {}", model.name(e), if dirty { "DIRTY" } else { "CLEAN" })
            });
        }
        Pc::AttachClear => {
            // What the last owner intended may since have been claimed by another participant:
            // under a live liveness lock the old intent would seem to be the new owner's.
            entry.intent = Intent::NONE;
            process.pc = Pc::AttachDirty;
            steps.step(n, || format!("attach: {} intent NONE", model.name(e)));
        }
        Pc::AttachDirty => {
            entry.dirty = !model.makes(Mistake::NeverDirty);
            entry.generation += 1;
            *process = Process::new(Pc::Ready, process.next);
            process.seen = model.makes(Mistake::NewConsumerSkipsScan);
            steps.step(n, || format!("attach: {} becomes DIRTY", model.name(e)));
        }
        pc => unreachable!("not attaching: {pc:?}"),
    }
}

/// Gives up the guards, then the entry, then the liveness lock.
pub(super) fn detaching(model: &Claims, s: &State, e: usize, steps: &mut Steps<State>) {
    let mut n = s.clone();
    let process = &mut n.processes[e];
    match process.pc {
        Pc::DetachRedeliver if process.guards == 0 || model.makes(Mistake::DetachKeepsHeld) => {
            process.guards = 0;
            process.pc = Pc::DetachBump;
            steps.step(n, || format!("{}: no guards left", model.name(e)));
        }
        Pc::DetachRedeliver => {
            let x = process.guards.trailing_zeros() as usize;
            process.guards &= !(1 << x);
            debug_assert_eq!(s.slots[x].word.kind, Kind::Held);
            if model.bounds.at_most_once {
                n.slots[x].free_next();
            } else {
                n.slots[x].redeliver(s.slots[x].word.redelivery_count + 1);
            }
            steps.step(n, || format!("{}: gives back slot {x}", model.name(e)));
        }
        Pc::DetachBump => {
            process.pc = Pc::DetachClean;
            n.bump_epoch();
            steps.step(n, || format!("{}: redelivery_epoch += 1", model.name(e)));
        }
        Pc::DetachClean => {
            n.entries[e].dirty = false;
            process.pc = Pc::DetachUnlock;
            steps.step(n, || format!("{}: becomes CLEAN", model.name(e)));
        }
        Pc::DetachUnlock => {
            n.entries[e].liveness_lock = false;
            *process = Process::new(Pc::Gone, process.next);
            steps.step(n, || format!("{}: releases its liveness lock", model.name(e)));
        }
        pc => unreachable!("not detaching: {pc:?}"),
    }
}
