//! Frames that are read where they lie, under a cursor.

use loom::thread;

use super::*;
use crate::layout::order::EntryRole;

/// Joins at `position`, reads up to two frames, and releases each.
fn read(queue: &Queue, consumer: &TestEntry, position: u64) {
    any_order();
    let begin = consumer.cursor().join(position);
    for position in begin..begin + 2 {
        let Seen::Frame(frame) = queue.world.ring.see(position) else { break };
        queue.read_in_place(position, frame);
        any_order();
        consumer.cursor().release(position + 1);
    }
}

/// One that joins where the writer is about to write.
#[test]
fn a_join_races_with_a_raise() {
    for producers in [1, 2] {
        explore(3, move || {
            let queue = Queue::new(producers, 1, 2);
            let mut writer = queue.writer();
            for message in [1, 2] {
                writer.send(&[message]).unwrap();
            }
            let consumer = queue.world.attach(EntryRole::Consumer);
            let here = queue.clone();
            let reads = thread::spawn(move || read(&here, &consumer, 0));
            for message in [3, 4] {
                let _ = writer.send(&[message]);
            }
            reads.join().unwrap();
            queue.check_slots();
        });
    }
}

/// One that has joined and releases, while one producer raises and the other one writes where the
/// consumer has read.
#[test]
fn what_another_producer_has_raised_may_be_written() {
    explore(3, || {
        let queue = Queue::new(2, 1, 1);
        let (mut one, mut other) = (queue.writer(), queue.writer());
        one.send(&[1]).unwrap();
        other.send(&[2]).unwrap();
        let consumer = queue.world.attach(EntryRole::Consumer);
        assert_eq!(consumer.cursor().join(0), 0);
        let here = queue.clone();
        let reads = thread::spawn(move || {
            let Seen::Frame(frame) = here.world.ring.see(0) else { panic!("a message") };
            here.read_in_place(0, frame);
            consumer.cursor().release(1);
        });
        let raises = thread::spawn(move || {
            any_order();
            let _ = other.entry.producer(&other.state).raise(1);
        });
        any_order();
        if one.entry.producer(&one.state).count_over(0, 1) == 1 {
            one.send(&[3]).unwrap();
        }
        reads.join().unwrap();
        raises.join().unwrap();
        queue.check_slots();
    });
}

/// A lossy consumer has its cursor only between the two scans of one producer, and the other producer
/// writes where it has read.
#[test]
fn a_pin_between_two_scans_is_seen_by_the_second() {
    explore(3, || {
        let queue = Queue::new(2, 1, 1);
        let (mut one, mut other) = (queue.writer(), queue.writer());
        one.send(&[1]).unwrap();
        other.send(&[2]).unwrap();
        let consumer = queue.world.attach(EntryRole::Consumer);
        let here = queue.clone();
        let reads = thread::spawn(move || {
            let Seen::Frame(frame) = here.world.ring.see(0) else { return };
            if consumer.cursor().join(0) == 0 {
                here.read_in_place(0, frame);
            }
            consumer.cursor().remove();
        });
        let raises = thread::spawn(move || {
            any_order();
            let _ = other.entry.producer(&other.state).raise(1);
        });
        any_order();
        if one.entry.producer(&one.state).count_over(0, 1) == 1 {
            one.send(&[3]).unwrap();
        }
        reads.join().unwrap();
        raises.join().unwrap();
        queue.check_slots();
    });
}

/// A lossy consumer that reads in place: a cursor for as long as it reads, and again.
#[test]
fn pins_come_and_go() {
    explore(3, || {
        let queue = Queue::new(1, 1, 2);
        let mut writer = queue.writer();
        writer.send(&[1, 2]).unwrap();
        let consumer = queue.world.attach(EntryRole::Consumer);
        let here = queue.clone();
        let reads = thread::spawn(move || {
            let mut next = 0;
            for _ in 0..2 {
                any_order();
                let Seen::Frame(frame) = here.world.ring.see(next) else { break };
                let begin = consumer.cursor().join(next);
                if begin == next {
                    // The slot was read before, and has not changed since.
                    here.read_in_place(next, frame);
                }
                consumer.cursor().remove();
                next = begin.max(next + 1);
            }
        });
        for message in [3, 4] {
            let _ = writer.send(&[message]);
        }
        reads.join().unwrap();
        assert!(writer.send(&[5]).is_ok(), "nothing is held up");
    });
}
