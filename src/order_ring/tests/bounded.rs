//! Rings that may hold fewer messages than they have slots.

use super::*;
use crate::retry::RetryLimit;

/// The slot that decides is not the one that would be claimed. An attempt that is given up because
/// others win each round names the one that decides, too: the caller asks who keeps it.
#[test]
fn a_claim_that_is_given_up_names_the_slot_that_decides() {
    let world = World::new(Shape { messages: 3, ..SHAPE });
    let (mut first, mut consumer) = (world.producer(0).unwrap(), world.consumer(4).unwrap());
    assert_eq!(first.send(&[1, 2, 3], 3), 3);
    consumer.recv(1).unwrap();
    let guess = CursorGuess::new(&world.ring);
    let producer = crate::order_ring::Producer { ring: &world.ring, me: 1, guess: &guess };
    let given_up = producer.claim_contended(RetryLimit::NONE, 1, 1);
    assert_eq!(given_up, producer.claim(1, 1));
    let Err(NotClaimed::Full(position)) = given_up else { panic!("{given_up:?}") };
    let blocked = world.ring.blocked(position, &world.probe, &mut EntrySet::EMPTY.clone());
    assert_eq!(blocked, Blocked::ByLiving, "the consumer keeps it");
}

/// A consumer skips tombstones only when it takes: until then, more positions are claimed and not taken
/// than there may be messages.
#[test]
fn tombstones_are_no_more_messages_than_there_may_be() {
    let world = World::new(Shape { messages: 3, ..SHAPE });
    let mut dead = world.producer(0).unwrap();
    (1..=3).for_each(|message| dead.stage(message, 8).unwrap());
    dead.claim(3).unwrap();
    world.kill(0);
    assert_eq!(world.recover().unwrap().tombstones, 3);
    let mut producer = world.producer(1).unwrap();
    assert_eq!(producer.send(&[4, 5, 6], 3), 3);
    assert_eq!((world.ring.backlog(), world.ring.waiting()), (3, 3));
    let mut consumer = world.consumer(4).unwrap();
    consumer.recv(1).unwrap();
    assert_eq!((world.ring.backlog(), world.ring.held()), (2, 1));
}
