//! Dead letters: what the slots of a dead-letter queue say about where messages come from, and who held a message last.

use super::{FrameRef, Held, Links};
use crate::layout::order::LinkKind;
use crate::sync::Ordering;

/// A position, and the uuid of its queue.
pub(crate) type Origin = (u64, [u64; 2]);

/// What a letter says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentLetter {
    pub(crate) origin: Origin,
    pub(crate) redeliveries: u64,
    /// Process that held it last; 0: not known.
    pub(crate) holder: u64,
    /// Nanoseconds since 1970.
    pub(crate) at_ns: u64,
}

impl Links {
    /// Whether the frame has come again too often to be handed out once more.
    pub(crate) fn is_dead_letter(&self, held: Held) -> bool {
        let most = self.policy.max_redeliveries;
        most != 0 && held.redeliveries > most
    }

    /// As [`commit_run`](Self::commit_run), for a dead letter.
    pub(crate) fn commit_letter(&self, position: u64, frame: FrameRef, sent: SentLetter) {
        let step = self.step(position);
        step.fill(frame);
        if let Some(letter) = self.beside.letters.get(self.slot(position)) {
            let SentLetter { origin: (original, uuid), redeliveries, holder, at_ns } = sent;
            for (word, value) in [
                (&letter.position, original),
                (&letter.uuid[0], uuid[0]),
                (&letter.uuid[1], uuid[1]),
                (&letter.redeliveries, redeliveries),
                (&letter.holder, holder),
                (&letter.at_ns, at_ns),
                (&letter.of, position.wrapping_add(1)),
            ] {
                word.store(value, Ordering::Relaxed);
            }
        }
        step.publish();
    }

    /// What the letter at a position in flight says about itself.
    pub(crate) fn letter_at(&self, position: u64) -> Option<SentLetter> {
        let letter = self.beside.letters.get(self.slot(position))?;
        // A producer that sends ordinary messages leaves what an earlier letter had there.
        (letter.of.load(Ordering::Relaxed) == position.wrapping_add(1)).then(|| SentLetter {
            origin: (
                letter.position.load(Ordering::Relaxed),
                [&letter.uuid[0], &letter.uuid[1]].map(|word| word.load(Ordering::Relaxed)),
            ),
            redeliveries: letter.redeliveries.load(Ordering::Relaxed),
            holder: letter.holder.load(Ordering::Relaxed),
            at_ns: letter.at_ns.load(Ordering::Relaxed),
        })
    }

    /// Whether a letter of that origin is here and was not released yet, for all that can be seen. (What was released
    /// may as well never have been committed.)
    pub(crate) fn has_letter(&self, origin: Origin) -> bool {
        (0..self.links.len()).any(|slot| {
            let state = self.state(slot);
            state.kind() != LinkKind::Free
                && self.letter_at(self.position(state, slot)).is_some_and(|letter| letter.origin == origin)
        })
    }

    /// Notes whose process held the frame of a slot, before it becomes REDO: by the one that alone may move it.
    pub(super) fn note_holder(&self, slot: usize, owner: usize) {
        if let Some(holder) = self.beside.holders.get(slot)
            && let Some(entry) = self.entries.get(owner)
        {
            holder.store(entry.pid.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// The process that held the frame at a position before it was to be delivered again; 0: not known.
    pub(crate) fn holder_before(&self, position: u64) -> u64 {
        self.beside.holders.get(self.slot(position)).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Counts a message that came again too often.
    pub(crate) fn count_letter(&self, is_buried: bool) {
        let counter = if is_buried { &self.rare.dead_letters } else { &self.rare.dead_letters_failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
