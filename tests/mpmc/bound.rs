//! The maximum of messages is exact, also if it is no power of two, and if it is 1.

use ringway::mpmc::{BytesFrame, BytesQueue};
use ringway::{CreateOptions, RecvError, SendError, WaitStrategy, inspect::Inspector};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::{queue, small};

/// Far above what anything here takes.
const HANGS: std::time::Duration = std::time::Duration::from_secs(60);
const BOUNDS: [usize; 10] = [1, 2, 3, 4, 5, 6, 7, 9, 100, 1000];

fn bounded(most: usize) -> (tempfile::TempDir, BytesQueue) {
    queue(&small().ring_bytes(1 << 16).max_messages(most))
}

/// Fills the queue, by single messages or by batches; returns how many it took.
fn fill(queue: &BytesQueue, batches: bool) -> usize {
    let mut producer = queue.producer().unwrap();
    let mut sent = 0;
    loop {
        let result = match batches {
            true => producer.try_send_many(&[b"message"; 7]),
            false => producer.try_send(b"message").map(|()| 1),
        };
        match result {
            Ok(count) => sent += count,
            Err(SendError::Full) => return sent,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_queue_takes_exactly_as_many() {
    for most in BOUNDS {
        let (_dir, queue) = bounded(most);
        assert_eq!(queue.warnings(), [], "{most} is not rounded");
        assert_eq!(queue.room(), most as u64);
        let consumer = queue.consumer().unwrap();
        for round in 0..30 {
            assert_eq!(fill(&queue, round % 2 == 0), most, "round {round} of {most}");
            assert_eq!((queue.len(), queue.room()), (most as u64, 0));
            let held: Vec<BytesFrame<'_>> =
                (0..most.min(1 + round)).map(|_| consumer.try_recv().unwrap()).collect();
            assert_eq!(fill(&queue, false), 0, "what is held counts");
            let released = held.len();
            drop(held);
            assert_eq!(queue.room(), released as u64);
            assert_eq!(fill(&queue, round % 3 == 0), released);
            while consumer.try_recv().is_ok() {}
        }
        let header = Inspector::open(queue.path()).unwrap();
        assert_eq!(header.header().order.as_ref().unwrap().max_messages, most as u64);
        assert_eq!(header.snapshot().unwrap().backlog.capacity, most as u64);
        assert!(header.snapshot().unwrap().corruption.is_empty());
    }
}

/// Room is made in order: that of the oldest message that is held comes first.
#[test]
fn a_held_message_keeps_later_room() {
    let (_dir, queue) = bounded(3);
    let consumer = queue.consumer().unwrap();
    fill(&queue, false);
    let (oldest, second) = (consumer.recv().unwrap(), consumer.recv().unwrap());
    drop(second);
    assert_eq!(fill(&queue, false), 0);
    drop(oldest);
    assert_eq!(fill(&queue, false), 2);
}

/// Rejected messages, and those that a consumer left, are in the queue.
#[test]
fn messages_to_be_redelivered_count() {
    let (_dir, queue) = bounded(3);
    fill(&queue, false);
    let consumer = queue.consumer().unwrap();
    consumer.recv().unwrap().reject();
    std::mem::forget(consumer.recv().unwrap());
    drop(consumer);
    assert_eq!(fill(&queue, false), 0);
    let consumer = queue.consumer().unwrap();
    for _ in 0..3 {
        consumer.try_recv().unwrap();
    }
    assert_eq!(fill(&queue, true), 3);
}

#[test]
fn another_handle_keeps_the_bound() {
    let (_dir, queue) = bounded(5);
    // SAFETY: the file is this test's alone.
    let other =
        unsafe { BytesQueue::open_or_create_with(queue.path(), &CreateOptions::new().max_messages(6)) };
    let other = other.unwrap();
    assert!(format!("{:?}", other.warnings()).contains("found: 5"), "{:?}", other.warnings());
    assert_eq!(fill(&other, false), 5);
}

/// Many producers that wait, and consumers that hold: never more messages than the bound, each
/// producer is woken, none is lost.
#[test]
fn many_at_once_never_exceed_it() {
    const EACH: u64 = 3000;
    for most in [1, 3, 6] {
        let (_dir, queue) = queue(&small().ring_bytes(1 << 16).max_messages(most).max_participants(9));
        // Calls that have returned, and releases that have begun.
        let (sent, released) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for index in 0..3 {
                let mut producer = queue.producer().unwrap();
                let (queue, sent, released) = (&queue, &sent, &released);
                scope.spawn(move || {
                    producer.set_wait_strategy([WaitStrategy::Park, WaitStrategy::SpinThenPark][index % 2]);
                    for number in 0..EACH {
                        producer.send_timeout(&number.to_ne_bytes(), HANGS).unwrap();
                        let sent = sent.fetch_add(1, SeqCst) + 1;
                        let released = released.load(SeqCst);
                        assert!(sent <= most as u64 + released, "{sent} sent, {released} released of {most}");
                    }
                    if sent.load(SeqCst) == 3 * EACH {
                        queue.close();
                    }
                });
            }
            for _ in 0..2 {
                let (consumer, released) = (queue.consumer().unwrap(), &released);
                scope.spawn(move || {
                    loop {
                        match consumer.recv_timeout(HANGS) {
                            Ok(frame) => {
                                released.fetch_add(1, SeqCst);
                                drop(frame);
                            }
                            Err(RecvError::Closed) => return,
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        assert_eq!(released.load(SeqCst), 3 * EACH);
    }
}

/// Near where laps and positions have many bits, and near the limit of positions.
#[test]
fn positions_of_any_size() {
    for start in [1, 7, (1 << 31) - 3, (1 << 32) - 2, (1 << 40) + 5] {
        for most in [1, 3, 5] {
            let (_dir, queue) = queue(&small().max_messages(most).start_position(start));
            let consumer = queue.consumer().unwrap();
            for _ in 0..20 {
                assert_eq!(fill(&queue, false), most);
                while consumer.try_recv().is_ok() {}
            }
        }
    }
}
