//! Entries that change owners while other participants act, and what the new owner of a lane finds
//! in it.

use loom::thread;

use super::*;

/// A corpse that holds a frame, in entry 1; a new owner attaches there as soon as it is clean, and
/// detaches.
///
/// What the new owner sees of the slots must not be older than the recovery: a slot that still
/// looked held by its own number would be rejected, though another consumer has it by now, and a
/// third one would get it too.
#[test]
fn the_entry_of_a_dead_consumer_is_used_again() {
    for shape in [shape(3), at_most_once(3)] {
        explore_deaths(Some(3), move |at| {
            let world = World::new(shape);
            let mut feeder = world.producer(0).unwrap();
            assert_eq!(feeder.send(&[1], 1), 1);
            let mut corpse = world.consumer(1).unwrap();
            corpse.recv(1).unwrap();
            world.kill(1);
            drop(corpse);
            let [mut survivor, mut other] = [2, 3].map(|entry| world.consumer(entry).unwrap());
            let here = world.clone();
            let thread = thread::spawn(move || {
                let done = here.until_crash(2, at, || {
                    here.recover();
                    let _ = survivor.recv(1);
                    survivor
                });
                (done.is_none(), done)
            });
            if let Some(consumer) = world.consumer(1) {
                consumer.detach();
                let _ = other.recv(1);
            }
            let (died, survivor) = thread.join().unwrap();
            let mut alive = vec![Alive::Producer(feeder), Alive::Consumer(other)];
            alive.extend(survivor.map(Alive::Consumer));
            finish(&world, alive);
            died
        });
    }
}

/// A corpse whose lane holds one frame that is committed and one that is not; a new owner writes
/// into the lane.
#[test]
fn the_entry_of_a_dead_producer_is_used_again() {
    explore_deaths(Some(3), |at| {
        let world = World::new(Shape { ring: 4, ..shape(2) });
        let mut corpse = world.producer(1).unwrap();
        corpse.send(&[1], 1);
        corpse.stage(2, GRANULE as usize).unwrap();
        corpse.claim(1).unwrap();
        world.kill(1);
        drop(corpse);
        let mut consumer = world.consumer(2).unwrap();
        let here = world.clone();
        let thread = thread::spawn(move || {
            let done = here.until_crash(2, at, || {
                here.recover();
                let _ = consumer.recv(1);
                consumer.release_all();
                consumer
            });
            (done.is_none(), done)
        });
        let producer = world.producer(1).map(|mut producer| {
            producer.send(&[3, 4], 1);
            producer
        });
        let (died, consumer) = thread.join().unwrap();
        let alive = [producer.map(Alive::Producer), consumer.map(Alive::Consumer)];
        finish(&world, alive.into_iter().flatten().collect());
        died
    });
}

/// While a pass runs for a corpse, a consumer detaches from its entry and another one attaches
/// there and takes a frame. The new owner is alive: its frame must not be given to another
/// consumer.
///
/// Each has a thread of its own, because a switch at the end of a thread is no preemption.
#[test]
fn an_owner_that_left_is_not_a_dead_one() {
    for shape in [shape(4), at_most_once(4)] {
        explore_deaths(Some(2), move |at| {
            let world = World::new(shape);
            let mut feeder = world.producer(0).unwrap();
            assert_eq!(feeder.send(&[1], 1), 1);
            world.consumer(1).unwrap();
            world.kill(1);
            let mut other = world.consumer(4).unwrap();
            let leaver = world.consumer(2).unwrap();
            world.producer(3).unwrap();
            let here = world.clone();
            let recovers = thread::spawn(move || here.until_crash(3, at, || here.recover()).is_none());
            let leaves = thread::spawn(move || leaver.detach());
            let here = world.clone();
            let enters = thread::spawn(move || {
                let mut newcomer = here.consumer(2)?;
                newcomer.recv(1).unwrap();
                assert_eq!(newcomer.held.len(), 1);
                Some(newcomer)
            });
            let died = recovers.join().unwrap();
            leaves.join().unwrap();
            let mut newcomer = enters.join().unwrap();
            if !died {
                world.ring.detach(3);
                world.probe.unlock(3);
            }
            if let Some(newcomer) = &mut newcomer {
                // Neither the frame nor its room is available to others.
                assert_eq!(other.recv(1), Err(NotTaken::Empty));
                assert_eq!(feeder.send(&[2, 3], 1), 1);
                newcomer.release_all();
            }
            let alive =
                [Some(Alive::Producer(feeder)), Some(Alive::Consumer(other)), newcomer.map(Alive::Consumer)];
            finish(&world, alive.into_iter().flatten().collect());
            died
        });
    }
}

/// A producer dies before its claim; another one gets the position, and dies as well. The next
/// owner of the first one's entry is alive, but the intent that it finds there is not its own: the
/// position becomes a tombstone.
#[test]
fn what_the_last_owner_meant_to_claim_is_forgotten() {
    explore_deaths(Some(3), |at| {
        let world = World::new(shape(2));
        let mut first = world.producer(1).unwrap();
        let first = world.until_crash(1, at, || {
            first.send(&[1], 1);
            first
        });
        let died = first.is_none();
        world.recover();
        let next = first.or_else(|| world.producer(1)).unwrap();
        let mut second = world.producer(2).unwrap();
        second.stage(2, GRANULE as usize).unwrap();
        second.claim(1).unwrap();
        drop(second);
        world.kill(2);
        finish(&world, vec![Alive::Producer(next)]);
        died
    });
}

/// Like `what_the_last_owner_meant_to_claim_is_forgotten`, with consumers: the frame is
/// redelivered.
#[test]
fn what_the_last_owner_meant_to_take_is_forgotten() {
    explore_deaths(Some(3), |at| {
        let world = World::new(shape(2));
        let mut feeder = world.producer(0).unwrap();
        feeder.send(&[1, 2], 2);
        let mut first = world.consumer(1).unwrap();
        let first = world.until_crash(1, at, || {
            let _ = first.recv(1);
            first
        });
        let died = first.is_none();
        world.recover();
        let next = first.or_else(|| world.consumer(1)).unwrap();
        let mut second = world.consumer(2).unwrap();
        second.take_many(1).unwrap();
        drop(second);
        world.kill(2);
        finish(&world, vec![Alive::Producer(feeder), Alive::Consumer(next)]);
        died
    });
}

/// A frame of an orphaned lane is released and its slot is reused, for a longer frame of another
/// lane, while a participant scans for frames of the orphaned lane: it finds the frame as it was,
/// or nothing. If it finds nothing, it may write there.
#[test]
fn frames_in_a_lane_are_whole_or_gone() {
    explore(Some(3), || {
        let world =
            World::new(Shape { ring: 1, start: 3, lane: 4 * GRANULE, max_payload: 2 * GRANULE, ..shape(2) });
        let mut orphan = world.producer(1).unwrap();
        orphan.stage(9, GRANULE as usize).unwrap();
        orphan.claim(1).unwrap();
        orphan.commit_next();
        orphan.detach();
        let mut consumer = world.consumer(2).unwrap();
        consumer.recv(1).unwrap();
        let here = world.clone();
        let thread = thread::spawn(move || {
            let mut other = here.producer(0).unwrap();
            consumer.release_all();
            other.stage(5, GRANULE as usize).unwrap();
            other.stage(6, 2 * GRANULE as usize).unwrap();
            // The second frame, so that both offset and length differ.
            other.staged.pop_front();
            other.claim(1).unwrap();
            other.commit_next();
            (other, consumer)
        });
        let frames = world.ring.frames_in(1);
        let whole = crate::lane::mpmc::AdoptedFrame { position: 3, offset: 0, len: GRANULE };
        assert!(frames.is_empty() || frames == [whole], "{frames:?}");
        if frames.is_empty() {
            world.memory.note_write(4 * GRANULE as usize, GRANULE as usize);
        }
        let (other, consumer) = thread.join().unwrap();
        finish(&world, vec![Alive::Producer(other), Alive::Consumer(consumer)]);
    });
}

/// Two participants want the same entry: one gets it.
#[test]
fn one_entry_for_two() {
    explore(None, || {
        let world = World::new(shape(1));
        let mut feeder = world.producer(0).unwrap();
        assert_eq!(feeder.send(&[1], 1), 1);
        world.consumer(1).unwrap().detach();
        let here = world.clone();
        let enter = |world: &World| {
            let mut consumer = world.consumer(1)?;
            let _ = consumer.recv(1);
            Some(consumer)
        };
        let thread = thread::spawn(move || enter(&here));
        let one = enter(&world);
        let other = thread.join().unwrap();
        assert!(one.is_some() != other.is_some());
        let alive = one.or(other).map(Alive::Consumer);
        finish(&world, [Some(Alive::Producer(feeder)), alive].into_iter().flatten().collect());
    });
}
