//! Recovery, of one participant after the other, under the recovery lock: its stores are visible
//! immediately.

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pc {
    Idle,
    Probe,
    ReadAgain,
    Cursor,
    Clean,
    ReadSlot,
    Intents,
    Tombstone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Recovery {
    pub pc: Pc,
    /// The entry of the reader that is examined.
    reader: u8,
    /// The word that was seen: of the entry, or of the slot.
    word: u8,
    tail: u8,
    slot: u8,
}

pub(super) const AT_START: Recovery = Recovery { pc: Pc::Idle, reader: 0, word: 0, tail: 0, slot: 0 };

impl Broadcast {
    pub(super) fn recovery(&self, s: &State, steps: &mut Steps<State>) {
        let q = s.recovery;
        let reader = usize::from(q.reader);
        let mut n = s.clone();
        let clean_first = self.makes(Mistake::CleanBeforeCursor);
        match q.pc {
            Pc::Idle => self.begin_recovery(s, steps),
            Pc::Probe => {
                let is_alive = self.is_alive(s, self.thread_of(reader));
                let again = !self.makes(Mistake::EntryNotReadAgain);
                let begin = if clean_first { Pc::Clean } else { Pc::Cursor };
                n.recovery = match is_alive {
                    true => AT_START,
                    false => Recovery { pc: if again { Pc::ReadAgain } else { begin }, ..q },
                };
                steps.step(n, || format!("recovery: reader {reader} is alive? {is_alive}"));
            }
            Pc::ReadAgain => {
                let is_same = s.memory.visible(ENTRY + reader) == q.word;
                let begin = if clean_first { Pc::Clean } else { Pc::Cursor };
                n.recovery = if is_same { Recovery { pc: begin, ..q } } else { AT_START };
                steps.step(n, || format!("recovery: the same owner of entry {reader}? {is_same}"));
            }
            Pc::Cursor => {
                if !self.makes(Mistake::DeadCount) {
                    n.memory.modify(CURSOR + reader, NO_CURSOR);
                }
                n.recovery = if clean_first { AT_START } else { Recovery { pc: Pc::Clean, ..q } };
                steps.step(n, || format!("recovery: cursor {reader} counts no more"));
            }
            Pc::Clean => {
                if s.memory.visible(ENTRY + reader) == q.word {
                    n.memory.modify(ENTRY + reader, q.word + 1);
                }
                n.recovery = if clean_first { Recovery { pc: Pc::Cursor, ..q } } else { AT_START };
                steps.step(n, || format!("recovery: entry {reader} is CLEAN"));
            }
            Pc::ReadSlot => {
                let word = s.memory.visible(STATE + usize::from(q.slot));
                let is_open = self.open_position(q.slot.into(), word) < q.tail;
                n.recovery =
                    if is_open { Recovery { pc: Pc::Intents, word, ..q } } else { self.next_slot(q) };
                steps.step(n, || format!("recovery: slot {} claimed and not committed? {is_open}", q.slot));
            }
            Pc::Intents => {
                let position = self.open_position(q.slot.into(), q.word);
                let covers = |i: usize| s.memory.visible(INTENT + i) == position + 1 && self.is_alive(s, i);
                let is_covered = (0..self.bounds.producers).any(covers);
                n.recovery = if is_covered { self.next_slot(q) } else { Recovery { pc: Pc::Tombstone, ..q } };
                steps.step(n, || format!("recovery: {position} is a living producer's? {is_covered}"));
            }
            Pc::Tombstone => {
                let position = self.open_position(q.slot.into(), q.word);
                if s.memory.visible(STATE + usize::from(q.slot)) == q.word {
                    n.memory.modify(STATE + usize::from(q.slot), word(VACANT, self.lap(position) + 1));
                }
                n.recovery = self.next_slot(q);
                steps.step(n, || format!("recovery: {position} is a tombstone"));
            }
        }
    }

    /// A dead reader that is DIRTY, or a claim of a dead producer. (One that examines without need, too,
    /// where a reader may leave meanwhile.)
    fn begin_recovery(&self, s: &State, steps: &mut Steps<State>) {
        for reader in 0..self.bounds.readers.len() {
            let word = s.memory.visible(ENTRY + reader);
            let examines = self.bounds.leaves > 0 || !self.is_alive(s, self.thread_of(reader));
            if is_dirty(word) && examines {
                let mut n = s.clone();
                n.recovery = Recovery { pc: Pc::Probe, reader: reader as u8, word, ..AT_START };
                steps.step(n, || format!("recovery: entry {reader} is DIRTY"));
            }
        }
        let dead = (0..self.bounds.producers).any(|i| !self.is_alive(s, i));
        if dead && !self.one_writer() && self.has_residue(s) {
            let mut n = s.clone();
            n.recovery = Recovery { pc: Pc::ReadSlot, tail: s.memory.visible(TAIL), ..AT_START };
            steps.step(n, || "recovery: begins with the slots".into());
        }
    }

    fn next_slot(&self, q: Recovery) -> Recovery {
        match q.slot + 1 < self.bounds.slots {
            true => Recovery { pc: Pc::ReadSlot, word: 0, slot: q.slot + 1, ..q },
            false => AT_START,
        }
    }

    /// Whether a position is claimed and not committed.
    pub(super) fn has_residue(&self, s: &State) -> bool {
        (0..usize::from(self.bounds.slots))
            .any(|slot| self.open_position(slot, s.memory.visible(STATE + slot)) < s.memory.visible(TAIL))
    }
}
