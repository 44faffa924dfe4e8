//! Dead letters: what a link of a dead-letter queue says about where its message comes from.

use super::{FrameRef, Held, Links};
use crate::layout::order::LinkKind;
use crate::sync::Ordering;

/// A position, and the uuid of its queue.
pub(crate) type Origin = (u64, [u64; 2]);

impl Links {
    /// Whether the frame has come again too often to be handed out once more.
    pub(crate) fn is_dead_letter(&self, held: Held) -> bool {
        let most = self.policy.max_redeliveries;
        most != 0 && held.redeliveries > most
    }

    /// As [`commit_run`](Self::commit_run), for a dead letter.
    pub(crate) fn commit_letter(&self, position: u64, frame: FrameRef, (original, uuid): Origin) {
        let step = self.step(position);
        step.fill(frame);
        if let Some(letter) = self.letters.get(self.slot(position)) {
            letter.position.store(original, Ordering::Relaxed);
            for (word, value) in letter.uuid.iter().zip(uuid) {
                word.store(value, Ordering::Relaxed);
            }
            letter.of.store(position.wrapping_add(1), Ordering::Relaxed);
        }
        step.publish();
    }

    /// Where the message at a position that is out comes from.
    pub(crate) fn origin_at(&self, position: u64) -> Option<Origin> {
        let letter = self.letters.get(self.slot(position))?;
        // What stands there may be about a letter that was here before a message of somebody else's.
        (letter.of.load(Ordering::Relaxed) == position.wrapping_add(1)).then(|| {
            let uuid = [&letter.uuid[0], &letter.uuid[1]].map(|word| word.load(Ordering::Relaxed));
            (letter.position.load(Ordering::Relaxed), uuid)
        })
    }

    /// Whether a letter of that origin is here and was not released yet, for all that can be seen. (What was released
    /// may as well never have been committed.)
    pub(crate) fn has_letter(&self, origin: Origin) -> bool {
        (0..self.links.len()).any(|slot| {
            let state = self.state(slot);
            state.kind() != LinkKind::Free && self.origin_at(self.position(state, slot)) == Some(origin)
        })
    }

    /// Counts a message that came again too often.
    pub(crate) fn count_letter(&self, is_buried: bool) {
        let counter = if is_buried { &self.rare.dead_letters } else { &self.rare.dead_letters_failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
