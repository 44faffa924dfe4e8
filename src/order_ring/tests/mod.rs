//! The core in one thread: operation by operation against a reference ([`random`]), and single
//! cases as examples.

mod bounded;
mod hostile;
mod lanes;
mod participants;
mod random;
mod reference;
mod watching;
mod world;

use super::*;
use crate::layout::order::{EntryRole, Intent, MAX_BATCH, SlotKind, position_limit};
use participants::{Consumer, Producer};
use world::{GRANULE, Shape, World, over_if};

const SHAPE: Shape =
    Shape { ring: 4, messages: 0, entries: 5, lane: 64, max_payload: 24, start: 0, at_most_once: false };

fn queue() -> (World, Producer, Consumer) {
    let world = World::new(SHAPE);
    let (producer, consumer) = (world.producer(0).unwrap(), world.consumer(4).unwrap());
    (world, producer, consumer)
}

fn positions(consumer: &Consumer) -> Vec<u64> {
    consumer.held.iter().map(|out| out.held.position).collect()
}

#[test]
fn a_run_goes_across_the_end_in_one_call() {
    let (world, mut producer, mut consumer) = queue();
    for lap in 0..5_u64 {
        let messages: Vec<u8> = (0..3).map(|each| lap as u8 * 3 + each).collect();
        for message in &messages {
            producer.stage(*message, 8).unwrap();
        }
        let first = lap * 3;
        assert_eq!(producer.claim(3), Ok(Claimed { first, count: 3 }));
        producer.commit_all();
        consumer.recv(3).unwrap();
        assert_eq!(positions(&consumer), [first, first + 1, first + 2]);
        let delivered: Vec<u8> = world.log().delivered.iter().map(|(message, ..)| *message).collect();
        assert_eq!(delivered[first as usize..], messages);
        consumer.release_all();
    }
}

#[test]
fn a_batch_takes_what_there_is_room_for() {
    let (world, mut producer, mut consumer) = queue();
    for message in 1..=3 {
        producer.stage(message, 8).unwrap();
    }
    assert_eq!(producer.claim(2), Ok(Claimed { first: 0, count: 3 }));
    while producer.commit_next().is_some() {}
    for message in 4..=6 {
        producer.stage(message, 8).unwrap();
    }
    assert_eq!(producer.claim(2), Err(NotClaimed::Full(4)));
    assert!(world.ring.has_free());
    assert_eq!(producer.claim(1), Ok(Claimed { first: 3, count: 1 }));
    producer.commit_next();
    assert!(!world.ring.has_free());
    assert_eq!(world.ring.backlog(), 4);
    consumer.recv(3).unwrap();
    assert_eq!(positions(&consumer), [0, 1, 2]);
    assert_eq!(world.ring.next_take(), 3);
    // The newest first: the slot of the oldest is what counts.
    consumer.release(2);
    assert_eq!(producer.send(&[7], 1), 0);
    consumer.release(0);
    assert_eq!(producer.send(&[7, 8], 1), 1);
    assert_eq!(world.ring.next_claim(), 5);
}

#[test]
fn uncommitted_is_not_empty() {
    let (_world, mut producer, mut consumer) = queue();
    assert_eq!(consumer.take(), Err(NotTaken::Empty));
    producer.stage(1, 8).unwrap();
    producer.claim(1).unwrap();
    assert_eq!(consumer.take(), Err(NotTaken::Uncommitted(0)));
    assert_eq!(consumer.take_many(2), Err(NotTaken::Uncommitted(0)));
    assert_eq!(consumer.take_inexact(), Err(NotTaken::Empty));
    producer.commit_next();
    assert_eq!(consumer.take(), Ok(0));
}

/// `has_more` decides whether a wake is passed on: neither a claim that is not committed, nor a
/// frame that is held, is worth one.
#[test]
fn there_is_more_if_another_consumer_could_take_it() {
    let (world, mut producer, mut consumer) = queue();
    assert!(!world.ring.has_more());
    producer.stage(1, 8).unwrap();
    producer.claim(1).unwrap();
    assert!(!world.ring.has_more(), "not committed");
    producer.commit_next();
    assert!(world.ring.has_more());
    assert_eq!(producer.send(&[2, 3, 4], 1), 3);
    consumer.recv(4).unwrap();
    assert!(!world.ring.has_more(), "the next slot is held, by the lap before");
    consumer.release(0);
    assert!(!world.ring.has_more(), "free");
    let mut corpse = world.producer(1).unwrap();
    corpse.stage(9, 8).unwrap();
    corpse.claim(1).unwrap();
    world.kill(1);
    assert!(!world.ring.has_more(), "not committed, and nobody has seen that it never will be");
    assert_eq!(world.recover().unwrap().tombstones, 1);
    assert!(world.ring.has_more(), "a tombstone is passed, and something may stand behind it");
}

/// A run includes the tombstones within it, and marks only positions that have a frame.
#[test]
fn a_run_over_tombstones() {
    for dead in [0, 1, 2, 3] {
        let (world, mut producer, mut consumer) = queue();
        for position in 0..4 {
            if position == dead {
                let mut corpse = world.producer(1).unwrap();
                corpse.stage(9, 8).unwrap();
                corpse.claim(1).unwrap();
                world.kill(1);
            } else {
                assert_eq!(producer.send(&[position as u8 + 1], 1), 1);
            }
        }
        let recovered = world.recover().unwrap();
        assert_eq!((recovered.deaths, recovered.tombstones, recovered.cleaned), (1, 1, 1));
        // The slot of the tombstone is free for the next lap already, if that is the next to be
        // claimed.
        assert_eq!(producer.send(&[5], 1), usize::from(dead == 0));
        consumer.recv(4).unwrap();
        let expected: Vec<_> = (0..4 + u64::from(dead == 0)).filter(|position| *position != dead).collect();
        assert_eq!(positions(&consumer), expected);
    }
}

#[test]
fn redeliveries_are_counted_and_stop_at_fifteen() {
    let (_world, mut producer, mut consumer) = queue();
    producer.send(&[1], 1);
    consumer.recv(1).unwrap();
    for count in 1..20 {
        consumer.reject(0);
        assert_eq!(consumer.take(), Err(NotTaken::Empty), "it does not come in order");
        assert_eq!(consumer.take_redelivery(), Some(HeldSlot { position: 0, redeliveries: count.min(15) }));
    }
    consumer.release_all();
    assert_eq!(consumer.take_redelivery(), None);
}

#[test]
fn unread_messages_are_redelivered_uncounted() {
    for at_most_once in [false, true] {
        let world = World::new(Shape { at_most_once, ..SHAPE });
        let (mut producer, mut consumer) = (world.producer(0).unwrap(), world.consumer(4).unwrap());
        producer.send(&[1], 1);
        consumer.recv(1).unwrap();
        for _ in 0..20 {
            assert_eq!(consumer.put_back(0), HeldSlot { position: 0, redeliveries: 0 });
            assert_eq!(consumer.take_redelivery(), Some(HeldSlot { position: 0, redeliveries: 0 }));
        }
        if !at_most_once {
            consumer.reject(0);
            assert_eq!(consumer.take_redelivery(), Some(HeldSlot { position: 0, redeliveries: 1 }));
            consumer.put_back(0);
            assert_eq!(consumer.take_redelivery(), Some(HeldSlot { position: 0, redeliveries: 1 }));
        }
        consumer.release_all();
        assert_eq!(consumer.take_redelivery(), None);
    }
}

#[test]
fn detaching_requeues_what_is_held() {
    let (world, mut producer, mut leaver) = queue();
    let mut other = world.consumer(3).unwrap();
    producer.send(&[1, 2], 2);
    leaver.recv(1).unwrap();
    other.recv(1).unwrap();
    leaver.detach();
    assert!(!world.ring.entry_word(4).is_dirty());
    assert_eq!(other.take_redelivery(), Some(HeldSlot { position: 0, redeliveries: 1 }));
    assert_eq!(positions(&other), [1, 0], "only what was its own");
    assert!(world.ring.has_live(EntryRole::Consumer, &world.probe));
    other.detach();
    assert!(!world.ring.has_live(EntryRole::Consumer, &world.probe));
    assert!(world.ring.has_live(EntryRole::Producer, &world.probe));
}

#[test]
fn positions_end_at_the_limit() {
    for ring in [2_usize, 4, 8] {
        let limit = position_limit(ring.trailing_zeros());
        let world = World::new(Shape { ring, start: limit - 2, ..SHAPE });
        let (mut producer, mut consumer) = (world.producer(0).unwrap(), world.consumer(4).unwrap());
        for message in 1..=3 {
            producer.stage(message, 8).unwrap();
        }
        assert_eq!(producer.claim(3), Err(NotClaimed::PositionsExhausted));
        assert_eq!(producer.claim(1), Ok(Claimed { first: limit - 2, count: 2 }));
        while producer.commit_next().is_some() {}
        producer.stage(4, 8).unwrap();
        assert_eq!(producer.claim(1), Err(NotClaimed::PositionsExhausted));
        consumer.recv(255).unwrap();
        assert_eq!(positions(&consumer), [limit - 2, limit - 1]);
        consumer.reject(0);
        consumer.detach();
        assert_eq!(producer.claim(1), Err(NotClaimed::PositionsExhausted), "room or not");
        assert_eq!(world.ring.check(), Ok(()));
    }
}

#[test]
fn invalid_cursors_are_corruption() {
    let world = World::new(SHAPE);
    let cursors = &world.ring.cursors;
    cursors.head.store(Head::at(1).0, Ordering::Relaxed);
    assert_eq!(world.ring.check().map_err(|corruption| corruption.word), Err("head"));
    cursors.tail.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(world.ring.check().map_err(|corruption| corruption.word), Err("tail"));
}

#[test]
fn blockers_are_found() {
    let (world, mut producer, mut consumer) = queue();
    let ring = &world.ring;
    assert_eq!(ring.blocked(0, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::No, "not claimed");
    producer.stage(1, 8).unwrap();
    producer.claim(1).unwrap();
    assert_eq!(ring.blocked(0, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::ByLiving);
    producer.commit_next();
    assert_eq!(
        ring.blocked(0, &world.probe, &mut EntrySet::EMPTY.clone()),
        Blocked::No,
        "nobody has taken it"
    );
    consumer.take_many(1).unwrap();
    assert_eq!(ring.blocked(0, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::ByLiving);
    assert_eq!(
        ring.blocked(4, &world.probe, &mut EntrySet::EMPTY.clone()),
        Blocked::ByLiving,
        "the next lap waits for the same"
    );
    consumer.mark();
    assert_eq!(ring.blocked(0, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::ByLiving);
    consumer.reject(0);
    assert_eq!(
        ring.blocked(0, &world.probe, &mut EntrySet::EMPTY.clone()),
        Blocked::No,
        "to be taken by anybody"
    );
    consumer.take_redelivery().unwrap();
    drop(consumer);
    world.kill(4);
    assert_eq!(ring.blocked(0, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::ByDead);
    let mut taker = world.consumer(3).unwrap();
    producer.send(&[2], 1);
    taker.take_many(1).unwrap();
    drop(taker);
    world.kill(3);
    assert_eq!(ring.blocked(1, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::ByDead);
    producer.stage(3, 8).unwrap();
    producer.claim(1).unwrap();
    drop(producer);
    world.kill(0);
    assert_eq!(ring.blocked(2, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::ByDead);
    let recovered = world.recover().unwrap();
    assert_eq!((recovered.deaths, recovered.tombstones, recovered.requeued, recovered.cleaned), (3, 1, 2, 3));
    for position in 0..8 {
        assert_eq!(ring.blocked(position, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::No);
    }
}

/// The intent of a producer that died before its CAS names a position that a living one has won
/// since. Recovery leaves that position alone, so `blocked` must not say that recovery helps.
#[test]
fn a_live_intent_blocks() {
    let world = World::new(SHAPE);
    let mut corpse = world.producer(0).unwrap();
    corpse.stage(1, 8).unwrap();
    assert_eq!(world.until_crash(0, 1, || corpse.claim(1)), None, "dead between intent and CAS");
    let mut claimer = world.producer(1).unwrap();
    claimer.stage(2, 8).unwrap();
    claimer.claim(1).unwrap();
    assert_eq!(world.ring.blocked(0, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::ByLiving);
    let recovered = world.recover().unwrap();
    assert_eq!((recovered.tombstones, recovered.cleaned), (0, 0), "its intent may be the evidence");
    claimer.commit_next();
    assert_eq!(world.recover().unwrap().cleaned, 1);
    // The old intent of an entry that has no owner any more is no reason either.
    let mut taker = world.consumer(2).unwrap();
    assert_eq!(world.until_crash(2, 1, || taker.take_many(1)), None);
    assert_eq!(world.recover().unwrap().cleaned, 1);
    let mut consumer = world.consumer(3).unwrap();
    consumer.take_many(1).unwrap();
    assert_eq!(world.ring.blocked(0, &world.probe, &mut EntrySet::EMPTY.clone()), Blocked::ByLiving);
}

#[test]
fn entries_are_tried_in_the_order_that_wastes_least() {
    let world = World::new(SHAPE);
    let ring = &world.ring;
    for entry in [0, 1, 2] {
        let mut producer = world.producer(entry).unwrap();
        producer.entry.set_lane_ready();
        if entry != 1 {
            producer.send(&[1], 1);
        }
        producer.detach();
    }
    // Ready and empty; not ready; ready, but with frames in it.
    assert_eq!(ring.candidates(EntryRole::Producer), [1, 3, 4, 0, 2]);
    assert_eq!(ring.candidates(EntryRole::Consumer), [4, 3, 2, 1, 0]);
    let _held = world.producer(1).unwrap();
    assert_eq!(ring.candidates(EntryRole::Producer), [3, 4, 0, 2]);
}

/// An entry whose owner died in it is not attached before it was recovered, and keeps the intent
/// until then.
#[test]
fn a_dirty_entry_is_free_for_no_participant() {
    let world = World::new(SHAPE);
    let mut corpse = world.producer(1).unwrap();
    corpse.stage(1, 8).unwrap();
    corpse.claim(1).unwrap();
    world.kill(1);
    assert!(world.producer(1).is_none() && world.consumer(1).is_none());
    let intent = || Intent(world.ring.entries[1].own.claim_intent.load(Ordering::Relaxed));
    assert_eq!(intent().positions(), 0..1);
    assert_eq!(world.recover().unwrap().cleaned, 1);
    let _new = world.consumer(1).unwrap();
    assert_eq!(intent(), Intent::NONE);
    assert_eq!(world.ring.entry_word(1).generation(), 2);
}
