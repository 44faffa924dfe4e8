//! Copies by consumers without a cursor, which are validated afterwards.

use loom::thread;

use super::*;

/// Copies the frames from position 0 on as long as there are any, `most` of them, and checks those that are valid.
fn copy(queue: &Queue, most: usize) {
    let ring = &queue.world.ring;
    let mut next = 0;
    for _ in 0..most {
        any_order();
        let Seen::Frame(frame) = ring.see(next) else { break };
        let copied = queue
            .frames
            .get(queue.index(frame))
            .map(|bytes| bytes.halves.each_ref().map(|half| half.load(Ordering::Relaxed)));
        any_order();
        if ring.is_intact(next) {
            assert_eq!(copied, Some([frame.len; 2]), "a torn copy of {next} is taken for whole");
            queue.check(next, frame.len);
            next += 1;
        } else {
            let oldest = ring.oldest();
            assert!(oldest > next);
            next = oldest;
        }
    }
}

#[test]
fn a_copy_races_with_one_writer() {
    explore(3, || {
        let queue = Queue::new(1, 1, 2);
        let mut writer = queue.writer();
        writer.send(&[1, 2]).unwrap();
        let here = queue.clone();
        let copies = thread::spawn(move || copy(&here, 3));
        for message in [3, 4] {
            writer.send(&[message]).expect("nothing holds it up");
        }
        copies.join().unwrap();
        queue.check_slots();
    });
}

/// One of them raises, and the other one writes where the consumer copies.
#[test]
fn a_copy_races_with_two_writers() {
    explore(3, || {
        let queue = Queue::new(2, 1, 1);
        let (mut one, mut other) = (queue.writer(), queue.writer());
        one.send(&[1]).unwrap();
        other.send(&[2]).unwrap();
        let here = queue.clone();
        let copies = thread::spawn(move || copy(&here, 1));
        let raises = thread::spawn(move || {
            any_order();
            let _ = other.entry.producer(&other.state).raise(1);
        });
        any_order();
        if one.entry.producer(&one.state).count_over(0, 1) == 1 {
            one.send(&[3]).unwrap();
        }
        copies.join().unwrap();
        raises.join().unwrap();
        queue.check_slots();
    });
}
