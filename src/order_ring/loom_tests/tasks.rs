//! Messages that are declared done, concurrently with senders, with recovery and with `join`.

use loom::thread;

use super::*;
use crate::order_ring::crash_point::until_crash;

/// What the only message's consumer has done is seen by the caller of `join` that finds nothing
/// unfinished, though a recovery counts a tombstone meanwhile.
#[test]
fn join_comes_after_what_was_done() {
    explore(Some(3), || {
        let world = World::new(shape(3));
        let mut dies = world.producer(0).unwrap();
        let mut sender = world.producer(1).unwrap();
        let mut consumer = world.consumer(2).unwrap();
        assert_eq!(sender.send(&[1], 1), 1);
        dies.stage(2, GRANULE as usize).unwrap();
        dies.claim(1).unwrap();
        drop(dies);
        world.kill(0);
        let work = Arc::new(AtomicU64::new(0));
        let (here, result) = (world.clone(), Arc::clone(&work));
        let worker = thread::spawn(move || {
            consumer.recv(1).unwrap();
            result.store(7, Ordering::Relaxed);
            assert!(here.ring.task_done());
            consumer.release_all();
            consumer
        });
        let here = world.clone();
        let recoverer = thread::spawn(move || here.recover().expect("the only recovery"));
        for _ in 0..2 {
            if world.ring.unfinished().expect("no corruption") == 0 {
                assert_eq!(work.load(Ordering::Relaxed), 7);
                assert_eq!(world.ring.rare.skipped.load(Ordering::Relaxed), 2, "one, and the start");
            }
        }
        let consumer = worker.join().unwrap();
        assert_eq!(recoverer.join().unwrap().tombstones, 1);
        assert_eq!(world.ring.unfinished(), Ok(0));
        finish(&world, vec![Alive::Producer(sender), Alive::Consumer(consumer)]);
    });
}

/// A caller of `join` that knows of no claim yet never sees more counted than claimed.
#[test]
fn the_tail_comes_with_the_counts() {
    explore(Some(3), || {
        let world = World::new(shape(3));
        let here = world.clone();
        let joiner = thread::spawn(move || {
            for _ in 0..2 {
                here.ring.unfinished().expect("no corruption");
            }
        });
        let mut sender = world.producer(1).unwrap();
        let mut consumer = world.consumer(2).unwrap();
        assert_eq!(sender.send(&[1], 1), 1);
        consumer.recv(1).unwrap();
        assert!(world.ring.task_done());
        consumer.release_all();
        let mut dies = world.producer(0).unwrap();
        dies.stage(2, GRANULE as usize).unwrap();
        dies.claim(1).unwrap();
        drop(dies);
        world.kill(0);
        world.recover();
        joiner.join().unwrap();
        finish(&world, vec![Alive::Producer(sender), Alive::Consumer(consumer)]);
    });
}

/// Two calls for one message beside its sender: no more are counted than are committed, and a call
/// after both are done is refused.
#[test]
fn no_more_are_done_than_were_sent() {
    explore(Some(3), || {
        let world = World::new(shape(1));
        let mut sender = world.producer(0).unwrap();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let here = world.clone();
                thread::spawn(move || here.ring.task_done())
            })
            .collect();
        assert_eq!(sender.send(&[1], 1), 1);
        let done = threads.into_iter().map(|thread| thread.join().unwrap());
        let done = done.filter(|done| *done).count() as u64;
        assert!(done <= 1);
        assert_eq!(world.ring.unfinished(), Ok(1 - done));
        assert_eq!(world.ring.task_done(), done == 0);
        assert!(!world.ring.task_done());
        finish(&world, vec![Alive::Producer(sender)]);
    });
}

/// A recovery is killed at each of its crash points, while a message is declared done; the next one
/// counts the tombstones exactly.
#[test]
fn a_recovery_that_dies_counts_once() {
    explore_deaths(Some(2), |at| {
        let world = World::new(shape(3));
        let mut dies = world.producer(0).unwrap();
        let mut sender = world.producer(1).unwrap();
        let mut consumer = world.consumer(2).unwrap();
        assert_eq!(sender.send(&[1], 1), 1);
        dies.stage(2, GRANULE as usize).unwrap();
        dies.claim(1).unwrap();
        drop(dies);
        world.kill(0);
        let here = world.clone();
        let worker = thread::spawn(move || {
            consumer.recv(1).unwrap();
            assert!(here.ring.task_done());
            consumer.release_all();
            consumer
        });
        let died = until_crash(at, || world.recover()).is_none();
        let consumer = worker.join().unwrap();
        world.recover();
        assert_eq!(world.ring.unfinished(), Ok(0));
        finish(&world, vec![Alive::Producer(sender), Alive::Consumer(consumer)]);
        died
    });
}
