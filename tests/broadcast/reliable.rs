//! Consumers that see everything, and that producers wait for.

use ringway::broadcast::{Start, Subscribe};
use ringway::{RecvError, SendError};

use crate::{MOMENT, drain, number, queue, send, small};

#[test]
fn each_consumer_sees_each_message_in_order() {
    for producers in [1, 3] {
        let (_dir, queue) = queue(&small(producers));
        let mut producer = queue.producer().unwrap();
        let consumers: Vec<_> = (0..3).map(|_| queue.consumer().unwrap()).collect();
        for round in 0..100 {
            send(&mut producer, round * 5..round * 5 + 5);
            for consumer in &consumers {
                assert_eq!(drain(consumer), ((round * 5..round * 5 + 5).collect(), 0));
            }
        }
        let stats = queue.stats();
        assert_eq!((stats.sent, stats.received, stats.lagged), (500, 1500, 0));
        assert!(stats.consumers.iter().all(|one| one.received == 500 && one.holds_from == Some(500)));
    }
}

#[test]
fn the_slowest_consumer_holds_producers_up_and_is_named() {
    for producers in [1, 3] {
        let (_dir, queue) = queue(&small(producers));
        let (mut producer, slow, fast) =
            (queue.producer().unwrap(), queue.consumer().unwrap(), queue.consumer().unwrap());
        send(&mut producer, 0..8);
        drain(&fast);
        assert!(producer.try_send(b"8").unwrap_err().is_full());
        let error = producer.send_timeout(b"8", MOMENT).unwrap_err();
        let SendError::Timeout { holdup: Some(holdup), .. } = &error else { panic!("{error:?}") };
        assert_eq!((holdup.pid, holdup.position, holdup.kept), (std::process::id(), 0, 8));
        let said = error.to_string();
        assert!(said.contains(&format!("process {} holds it up", std::process::id())), "{said}");

        let frame = slow.recv().unwrap();
        assert!(producer.try_send(b"8").unwrap_err().is_full(), "a message that is held is kept");
        drop(frame);
        send(&mut producer, 8..9);
        assert_eq!(producer.holdup(), None);
        assert_eq!(drain(&slow), ((1..9).collect(), 0));
        drop(slow);
        send(&mut producer, 9..10);
        assert_eq!(drain(&fast), ((8..10).collect(), 0));
    }
}

#[test]
fn a_full_lane_is_held_up_like_a_full_ring() {
    for producers in [1, 2] {
        let (_dir, queue) = queue(&small(producers).max_messages(64));
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let message = [7; 1000];
        let sent = (0..).take_while(|_| producer.try_send(&message).is_ok()).count();
        assert!((2..=4).contains(&sent), "{sent} in a lane of 4096 bytes");
        assert_eq!(producer.holdup().unwrap().position, 0);
        for _ in 0..20 {
            consumer.recv().unwrap();
            producer.try_send(&message).unwrap();
        }
        drop(consumer);
        for _ in 0..20 {
            producer.try_send(&message).unwrap();
            producer.try_send(&[1; 10]).unwrap();
        }
    }
}

#[test]
fn guards_are_dropped_in_any_order_and_rejected_messages_come_again_to_the_same_consumer() {
    let (_dir, queue) = queue(&small(1));
    let (mut producer, consumer, other) =
        (queue.producer().unwrap(), queue.consumer().unwrap(), queue.consumer().unwrap());
    send(&mut producer, 0..6);
    let mut frames: Vec<_> = (0..5).map(|_| consumer.recv().unwrap()).collect();
    drop(frames.remove(3));
    drop(frames.remove(1));
    assert_eq!(queue.stats().consumers[0].holds_from, Some(0));
    frames.remove(0).reject();
    assert_eq!(queue.stats().consumers[0].holds_from, Some(0));
    drop(frames);
    let again = consumer.recv().unwrap();
    assert_eq!((number(&again), again.redeliveries()), (0, 1));
    drop(again);
    assert_eq!(queue.stats().consumers[0].holds_from, Some(5));
    assert_eq!(drain(&consumer), (vec![5], 0));
    assert_eq!(drain(&other), ((0..6).collect(), 0), "rejecting is between the queue and one consumer");
}

#[test]
fn batches_are_sent_and_received() {
    for producers in [1, 2] {
        let (_dir, queue) = queue(&small(producers).max_messages(64));
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let mut next = 0_u64;
        for round in 0..100 {
            let batch: Vec<_> = (0..round % 40 + 1).map(|more| (next + more).to_le_bytes()).collect();
            producer.send_many(&batch).unwrap();
            let frames = consumer.recv_many(100).unwrap();
            assert_eq!(frames.len(), batch.len());
            assert!(frames.iter().zip(next..).all(|(frame, expected)| number(frame) == expected));
            assert!(frames.positions().eq(next..next + batch.len() as u64));
            next += batch.len() as u64;
        }
        producer.send_many(&[1_u64, 2, 3].map(u64::to_le_bytes)).unwrap();
        consumer.recv_many(3).unwrap().reject_seen(1);
        let again: Vec<_> = (0..3).map(|_| consumer.recv().unwrap()).collect();
        assert_eq!(again.iter().map(|frame| frame.redeliveries()).collect::<Vec<_>>(), [1, 0, 0]);
    }
}

#[test]
fn a_consumer_begins_where_it_is_told_and_seeks() {
    let (_dir, queue) = queue(&small(1));
    let mut producer = queue.producer().unwrap();
    send(&mut producer, 0..100);
    let oldest = queue.oldest();
    assert!(oldest > 90 && queue.newest() == 100);
    let from = |start| queue.consumer_with(&Subscribe::reliable().from(start)).unwrap();
    assert_eq!(drain(&from(Start::Newest)), (vec![], 0));
    assert_eq!(drain(&from(Start::Oldest)), ((oldest..100).collect(), 0));
    assert_eq!(drain(&from(Start::Last(2))), (vec![98, 99], 0));
    assert_eq!(drain(&from(Start::Last(1000))), ((oldest..100).collect(), 0));
    assert_eq!(drain(&from(Start::At(98))), (vec![98, 99], 0));
    let late = from(Start::At(10));
    assert!(matches!(late.try_recv(), Err(RecvError::Lagged(missed)) if missed == oldest - 10));
    assert_eq!(drain(&late), ((oldest..100).collect(), 0));
    assert_eq!(queue.stats().lagged, oldest - 10);

    let mut consumer = from(Start::Newest);
    assert_eq!(consumer.seek(Start::At(97)).unwrap(), 97);
    assert_eq!(number(&consumer.recv().unwrap()), 97);
    assert_eq!(consumer.latest().unwrap(), 1);
    assert_eq!(drain(&consumer), (vec![99], 0));
    assert_eq!(consumer.seek(Start::At(0)).unwrap(), oldest);
    assert_eq!(drain(&consumer), ((oldest..100).collect(), oldest));
    let error = consumer.seek(Start::At(101)).unwrap_err();
    assert!(error.to_string().contains("position 101 has not been reached"), "{error}");
    assert_eq!(consumer.next_position(), 100, "it stays where it is");
}

#[test]
fn without_a_consumer_in_the_way_a_batch_is_sent_as_a_whole() {
    for producers in [1, 2] {
        let (_dir, queue) = queue(&small(producers).max_messages(16));
        let mut producer = queue.producer().unwrap();
        for len in (1..=16).cycle().take(100) {
            assert_eq!(producer.try_send_many(&vec![[7]; len]).unwrap(), len);
        }
        // With one in the way, as many as there is room for.
        let consumer = queue.consumer().unwrap();
        assert_eq!(producer.try_send_many(&[[7]; 10]).unwrap(), 10);
        assert_eq!(producer.try_send_many(&[[7]; 10]).unwrap(), 6);
        drop(consumer.recv_many(3).unwrap());
        assert_eq!(producer.try_send_many(&[[7]; 10]).unwrap(), 3);
    }
}
