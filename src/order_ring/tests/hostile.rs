//! Words that no participant could have stored: whatever the operations derive from them, nothing
//! panics or overflows.

use proptest::prelude::*;

use super::*;
use crate::layout::order::PackedFrameRef;

fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => any::<u64>(),
        2 => 0..1024_u64,
        1 => (0..64_u32).prop_map(|bit| u64::MAX >> bit),
        // A state of a slot, of every kind, with owners that exist and owners that do not.
        3 => (0..4_u64, 0..8_u64, 0..4_u64).prop_map(|(lap, owner, kind)| lap << 18 | owner << 6 | kind),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_word_is_trusted(
        tail in word(),
        words in proptest::collection::vec((word(), word()), 4),
        entries in proptest::collection::vec((word(), word(), word()), 5),
        held in 0..5_usize,
        tasks in (word(), word(), word(), word()),
    ) {
        let world = World::new(SHAPE);
        let ring = &world.ring;
        ring.cursors.tail.store(tail, Ordering::Relaxed);
        for (slot, (state, place)) in ring.slots.iter().zip(words) {
            slot.state.store(state, Ordering::Relaxed);
            slot.frame.store(place, Ordering::Relaxed);
        }
        for (entry, (word, claim_intent, take_intent)) in ring.entries.iter().zip(entries) {
            entry.word.store(word, Ordering::Relaxed);
            entry.own.claim_intent.store(claim_intent, Ordering::Relaxed);
            entry.own.take_intent.store(take_intent, Ordering::Relaxed);
        }
        ring.cursors.done.store(tasks.0, Ordering::Relaxed);
        ring.rare.skipped.store(tasks.1, Ordering::Relaxed);
        ring.rare.skip_target.store(tasks.2, Ordering::Relaxed);
        ring.rare.skip_position.store(tasks.3, Ordering::Relaxed);
        let _ = ring.unfinished();
        let _ = ring.task_done();
        world.probe.lock(held);
        let _ = ring.check();
        let _ = ring.backlog();
        for entry in 0..5 {
            let _ = world.adopt(entry);
            let _ = ring.blocked(tail, &world.probe, &mut EntrySet::EMPTY.clone());
            let _ = ring.candidates(EntryRole::Producer);
        }
        let scan = RedeliveryScan::new(ring);
        while scan.take(ring, held).is_some() {}
        let _ = ring.has_free_quarter();
        let guess = CursorGuess::new(ring);
        let _ = crate::order_ring::Producer { ring, me: held, guess: &guess }.claim(1, MAX_BATCH);
        let _ = ring.frame_at(tail);
        world.recover();
        ring.detach(held);
        let _ = ring.attach(held, EntryRole::Consumer, 1, 1);
    }
}

#[test]
fn frame_references_out_of_bounds_are_corruption() {
    for (offset, len) in [(64, 8), (0, 25), (56, 16), (0, (1 << 27) - 1), (PackedFrameRef::MAX_LANE - 8, 8)] {
        let (world, mut producer, _consumer) = queue();
        producer.send(&[1], 1);
        producer.detach();
        let slot = &world.ring.slots[0];
        slot.frame.store(PackedFrameRef::new(0, offset, len).0, Ordering::Relaxed);
        assert!(world.adopt(0).is_err(), "{len} bytes at {offset}");
    }
}
