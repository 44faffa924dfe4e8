//! What must hold between any two operations.

use super::*;

impl Run {
    /// Checks the frames that are written and not committed.
    pub(super) fn check_staged(&self, producer: &Producer) {
        for (frame, message) in &producer.staged {
            let frame = FrameRef { lane: producer.me, offset: frame.offset, len: frame.len };
            assert_eq!(self.world.read(frame), Some(*message));
        }
        self.check_slots();
    }

    pub(super) fn check(&mut self) {
        self.check_slots();
        self.check_entries();
        for (slot, before) in self.before.iter_mut().enumerate() {
            let state = self.world.ring.state(slot);
            assert!(state.lap() >= before.lap(), "a lap fell: {state:?} after {before:?}");
            *before = state;
        }
    }

    fn check_slots(&self) {
        let ring = &self.world.ring;
        let cursors = (ring.head().position(), ring.tail().position());
        assert_eq!(cursors, (self.reference.head, self.reference.tail()));
        assert_eq!(ring.check(), Ok(()));
        for slot in 0..ring.slots.len() {
            let state = ring.state(slot);
            assert_eq!(state, self.reference.word(slot as u64), "slot {slot}");
            if state.kind() == SlotKind::Free {
                continue;
            }
            let position = ring.position(state, slot);
            let claim = &self.reference.claims[(position - self.reference.start) as usize];
            let frame = ring.frame_at(position);
            assert_eq!((frame.lane, frame.len), (claim.lane, claim.len as u64));
            assert_eq!(
                self.world.read(frame),
                Some(claim.message),
                "the bytes of {position} were written to"
            );
        }
    }

    fn check_entries(&self) {
        for (entry, owner) in self.owners.iter().enumerate() {
            let word = self.world.ring.entry_word(entry);
            assert_eq!(word.is_dirty(), !matches!(owner, Owner::Nobody), "entry {entry}");
            assert_eq!(self.world.probe.is_alive(entry), !matches!(owner, Owner::Nobody | Owner::Dead));
            let mine = |claim: &Claim| match claim.at {
                At::Claimed(by) | At::TakenPositions(by) | At::HeldSlot(by, _) => by == entry,
                _ => false,
            };
            assert!(word.is_dirty() || !self.reference.claims.iter().any(mine), "a clean entry has residue");
        }
    }
}
