//! The MPMC queue in one process: what each operation does, and what it refuses.

#[path = "common/bound.rs"]
mod bound;
#[path = "common/ends.rs"]
mod ends;

mod mpmc {
    pub(crate) mod bound;
    pub(crate) mod counting;
    pub(crate) mod guards;
    pub(crate) mod letters;
    pub(crate) mod limits;
    pub(crate) mod options;
    pub(crate) mod order;
    pub(crate) mod sending;
    pub(crate) mod stats;
    pub(crate) mod tasks;
    pub(crate) mod typed;
}

use std::time::Duration;

use ends::on_panic;
use ringway::mpmc::{BytesConsumer, BytesQueue};
use ringway::{CreateOptions, RecvError};
use tempfile::TempDir;

/// Long enough for what should happen, short enough to wait for what should not.
const MOMENT: Duration = Duration::from_millis(20);

/// A queue in a directory of its own.
fn queue(options: &CreateOptions) -> (TempDir, BytesQueue) {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::create_with(dir.path().join("q"), options) }.unwrap();
    (dir, queue)
}

/// A small one, which is full soon.
fn small() -> CreateOptions {
    CreateOptions::new().max_messages(4).ring_bytes(4096).max_participants(8)
}

/// Takes and releases what is there.
fn drain(consumer: &BytesConsumer) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    loop {
        match consumer.try_recv() {
            Ok(frame) => messages.push(frame.to_vec()),
            Err(RecvError::Empty) => return messages,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn messages_come_in_order_and_once() {
    let (_dir, queue) = queue(&CreateOptions::new().max_messages(64));
    let (mut one, mut two) = (queue.producer().unwrap(), queue.producer().unwrap());
    let (first, second) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    for i in 0..1000_u32 {
        one.send(&i.to_le_bytes()).unwrap();
        two.send(b"two").unwrap();
        assert_eq!(&*first.recv().unwrap(), i.to_le_bytes());
        assert_eq!(&*second.try_recv().unwrap(), b"two");
        assert!(matches!(first.try_recv(), Err(RecvError::Empty)));
    }
    one.send_many(&[b"a", b"b", b"c"]).unwrap();
    let frames = first.try_recv_many(10).unwrap();
    assert_eq!(frames.iter().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    frames.reject();
    let again = second.recv_timeout(Duration::from_secs(1)).unwrap();
    assert_eq!(again.redeliveries(), 1);
}

#[test]
fn threads_share_the_work() {
    const MESSAGES: u64 = 20_000;
    let (_dir, queue) = queue(&CreateOptions::new().max_messages(16).ring_bytes(4096));
    let queue = &queue;
    let received: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let _end = on_panic(|| queue.close());
        for number in 0..3 {
            let mut producer = queue.producer().unwrap();
            scope.spawn(move || {
                let _end = on_panic(|| queue.close());
                for i in 0..MESSAGES {
                    producer.send(&(number * MESSAGES + i).to_le_bytes()).unwrap();
                }
            });
        }
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let consumer = queue.consumer().unwrap();
                scope.spawn(move || {
                    let _end = on_panic(|| queue.close());
                    let mut seen = Vec::new();
                    while let Ok(frame) = consumer.recv_timeout(Duration::from_millis(500)) {
                        assert_eq!(frame.redeliveries(), 0);
                        seen.push(u64::from_le_bytes((*frame).try_into().unwrap()));
                    }
                    seen
                })
            })
            .collect();
        consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect()
    });
    for seen in &received {
        for producer in 0..3 {
            let own = seen.iter().filter(|number| *number / MESSAGES == producer);
            assert!(own.is_sorted(), "one producer's messages come to one consumer in order");
        }
    }
    let mut all: Vec<_> = received.into_iter().flatten().collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..3 * MESSAGES), "each comes once");
}

#[test]
fn presence_is_known() {
    let (_dir, queue) = queue(&small());
    let consumer = queue.consumer().unwrap();
    assert!(!consumer.has_producer().unwrap());
    let producer = queue.producer().unwrap();
    assert!(producer.has_consumer().unwrap() && consumer.has_producer().unwrap());
    drop(consumer);
    assert!(!producer.has_consumer().unwrap());
}

#[test]
fn waiting_ends_in_time() {
    let (_dir, queue) = queue(&small());
    let consumer = queue.consumer().unwrap();
    assert!(matches!(consumer.recv_timeout(MOMENT), Err(RecvError::Timeout)));
    assert!(matches!(consumer.recv_many_timeout(3, MOMENT), Err(RecvError::Timeout)));
    assert!(matches!(consumer.try_recv_many(3), Err(RecvError::Empty)));
    assert!(matches!(consumer.try_recv_many(0), Err(RecvError::Empty)));
}
