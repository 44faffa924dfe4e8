//! Words that no participant could have stored: whatever is made of them, nothing panics and nothing overflows.

use proptest::prelude::*;

use super::*;
use crate::layout::order::Place;

fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => any::<u64>(),
        2 => 0..1024_u64,
        1 => (0..64_u32).prop_map(|bit| u64::MAX >> bit),
        // A state of a link, of every kind, by owners that there are and that there are not.
        3 => (0..4_u64, 0..8_u64, 0..4_u64).prop_map(|(lap, owner, kind)| lap << 18 | owner << 6 | kind),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_word_is_believed(
        tail in word(),
        words in proptest::collection::vec((word(), word()), 4),
        entries in proptest::collection::vec((word(), word(), word()), 5),
        held in 0..5_usize,
    ) {
        let world = World::new(SHAPE);
        let links = &world.links;
        links.cursors.tail.store(tail, Ordering::Relaxed);
        for (link, (state, place)) in links.links.iter().zip(words) {
            link.state.store(state, Ordering::Relaxed);
            link.place.store(place, Ordering::Relaxed);
        }
        for (entry, (word, enq, deq)) in links.entries.iter().zip(entries) {
            entry.word.store(word, Ordering::Relaxed);
            entry.own.enq.store(enq, Ordering::Relaxed);
            entry.own.deq.store(deq, Ordering::Relaxed);
        }
        world.leases.lock(held);
        let _ = links.check();
        let _ = links.backlog();
        for entry in 0..5 {
            let _ = world.adopt(entry);
            let _ = links.blocked(tail, &world.leases, &mut EntrySet::EMPTY.clone());
            let _ = links.candidates(EntryRole::Producer);
        }
        let scan = RedoScan::new(links);
        while scan.take(links, held).is_some() {}
        let _ = links.has_free_quarter();
        let _ = links.claim(held, &Guess::at_tail(links), 1, MAX_BATCH);
        let _ = links.frame_at(tail);
        world.recover();
        links.leave(held);
        let _ = links.enter(held, EntryRole::Consumer, 1, 1);
    }
}

#[test]
fn places_beyond_everything_are_damage() {
    for (offset, len) in [(64, 8), (0, 25), (56, 16), (0, (1 << 27) - 1), (Place::MAX_LANE - 8, 8)] {
        let (world, mut producer, _consumer) = queue();
        producer.send(&[1], 1);
        producer.leave();
        let link = &world.links.links[0];
        link.place.store(Place::new(0, offset, len).0, Ordering::Relaxed);
        assert!(world.adopt(0).is_err(), "{len} bytes at {offset}");
    }
}
