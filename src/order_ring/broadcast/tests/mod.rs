//! The protocol, one thread at a time, with a death between any two stores.

mod random;
pub(super) mod world;

use self::world::World;
use super::raise::Gate;
use super::{Raise, Seen};
use crate::layout::order::EntryRole;
use crate::order_ring::crash_point::until_crash;
use crate::order_ring::{Blocked, EntrySet, FrameRef, Registry};

#[test]
fn without_cursors_the_oldest_is_overwritten() {
    let world = World::new(8, 8, 4, 2, 5);
    let producer = world.producer();
    for id in 0..100 {
        assert_eq!(world.send(&producer, id), Ok(5 + id));
    }
    assert_eq!((world.ring.newest(), world.ring.check()), (105, Ok(())));
    let oldest = world.ring.oldest();
    assert!((97..=104).contains(&oldest), "{oldest}");
    for position in oldest..105 {
        assert_eq!(world.id(position), Some(position - 5));
        assert!(world.ring.is_intact(position));
    }
    assert_eq!(world.ring.see(50), Seen::Over);
    assert!(!world.ring.is_intact(50));
    assert_eq!(world.ring.see(105), Seen::Nothing);
}

#[test]
fn no_more_than_the_maximum_is_retained() {
    let world = World::new(8, 3, 4, 1, 0);
    let producer = world.producer();
    let reader = world.attach(EntryRole::Consumer);
    assert_eq!(reader.cursor().join(0), 0);
    for id in 0..3 {
        world.send(&producer, id).unwrap();
    }
    let gate = Gate { entry: 1, position: 0 };
    assert_eq!(world.send(&producer, 3), Err(Raise::Held(gate)));
    reader.cursor().release(1);
    assert_eq!(world.send(&producer, 3), Ok(3));
    assert_eq!(world.send(&producer, 4), Err(Raise::Held(Gate { entry: 1, position: 1 })));
    reader.cursor().remove();
    assert_eq!(world.send(&producer, 4), Ok(4));
}

#[test]
fn a_join_below_the_floor_begins_at_the_floor() {
    let world = World::new(4, 4, 4, 1, 0);
    let producer = world.producer();
    for id in 0..20 {
        world.send(&producer, id).unwrap();
    }
    let (floor, reader) = (world.ring.oldest(), world.attach(EntryRole::Consumer));
    assert_eq!(reader.cursor().join(3), floor);
    assert_eq!(world.ring.gate(), Some(Gate { entry: 1, position: floor }));
    assert_eq!(reader.cursor().join(19), 19);
    assert_eq!(reader.cursor().join(18), 18, "backwards within what is retained");
    world.leave(reader);
    assert_eq!(world.ring.gate(), None);
}

#[test]
fn a_dead_consumer_is_recovered_by_whom_it_holds_up() {
    let world = World::new(4, 4, 4, 2, 0);
    let producer = world.producer();
    let reader = world.attach(EntryRole::Consumer);
    reader.cursor().join(0);
    world.send_all(&producer, 0..4);
    let held = world.send(&producer, 4).unwrap_err();
    let Raise::Held(gate) = held else { panic!("{held:?}") };
    let mut dead = EntrySet::EMPTY;
    assert_eq!(world.ring.blocked_by_gate(gate.entry, 1, &world.locks, &mut dead), Blocked::ByLiving);
    world.kill(gate.entry);
    assert_eq!(world.ring.blocked_by_gate(gate.entry, 1, &world.locks, &mut dead), Blocked::ByDead);
    let done = world.ring.recover(&world.locks, Some(&dead));
    assert_eq!((done.deaths, done.cleaned), (1, 1));
    assert_eq!(world.send(&producer, 4), Ok(4));
    // Its successor is not touched by another pass over the same suspects.
    let successor = world.attach(EntryRole::Consumer);
    assert_eq!(successor.index(), gate.entry);
    successor.cursor().join(4);
    assert_eq!(world.ring.recover(&world.locks, Some(&dead)).deaths, 0);
    assert_eq!(world.ring.gate(), Some(Gate { entry: gate.entry, position: 4 }));
}

#[test]
fn what_a_dead_producer_claimed_becomes_a_tombstone_and_is_not_passed_before() {
    for batch in 1..=3 {
        for at in 1.. {
            let world = World::new(4, 4, 4, 2, 0);
            let (one, other) = (world.producer(), world.producer());
            let died = until_crash(at, || {
                let producer = one.0.producer(&one.1);
                let claimed = producer.claim(batch, batch).unwrap();
                let frames = (0..claimed.count).map(|i| FrameRef { lane: 0, offset: 0, len: 100 + i });
                let frames: Vec<_> = frames.collect();
                producer.commit_run(claimed.first, frames.into_iter());
            })
            .is_none();
            world.kill(0);
            let tail = world.ring.newest();
            let committed = (0..tail).take_while(|position| world.ring.is_settled(*position)).count() as u64;
            let mut sent = Vec::new();
            let blocked = loop {
                match world.send(&other, sent.len() as u64) {
                    Ok(position) if sent.len() < 12 => sent.push(position),
                    Ok(_) => break None,
                    Err(raise) => break Some(raise),
                }
            };
            if committed < tail {
                assert_eq!(blocked, Some(Raise::Uncommitted(committed)), "at {at}");
                let mut dead = EntrySet::EMPTY;
                assert_eq!(world.ring.blocked(committed, &world.locks, &mut dead), Blocked::ByDead);
                let done = world.ring.recover(&world.locks, Some(&dead));
                assert_eq!((done.tombstones, done.cleaned), (tail - committed, 1));
                assert_eq!(world.ring.see(committed), Seen::Tombstone);
                world.send_all(&other, 0..12);
            } else {
                assert_eq!(blocked, None);
            }
            if !died {
                break;
            }
        }
    }
}

#[test]
fn one_writer_takes_over_what_a_dead_one_left_and_its_batch_exists_as_a_whole_or_not() {
    for start in [0, 3, 6] {
        for at in 1.. {
            let world = World::new(4, 4, 4, 1, start);
            let first = world.producer();
            world.send_all(&first, 0..6);
            assert_eq!(first.0.producer(&first.1).raise(start + 6 + 3 - 4), Raise::Done);
            let died = until_crash(at, || {
                let producer = first.0.producer(&first.1);
                let claimed = producer.claim(3, 3).unwrap();
                let frames: Vec<_> = (0..3).map(|i| FrameRef { lane: 0, offset: 0, len: 100 + i }).collect();
                producer.commit_run(claimed.first, frames.into_iter());
            });
            let is_there = world.id(start + 6) == Some(100);
            world.kill(0);
            world.ring.recover(&world.locks, None);
            for again in 1.. {
                // The successor may die in the takeover, too.
                let entry = world.attach(EntryRole::Producer);
                let taken_over = until_crash(again, || world.ring.take_over());
                if taken_over.is_some() {
                    world.leave(entry);
                    break;
                }
                world.kill(0);
                world.ring.recover(&world.locks, None);
            }
            let second = world.producer();
            let expected = if is_there { start + 9 } else { start + 6 };
            assert_eq!(world.send(&second, 7), Ok(expected), "at {at}");
            for i in 0..if is_there { 3 } else { 0 } {
                assert_eq!(world.id(start + 6 + i), Some(100 + i));
            }
            assert_eq!(world.ring.see(expected + 1), Seen::Nothing);
            if died.is_some() {
                break;
            }
        }
    }
}

#[test]
fn a_raise_may_end_anywhere_and_the_next_one_goes_on() {
    for at in 1.. {
        let world = World::new(8, 8, 4, 2, 0);
        let (one, other) = (world.producer(), world.producer());
        let reader = world.attach(EntryRole::Consumer);
        reader.cursor().join(0);
        world.send_all(&one, 0..8);
        reader.cursor().release(2);
        let done = until_crash(at, || one.0.producer(&one.1).raise(1));
        world.kill(0);
        assert!(world.ring.check().is_ok());
        assert!(world.ring.oldest() <= 2);
        for id in 8..10 {
            assert_eq!(world.send(&other, id), Ok(id));
        }
        assert_eq!(world.id(2), Some(2), "kept for the reader");
        assert!(matches!(world.send(&other, 10), Err(Raise::Held(Gate { position: 2, .. }))));
        if done.is_some() {
            break;
        }
    }
}

#[test]
fn a_takeover_is_no_tombstone_to_a_consumer_without_a_cursor() {
    let world = World::new(4, 4, 4, 1, 0);
    let first = world.producer();
    world.send_all(&first, 0..4);
    let frames = || (0..2).map(|id| FrameRef { lane: 0, offset: 0, len: 100 + id }).collect::<Vec<_>>();
    let producer = first.0.producer(&first.1);
    assert_eq!(producer.raise(2), Raise::Done);
    let claimed = producer.claim(2, 2).unwrap();
    // It dies after the later state of the batch, and before the first one.
    assert!(until_crash(2, || producer.commit_run(claimed.first, frames().into_iter())).is_none());
    world.kill(0);
    world.ring.recover(&world.locks, None);
    let _second = world.producer();
    assert_eq!(world.ring.newest(), 4);
    assert_eq!(world.ring.see(1), Seen::Tombstone, "the state alone does not tell");
    assert_eq!(world.ring.see_unkept(1), Seen::Over);
}

#[test]
fn a_consumer_may_stand_after_the_tail_of_a_writer_that_died() {
    let world = World::new(4, 4, 4, 1, 0);
    let first = world.producer();
    world.send_all(&first, 0..2);
    let producer = first.0.producer(&first.1);
    let claimed = producer.claim(1, 1).unwrap();
    assert!(
        until_crash(2, || producer.commit(claimed.first, FrameRef { lane: 0, offset: 0, len: 7 })).is_none()
    );
    assert_eq!((world.ring.newest(), world.id(2)), (2, Some(7)));
    assert!(world.ring.is_reached(3) && !world.ring.is_reached(4));
}

#[test]
fn a_healthy_queue_is_not_called_corrupt_while_it_is_in_use() {
    let world = World::new(2, 2, 4, 1, 0);
    let producer = world.producer();
    let is_done = std::sync::OnceLock::new();
    std::thread::scope(|scope| {
        let checker = scope.spawn(|| {
            while is_done.get().is_none() {
                assert_eq!(world.ring.check(), Ok(()));
            }
        });
        world.send_all(&producer, 0..200_000);
        is_done.set(()).expect("once");
        checker.join().unwrap();
    });
}
