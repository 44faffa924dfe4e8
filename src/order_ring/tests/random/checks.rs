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
        self.check_tasks();
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

    /// `skipped` and `done` are exact; a pass that was killed may have counted the tombstone that it has
    /// recorded, and not made it yet.
    fn check_tasks(&self) {
        let (ring, reference) = (&self.world.ring, &self.reference);
        let is_tombstone = |claim: &&Claim| claim.at == At::Over && !claim.committed;
        let tombstones = reference.claims.iter().filter(is_tombstone).count() as u64;
        let is_recorded = ring.rare.skip_position.load(Ordering::Relaxed) != 0;
        let counted = ring.rare.skipped.load(Ordering::Relaxed) - reference.start;
        assert!(counted == tombstones || is_recorded && counted == tombstones + 1, "{counted}, {tombstones}");
        let unfinished = reference.claims.len() as u64 - counted - self.tasks_done;
        assert_eq!(ring.unfinished(), Ok(unfinished));
    }

    fn check_entries(&self) {
        for (entry, owner) in self.owners.iter().enumerate() {
            let word = self.world.ring.entry_word(entry);
            assert_eq!(word.is_dirty(), !matches!(owner, Owner::Vacant), "entry {entry}");
            assert_eq!(self.world.probe.is_alive(entry), !matches!(owner, Owner::Vacant | Owner::Dead));
            let mine = |claim: &Claim| match claim.at {
                At::Claimed(by) | At::TakenPositions(by) | At::HeldSlot(by, _) => by == entry,
                _ => false,
            };
            assert!(word.is_dirty() || !self.reference.claims.iter().any(mine), "a clean entry has residue");
        }
    }
}
