//! Dead letters: the origins that the slots of a dead-letter queue record, and which process held a
//! message last.

use super::{HeldSlot, OrderRing};
use crate::layout::order::SlotKind;
use crate::sync::Ordering;

/// A position, and the uuid of its queue.
pub(crate) type Origin = (u64, [u64; 2]);

/// The origin and history of a dead letter, as its producer recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentDeadLetter {
    pub(crate) origin: Origin,
    pub(crate) redeliveries: u64,
    /// The process that held it last; 0: not known.
    pub(crate) holder: u64,
    /// Nanoseconds since 1970.
    pub(crate) at_ns: u64,
}

impl OrderRing {
    /// Whether the frame was redelivered too many times to be delivered once more.
    pub(crate) fn is_dead_letter(&self, held: HeldSlot) -> bool {
        let most = self.policy.max_redeliveries;
        most != 0 && held.redeliveries > most
    }

    /// Records where the dead letter at a claimed position comes from.
    pub(super) fn record_dead_letter(&self, position: u64, sent: SentDeadLetter) {
        let Some(letter) = self.extras.origins.get(self.index_of(position)) else { return };
        let SentDeadLetter { origin: (original, uuid), redeliveries, holder, at_ns } = sent;
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

    /// What is recorded about the dead letter at a position in flight. `None` if the message there
    /// is not a dead letter.
    pub(crate) fn letter_at(&self, position: u64) -> Option<SentDeadLetter> {
        let letter = self.extras.origins.get(self.index_of(position))?;
        // A producer that sends ordinary messages leaves the words of an earlier dead letter there.
        (letter.of.load(Ordering::Relaxed) == position.wrapping_add(1)).then(|| SentDeadLetter {
            origin: (
                letter.position.load(Ordering::Relaxed),
                [&letter.uuid[0], &letter.uuid[1]].map(|word| word.load(Ordering::Relaxed)),
            ),
            redeliveries: letter.redeliveries.load(Ordering::Relaxed),
            holder: letter.holder.load(Ordering::Relaxed),
            at_ns: letter.at_ns.load(Ordering::Relaxed),
        })
    }

    /// Whether a dead letter of that origin is in this queue and was not released yet, as far as
    /// can be seen. (A dead letter that was released may as well never have been committed.)
    pub(crate) fn has_dead_letter(&self, origin: Origin) -> bool {
        (0..self.slots.len()).any(|slot| {
            let state = self.state(slot);
            state.kind() != SlotKind::Free
                && self.letter_at(self.position(state, slot)).is_some_and(|letter| letter.origin == origin)
        })
    }

    /// Records which process held the frame of a slot, before the slot becomes REDELIVER. Called by
    /// the only participant that may move it.
    pub(super) fn note_holder(&self, slot: usize, owner: usize) {
        if let Some(holder) = self.extras.holders.get(slot)
            && let Some(entry) = self.entries.get(owner)
        {
            holder.store(entry.pid.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// The process that held the frame at a position before it was returned to the queue; 0: not
    /// known.
    pub(crate) fn holder_before(&self, position: u64) -> u64 {
        self.extras.holders.get(self.index_of(position)).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Counts a message that was redelivered too many times.
    pub(crate) fn count_dead_letter(&self, is_moved: bool) {
        let counter = if is_moved { &self.rare.dead_letters } else { &self.rare.dead_letters_failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
