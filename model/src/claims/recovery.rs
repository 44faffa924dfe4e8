//! `recover()`: one pass over registry and slots, under the recovery lock, idempotent, and killable
//! between any two steps.

use super::{Claims, ENTRIES, Intent, Kind, NONE, State, Word};
use crate::checker::Steps;
use crate::mistake::Mistake;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pc {
    /// The recovery lock is free.
    Idle,
    /// 0. The record of a tombstone that an earlier pass has left.
    ReadRecord,
    /// 1. D: the entry's word, its liveness lock, its word again.
    ReadWord,
    ProbeLock,
    ReadWordAgain,
    /// 2. The cursors.
    ReadTail,
    ReadHead,
    /// 3. Each slot; for a position that was won, each intent and the liveness lock of its owner.
    ReadSlot,
    ReadIntent,
    ProbeIntentsLock,
    Act,
    /// A tombstone: the record, the count, the slot, the end of the record. The last three finish what
    /// an earlier pass has left, too.
    RecordTarget,
    RecordPosition,
    Count,
    Move,
    EndRecord,
    /// 4. and 5.
    Bump,
    Clean,
}

/// The recovering process's private memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recovery {
    pub pc: Pc,
    /// The entry and the slot that it is examining.
    entry: u8,
    slot: u8,
    /// D, as bits; and the generation that was read in each entry's word.
    dead: u8,
    generations: [u8; ENTRIES],
    tail: u8,
    head: u8,
    /// The exact word that it examined.
    word: Word,
    /// It finishes the tombstone of an earlier pass.
    finishes: bool,
    /// It has made a REDELIVER in this pass (read only by a mistake).
    made_redeliver: bool,
    /// All intents, when they are read before the cursors (a mistake).
    early: [Intent; ENTRIES],
}

const NO_WORD: Word = Word { kind: Kind::Free, lap: 0, owner: NONE, redelivery_count: 0 };

impl Recovery {
    pub fn idle() -> Self {
        Recovery {
            pc: Pc::Idle,
            entry: 0,
            slot: 0,
            dead: 0,
            generations: [0; ENTRIES],
            tail: 0,
            head: 0,
            word: NO_WORD,
            finishes: false,
            made_redeliver: false,
            early: [Intent::NONE; ENTRIES],
        }
    }

    fn has(self, entry: usize) -> bool {
        self.dead >> entry & 1 == 1
    }
}

pub(super) fn steps(model: &Claims, s: &State, steps: &mut Steps<State>) {
    let r = s.recovery;
    if r.pc != Pc::Idle && s.kills < model.bounds.kills {
        let mut n = s.clone();
        n.kills += 1;
        n.recovery = Recovery::idle();
        steps.environment(n, || format!("recovery KILLED at {:?}", r.pc));
    }
    let mut n = s.clone();
    let q = &mut n.recovery;
    let e = usize::from(r.entry);
    let x = usize::from(r.slot);
    match r.pc {
        Pc::Idle => {
            if s.kills + s.detaches > 0 {
                q.pc = Pc::ReadRecord;
                steps.step(n, || "recovery: lock".into());
            }
        }
        Pc::ReadRecord => {
            q.finishes = s.skip_position > 0;
            q.pc = if q.finishes { Pc::Count } else { Pc::ReadWord };
            steps.step(n, || format!("recovery: recorded position {}", s.skip_position));
        }
        Pc::ReadWord => {
            if model.makes(Mistake::IntentsReadBeforeCursors) {
                q.early[e] = s.entries[e].intent;
            }
            if model.makes(Mistake::LockBeforeWord) {
                q.pc = Pc::ProbeLock;
            } else if s.entries[e].dirty {
                q.generations[e] = s.entries[e].generation;
                q.pc = Pc::ProbeLock;
            } else {
                next_entry(model, &mut n);
            }
            let label = if model.makes(Mistake::LockBeforeWord) { "comes to" } else { "word of" };
            steps.step(n, || format!("recovery: {label} {}", model.name(e)));
        }
        Pc::ProbeLock => {
            if s.entries[e].liveness_lock {
                q.generations[e] = 0;
                next_entry(model, &mut n);
            } else if model.makes(Mistake::DeadSetWithoutReread) {
                q.dead |= 1 << e;
                next_entry(model, &mut n);
            } else {
                q.pc = Pc::ReadWordAgain;
            }
            steps.step(n, || format!("recovery: liveness lock of {}", model.name(e)));
        }
        Pc::ReadWordAgain => {
            // Without this, the owner may have detached between the two, and a new one be alive.
            if model.makes(Mistake::LockBeforeWord) {
                q.generations[e] = s.entries[e].generation;
            }
            if s.entries[e].dirty && s.entries[e].generation == q.generations[e] {
                q.dead |= 1 << e;
            } else {
                q.generations[e] = 0;
            }
            next_entry(model, &mut n);
            steps.step(n, || format!("recovery: word of {} again", model.name(e)));
        }
        Pc::ReadTail => {
            q.tail = s.tail;
            q.pc = Pc::ReadHead;
            steps.step(n, || format!("recovery: T = {}", s.tail));
        }
        Pc::ReadHead => {
            q.head = s.head;
            q.pc = Pc::ReadSlot;
            steps.step(n, || format!("recovery: H = {}", s.head));
        }
        Pc::ReadSlot => {
            let word = s.slots[x].word;
            let position = model.position(word, x);
            let judged = |pc, entry| (pc, entry as u8);
            let found = match word.kind {
                Kind::Free if position < r.tail => Some(judged(Pc::ReadIntent, 0)),
                Kind::Full if position < r.head => Some(judged(Pc::ReadIntent, model.bounds.producers)),
                Kind::Held if r.has(word.owner.into()) => Some(judged(Pc::Act, 0)),
                _ => None,
            };
            match found {
                Some((pc, entry)) => (q.pc, q.entry, q.word) = (pc, entry, word),
                None => next_slot(model, &mut n),
            }
            steps.step(n, || format!("recovery: slot {x} is {word:?}"));
        }
        Pc::ReadIntent => {
            let early = model.makes(Mistake::IntentsReadBeforeCursors);
            let intent = if early { r.early[e] } else { s.entries[e].intent };
            if intent.covers(model.position(r.word, x)) {
                q.pc = Pc::ProbeIntentsLock;
            } else {
                next_intent(model, &mut n);
            }
            steps.step(n, || format!("recovery: intent of {} is {intent:?}", model.name(e)));
        }
        Pc::ProbeIntentsLock => {
            if s.entries[e].liveness_lock {
                next_slot(model, &mut n);
            } else {
                q.pc = Pc::ReadIntent;
                next_intent(model, &mut n);
            }
            steps.step(n, || format!("recovery: liveness lock after the intent of {}", model.name(e)));
        }
        Pc::Act => act(model, s, steps),
        Pc::RecordTarget => {
            n.skip_target = s.skipped + 1;
            let last = model.makes(Mistake::RecordPositionFirst);
            n.recovery.pc = if last { Pc::Count } else { Pc::RecordPosition };
            steps.step(n, || format!("recovery: records the count {}", s.skipped + 1));
        }
        Pc::RecordPosition => {
            n.skip_position = 1 + model.position(r.word, x);
            let first = model.makes(Mistake::RecordPositionFirst);
            n.recovery.pc = if first { Pc::RecordTarget } else { Pc::Count };
            steps.step(n, || format!("recovery: records the position {}", model.position(r.word, x)));
        }
        Pc::Count => {
            let adds = model.makes(Mistake::FinishingAdds) || model.makes(Mistake::TombstoneWithoutRecord);
            n.skipped = if adds { s.skipped + 1 } else { s.skip_target };
            n.recovery.pc = Pc::Move;
            steps.step(n, || "recovery: counts the tombstone".into());
        }
        Pc::Move => tombstone(model, s, steps),
        Pc::EndRecord => {
            if !model.makes(Mistake::RecordKept) {
                n.skip_position = 0;
            }
            if r.finishes {
                n.recovery.pc = Pc::ReadWord;
                n.recovery.finishes = false;
            } else {
                next_slot(model, &mut n);
            }
            steps.step(n, || "recovery: ends the record".into());
        }
        Pc::Bump => {
            if !model.makes(Mistake::BumpOnlyForOwnRedelivery) || r.made_redeliver {
                n.bump_epoch();
            }
            let last = model.makes(Mistake::CleanBeforeBump);
            n.recovery = if last { Recovery::idle() } else { Recovery { pc: Pc::Clean, entry: 0, ..r } };
            steps.step(n, || "recovery: redelivery_epoch += 1".into());
        }
        Pc::Clean => clean(model, s, steps),
    }
}

fn next_entry(model: &Claims, n: &mut State) {
    let q = &mut n.recovery;
    q.pc = Pc::ReadWord;
    q.entry += 1;
    if usize::from(q.entry) == model.entries() {
        q.entry = 0;
        q.pc = Pc::ReadTail;
        if q.dead == 0 {
            *q = Recovery::idle(); // no participant has died: nothing to do
        }
    }
}

/// The intents of the side that may have won the position.
fn next_intent(model: &Claims, n: &mut State) {
    let q = &mut n.recovery;
    q.entry += 1;
    let end = if q.word.kind == Kind::Free { model.bounds.producers } else { model.entries() };
    if usize::from(q.entry) == end {
        q.entry = 0;
        q.pc = Pc::Act;
    }
}

fn next_slot(model: &Claims, n: &mut State) {
    let q = &mut n.recovery;
    q.word = NO_WORD;
    q.entry = 0;
    q.slot += 1;
    q.pc = Pc::ReadSlot;
    if q.slot == model.bounds.slots {
        q.slot = 0;
        q.pc = if model.makes(Mistake::CleanBeforeBump) { Pc::Clean } else { Pc::Bump };
    }
}

/// The slot of a tombstone, by CAS from FREE of the position's lap.
fn tombstone(model: &Claims, s: &State, steps: &mut Steps<State>) {
    let mut n = s.clone();
    let position = match s.skip_position {
        0 => model.position(s.recovery.word, s.recovery.slot.into()),
        recorded => recorded - 1,
    };
    let x = model.slot(position);
    let word = s.slots[x].word;
    let is_unmoved = (word.kind, word.lap) == (Kind::Free, model.lap(position));
    if is_unmoved {
        require_dead(model, s, x, steps);
        n.slots[x].free_next();
        n.tombstones += 1;
    }
    n.recovery.pc = Pc::EndRecord;
    let result = if is_unmoved { "is a tombstone" } else { "was moved before" };
    steps.step(n, || format!("recovery: {position} {result}"));
}

fn require_dead(model: &Claims, s: &State, x: usize, steps: &mut Steps<State>) {
    for owner in [s.slots[x].winner, s.slots[x].word.owner].into_iter().filter(|&owner| owner != NONE) {
        let dead = matches!(s.processes[usize::from(owner)].pc, super::Pc::Gone | super::Pc::AttachCheck);
        steps.require(dead, || {
            format!("I2: recovery takes slot {x} from {}, alive", model.name(owner.into()))
        });
    }
}

/// The REDELIVER, by CAS from the word that was examined; or whether a tombstone is to be made.
fn act(model: &Claims, s: &State, steps: &mut Steps<State>) {
    let r = s.recovery;
    let x = usize::from(r.slot);
    let position = model.position(r.word, x);
    let mut n = s.clone();
    let unchanged = s.slots[x].word == r.word;
    if r.word.kind == Kind::Free {
        if unchanged || model.makes(Mistake::TombstoneWithoutReread) {
            n.recovery.pc = match model.mistake {
                Some(Mistake::TombstoneWithoutRecord) => Pc::Count,
                Some(Mistake::RecordPositionFirst) => Pc::RecordPosition,
                _ => Pc::RecordTarget,
            };
        } else {
            next_slot(model, &mut n);
        }
        let result = if unchanged { "the same" } else { "another one" };
        return steps.step(n, || format!("recovery: the word of slot {x} again, {result}"));
    }
    if unchanged || r.word.kind == Kind::Full && model.makes(Mistake::RedeliverByStore) {
        require_dead(model, s, x, steps);
        steps.require(unchanged, || format!("I2: recovery overwrites {:?} at {position}", s.slots[x].word));
        match r.word.kind {
            Kind::Full => n.slots[x].redeliver(0), // never delivered: always requeued
            _ if model.bounds.at_most_once => n.slots[x].free_next(),
            _ => n.slots[x].redeliver(r.word.redelivery_count + 1),
        }
        n.recovery.made_redeliver |= model.makes(Mistake::BumpOnlyForOwnRedelivery);
    }
    next_slot(model, &mut n);
    let result = if unchanged { "succeeds" } else { "fails" };
    steps.step(n, || format!("recovery: CAS of slot {x} from {:?} {result}", r.word));
}

/// CLEAN for a participant that was dead before the pass, unless some of its residue is left.
fn clean(model: &Claims, s: &State, steps: &mut Steps<State>) {
    let r = s.recovery;
    let e = usize::from(r.entry);
    let mut n = s.clone();
    let Intent { position: first, k } = s.entries[e].intent;
    let residue = (first..first + k).any(|position| {
        let word = s.slots[model.slot(position)].word;
        let (kind, cursor) = if model.is_producer(e) { (Kind::Free, r.tail) } else { (Kind::Full, r.head) };
        position < cursor && (word.kind, word.lap) == (kind, model.lap(position))
    });
    let entry = &mut n.entries[e];
    let same_word = entry.dirty && entry.generation == r.generations[e];
    let chosen = match model.mistake {
        Some(Mistake::CleanJudgedAtEnd) => entry.dirty && !entry.liveness_lock && !residue,
        Some(Mistake::CleanIgnoresIntents) => r.has(e) && same_word,
        _ => r.has(e) && same_word && !residue,
    };
    if chosen {
        entry.dirty = false;
    }
    n.recovery.entry += 1;
    if usize::from(n.recovery.entry) == model.entries() {
        let bump = model.makes(Mistake::CleanBeforeBump);
        n.recovery = if bump { Recovery { pc: Pc::Bump, entry: 0, ..r } } else { Recovery::idle() };
    }
    let result = if chosen { "becomes CLEAN" } else { "stays as it is" };
    steps.step(n, || format!("recovery: {} {result}", model.name(e)));
}
