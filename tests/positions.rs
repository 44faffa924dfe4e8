//! Positions: what a program that remembers how far it has come relies on.

mod common;

use common::directory;
use ringway::RecvError;
use ringway::kind::{BytesConsumer, BytesQueue, Checksummed, Kind, Mpmc, Spsc};

/// The positions of all messages that are there, in the order of their delivery, by one call or by
/// several.
fn positions<K: Kind>(consumer: &BytesConsumer<K>, together: bool) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        match (together, consumer.try_recv_many(if together { 4 } else { 1 })) {
            (_, Err(RecvError::Empty)) => return found,
            (_, frames) => found.extend(frames.unwrap().positions()),
        }
    }
}

fn messages(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|length| vec![length as u8; length * 7 % 90]).collect()
}

fn producers_tell_where_the_next_message_will_be<K: Kind>() {
    let directory = directory();
    // SAFETY: the file is this test's alone.
    let queue = unsafe { BytesQueue::<K>::create(directory.path().join("q")).unwrap() };
    let mut expected = Vec::new();
    for round in 0..30 {
        let mut producer = queue.producer().unwrap();
        for message in messages(20) {
            expected.push(producer.position());
            producer.send(&message).unwrap();
            assert!(producer.position() > expected[expected.len() - 1]);
        }
        let consumer = queue.consumer().unwrap();
        assert_eq!(consumer.attached_at(), expected[0], "each round takes all");
        assert_eq!(positions(&consumer, round % 2 == 0), expected, "round {round}");
        expected.clear();
    }
}

#[test]
fn of_producers() {
    producers_tell_where_the_next_message_will_be::<Spsc>();
    producers_tell_where_the_next_message_will_be::<Mpmc>();
    producers_tell_where_the_next_message_will_be::<Checksummed<Spsc>>();
    producers_tell_where_the_next_message_will_be::<Checksummed<Mpmc>>();
}

fn redelivered_messages_keep_their_positions<K: Kind>() {
    let directory = directory();
    // SAFETY: as above.
    let queue = unsafe { BytesQueue::<K>::create(directory.path().join("q")).unwrap() };
    let mut producer = queue.producer().unwrap();
    producer.send_many(&messages(9)).unwrap();
    let first = queue.consumer().unwrap();
    assert_eq!(first.attached_at(), 0);
    let all: Vec<u64> = {
        let frames: Vec<_> = (0..6).map(|_| first.recv().unwrap()).collect();
        let all = frames.iter().map(|frame| frame.position()).collect();
        // The first two are released.
        frames.into_iter().skip(2).for_each(std::mem::forget);
        all
    };
    let (after, delivered) = (first.recv_many(1).unwrap().positions().next().unwrap(), all[2..].to_vec());
    drop(first);
    ringway::recover(queue.path()).ok();

    let second = queue.consumer().unwrap();
    assert!(all[5] < second.attached_at() && after < second.attached_at(), "delivered before");
    let again = positions(&second, false);
    let (mut before, new): (Vec<u64>, Vec<u64>) =
        again.iter().partition(|position| **position < second.attached_at());
    before.sort_unstable();
    assert_eq!(before, delivered);
    assert_eq!(again[before.len()..], new, "new ones come last");
    assert_eq!(new.len(), 2);
    assert!(new[0] >= second.attached_at() && new.is_sorted());
}

#[test]
fn of_redelivered_messages() {
    redelivered_messages_keep_their_positions::<Spsc>();
    redelivered_messages_keep_their_positions::<Mpmc>();
    redelivered_messages_keep_their_positions::<Checksummed<Spsc>>();
    redelivered_messages_keep_their_positions::<Checksummed<Mpmc>>();
}

#[test]
fn of_typed_messages() {
    let directory = directory();
    // SAFETY: as above.
    let queue = unsafe { ringway::spsc::Queue::<u32>::create(directory.path().join("q")).unwrap() };
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send_many(&[1, 2, 3]).unwrap();
    assert_eq!(producer.position(), 3, "of a fixed size: messages");
    assert_eq!(consumer.attached_at(), 0);
    assert_eq!(consumer.recv().unwrap().position(), 0);
    assert_eq!(consumer.recv_many(9).unwrap().positions().collect::<Vec<_>>(), [1, 2]);
    assert!(queue.alignment() >= align_of::<u32>());
    drop(consumer);
    assert_eq!(queue.consumer().unwrap().attached_at(), 3);
}
