//! Two participants that die, and the bytes of dead participants.

use loom::thread;

use super::*;
use crate::order_ring::crash_point::until_crash;

/// A producer and a consumer, each killed at any of its crash points.
fn both_die(shape: Shape, batch: usize) {
    for receiver_dies_at in 1..=5 {
        explore_deaths(Some(3), move |at| {
            let world = World::new(shape);
            let mut producer = world.producer(0).unwrap();
            let mut consumer = world.consumer(1).unwrap();
            let here = world.clone();
            let thread = thread::spawn(move || {
                let done = here.until_crash(0, at, || {
                    producer.send(&[1, 2][..batch], 1);
                    producer
                });
                (done.is_none(), done)
            });
            let consumer = world.until_crash(1, receiver_dies_at, || {
                let _ = consumer.recv(batch as u64);
                consumer.release_all();
                consumer
            });
            let (died, producer) = thread.join().unwrap();
            let alive = [producer.map(Alive::Producer), consumer.map(Alive::Consumer)];
            finish(&world, alive.into_iter().flatten().collect());
            died
        });
    }
}

#[test]
fn sender_and_receiver_die() {
    both_die(shape(2), 1);
}

#[test]
fn sender_and_receiver_of_a_batch_die() {
    both_die(shape(2), 2);
}

#[test]
fn sender_and_receiver_die_at_most_once() {
    both_die(at_most_once(2), 2);
}

/// A consumer dies while it reads. Recovery drops its frame, and then the lane's owner writes
/// there: the slot is all that connects the three.
#[test]
fn the_bytes_of_a_dead_reader_are_used_again() {
    explore(Some(3), || {
        let world = World::new(Shape { ring: 1, lane: GRANULE, ..at_most_once(2) });
        let mut producer = world.producer(0).unwrap();
        assert_eq!(producer.send(&[1], 1), 1);
        let mut reader = world.consumer(1).unwrap();
        let here = world.clone();
        let dies = thread::spawn(move || {
            reader.recv(1).unwrap();
            here.kill(1);
        });
        let recoverer = world.consumer(2).unwrap();
        let here = world.clone();
        let recovers = thread::spawn(move || {
            here.recover();
            recoverer
        });
        producer.send(&[2], 1);
        dies.join().unwrap();
        let recoverer = recovers.join().unwrap();
        finish(&world, vec![Alive::Producer(producer), Alive::Consumer(recoverer)]);
    });
}

/// Like `the_bytes_of_a_dead_reader_are_used_again`, with a frame that is redelivered: the consumer
/// that gets it reads what the first producer wrote, by way of two participants that died.
#[test]
fn what_the_dead_held_is_read_again() {
    explore(Some(3), || {
        let world = World::new(shape(2));
        let mut producer = world.producer(0).unwrap();
        let mut reader = world.consumer(1).unwrap();
        let mut other = world.consumer(2).unwrap();
        let here = world.clone();
        let dies = thread::spawn(move || {
            assert_eq!(producer.send(&[1], 1), 1);
            here.kill(0);
            reader.recv(1).unwrap();
            here.kill(1);
        });
        let here = world.clone();
        let recovers = thread::spawn(move || {
            here.recover();
        });
        other.take_redelivery();
        other.release_all();
        dies.join().unwrap();
        recovers.join().unwrap();
        finish(&world, vec![Alive::Consumer(other)]);
    });
}

/// The participant that recovers dies on the way, and another one begins anew while the residue of
/// a producer and a consumer is there.
#[test]
fn one_recovery_after_another() {
    explore_deaths(Some(3), |at| {
        let world = World::new(Shape { ring: 4, ..shape(4) });
        let mut feeder = world.producer(0).unwrap();
        let mut taker = world.consumer(1).unwrap();
        assert_eq!(feeder.send(&[1, 2], 2), 2);
        taker.take_many(1).unwrap();
        drop(taker);
        world.kill(1);
        let mut claimer = world.producer(2).unwrap();
        claimer.stage(3, GRANULE as usize).unwrap();
        claimer.claim(1).unwrap();
        drop(claimer);
        world.kill(2);
        let one = world.consumer(3).unwrap();
        let mut other = world.consumer(4).unwrap();
        let here = world.clone();
        let thread = thread::spawn(move || {
            let done = here.until_crash(3, at, || {
                here.recover();
                one
            });
            (done.is_none(), done)
        });
        world.recover();
        let _ = other.recv(2);
        let (died, one) = thread.join().unwrap();
        let mut alive = vec![Alive::Producer(feeder), Alive::Consumer(other)];
        alive.extend(one.map(Alive::Consumer));
        finish(&world, alive);
        died
    });
}

/// The process that recovers dies on the way, and has no entry by which its death could be seen.
/// What it has requeued is found all the same, by a consumer that had scanned before.
#[test]
fn a_recovery_from_outside_ends_early() {
    explore_deaths(Some(3), |at| {
        let world = World::new(shape(2));
        let mut feeder = world.producer(0).unwrap();
        assert_eq!(feeder.send(&[1], 1), 1);
        let [mut corpse, mut survivor] = [1, 2].map(|entry| world.consumer(entry).unwrap());
        corpse.recv(1).unwrap();
        drop(corpse);
        world.kill(1);
        assert_eq!(survivor.take_redelivery(), None);
        let here = world.clone();
        let thread = thread::spawn(move || until_crash(at, || here.recover()).is_none());
        let _ = survivor.recv(1);
        let died = thread.join().unwrap();
        finish(&world, vec![Alive::Producer(feeder), Alive::Consumer(survivor)]);
        died
    });
}
