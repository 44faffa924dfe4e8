//! Participants that die at each crash point, beside others that go on.

use loom::thread;

use super::*;
use crate::layout::order::EntryRole;
use crate::order_ring::EntrySet;

/// Recovers what is in the way of `writer`, and sends as many messages as the queue has slots, twice.
fn goes_on(queue: &Queue, writer: &mut Writer) {
    queue.world.ring.recover(&queue.world.locks, None);
    for message in 100..104 {
        assert!(writer.send(&[message]).is_ok(), "message {message}");
    }
    queue.check_slots();
}

#[test]
fn a_consumer_dies_anywhere() {
    explore_deaths(2, |at| {
        let queue = Queue::new(1, 1, 2);
        let mut writer = queue.writer();
        writer.send(&[1, 2]).unwrap();
        let consumer = queue.world.attach(EntryRole::Consumer);
        let here = queue.clone();
        let reads = thread::spawn(move || {
            let died = until_crash(at, || {
                let begin = consumer.cursor().join(0);
                if let Seen::Frame(frame) = here.world.ring.see(begin) {
                    here.read_in_place(begin, frame);
                    consumer.cursor().release(begin + 1);
                }
                crate::order_ring::crash_point::crash_point();
                consumer.detach();
            })
            .is_none();
            here.world.kill(consumer.index());
            died
        });
        let _ = writer.send(&[3]);
        let died = reads.join().unwrap();
        goes_on(&queue, &mut writer);
        died
    });
}

/// A dead consumer's entry is used again as soon as it is CLEAN, while recovery goes on, or dies.
#[test]
fn the_entry_of_a_dead_consumer_is_used_again() {
    explore_deaths(2, |at| {
        let queue = Queue::new(1, 1, 2);
        let mut writer = queue.writer();
        writer.send(&[1, 2]).unwrap();
        let corpse = queue.world.attach(EntryRole::Consumer);
        corpse.cursor().join(0);
        queue.world.kill(corpse.index());
        let here = queue.clone();
        let recovers = thread::spawn(move || {
            let mut suspects = EntrySet::EMPTY;
            suspects.insert(1);
            until_crash(at, || here.world.ring.recover(&here.world.locks, Some(&suspects))).is_none()
        });
        any_order();
        let is_clean = !queue.world.ring.candidates(EntryRole::Consumer).is_empty();
        let successor = is_clean.then(|| queue.world.attach(EntryRole::Consumer));
        let begin = successor.as_ref().map_or(0, |successor| successor.cursor().join(0));
        let died = recovers.join().unwrap();
        if let Some(successor) = successor {
            let Seen::Frame(frame) = queue.world.ring.see(begin) else { panic!("it is kept") };
            while writer.send(&[3]).is_ok() {}
            queue.read_in_place(begin, frame);
            queue.world.leave(successor);
        }
        goes_on(&queue, &mut writer);
        died
    });
}

/// One dies anywhere in a batch; the other one sends meanwhile, and makes its tombstones.
#[test]
fn a_producer_dies_anywhere() {
    explore_deaths(2, |at| {
        let queue = Queue::new(2, 1, 2);
        let (mut one, mut other) = (queue.writer(), queue.writer());
        let here = queue.clone();
        let sends = thread::spawn(move || {
            let died = until_crash(at, || one.send(&[1, 2])).is_none();
            here.world.kill(one.entry.index());
            died
        });
        let _ = other.send(&[3]);
        queue.world.ring.recover(&queue.world.locks, None);
        let died = sends.join().unwrap();
        goes_on(&queue, &mut other);
        died
    });
}

/// One writer dies anywhere in a batch, beside a consumer; its successor finds all of the batch, or
/// nothing.
#[test]
fn one_writer_dies_anywhere() {
    explore_deaths(2, |at| {
        let queue = Queue::new(1, 1, 2);
        let mut writer = queue.writer();
        let consumer = queue.world.attach(EntryRole::Consumer);
        consumer.cursor().join(0);
        let here = queue.clone();
        let reads = thread::spawn(move || {
            let mut read = Vec::new();
            for position in 0..2 {
                any_order();
                let Seen::Frame(frame) = here.world.ring.see(position) else { break };
                here.read_in_place(position, frame);
                read.push(frame.len);
            }
            (consumer, read)
        });
        let died = until_crash(at, || writer.send(&[1, 2])).is_none();
        queue.world.kill(0);
        drop(writer);
        queue.world.ring.recover(&queue.world.locks, None);
        let mut successor = queue.writer();
        let tail = queue.world.ring.newest();
        assert!(tail == 0 || tail == 2, "a half of a batch: {tail}");
        let first = successor.send(&[3]);
        let (consumer, read) = reads.join().unwrap();
        match tail {
            0 => assert_eq!((first, read.iter().all(|message| *message == 3)), (Ok(0), true), "{read:?}"),
            _ => assert!([1, 2].starts_with(&read), "{read:?}"),
        }
        queue.world.leave(consumer);
        goes_on(&queue, &mut successor);
        died
    });
}
