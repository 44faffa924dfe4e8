//! Which holders an idle consumer's scan finds.

use super::*;

/// A scan that ends early is continued by the next one, also where the slots of many holders share
/// a word.
#[test]
fn each_holder_is_found_however_short_the_steps_are() {
    let shape = Shape { ring: 128, entries: 8, lane: 1024, ..SHAPE };
    let world = World::new(shape);
    let mut producer = world.producer(0).unwrap();
    assert_eq!(producer.send(&[1, 2, 3, 4, 5, 6], 6), 6);
    let holders: Vec<_> = (1..=6)
        .map(|me| {
            let mut consumer = world.consumer(me).unwrap();
            consumer.take().unwrap();
            consumer
        })
        .collect();
    let watched = Watched::new(&world.ring);
    // Two holders in each scan: twice around.
    let mut found = Vec::new();
    for _ in 0..6 {
        let mut left = 2;
        watched.scan(&world.ring, |unsettled| {
            found.push(unsettled);
            left -= 1;
            left > 0
        });
    }
    let owners = (1..=holders.len()).chain(1..=holders.len());
    assert_eq!(found, owners.map(Unsettled::Held).collect::<Vec<_>>());
}
