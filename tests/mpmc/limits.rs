//! Positions near where numbers of some size end, and where they are refused.

use ringway::mpmc::{BytesConsumer, BytesProducer};
use ringway::{RecvError, SendError};

use crate::{queue, small};

/// Four slots: two bits of a position select one.
const SLOTS: u64 = 4;
/// `position_limit` of `src/layout/order.rs`.
const LIMIT: u64 = (1 << (46 + 2)) - 2 * SLOTS - 256;

fn send_and_receive(producer: &mut BytesProducer, consumer: &BytesConsumer, round: u64) {
    let messages: Vec<_> = (0..1 + round % SLOTS).map(|i| (round ^ i).to_le_bytes()).collect();
    if round.is_multiple_of(2) {
        assert_eq!(producer.try_send_many(&messages).unwrap(), messages.len());
    } else {
        messages.iter().for_each(|message| producer.try_send(message).unwrap());
    }
    // One of them is redelivered.
    consumer.try_recv().unwrap().reject();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    while let Ok(frames) = consumer.try_recv_many(3) {
        seen.extend(frames.iter().map(<[u8]>::to_vec));
    }
    assert_eq!(seen, messages);
}

#[test]
fn positions_go_past_31_and_32_bits_and_laps_past_them_too() {
    for start in [0, 1, 1 << 31, 1 << 32, 1 << 33, 1 << 34, LIMIT - 1000, 12_345_678_901] {
        for before in [0, 1, 2, 3, 100] {
            let (_dir, queue) = queue(&small().start_position(u64::saturating_sub(start, before)));
            let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            (0..60).for_each(|round| send_and_receive(&mut producer, &consumer, round));
            drop(producer);
            let mut producer = queue.producer().unwrap();
            (0..60).for_each(|round| send_and_receive(&mut producer, &consumer, round));
            assert_eq!(queue.stats().backlog, 0);
            assert_eq!(queue.recover().unwrap(), ringway::Recovery::default());
        }
    }
}

#[test]
fn positions_are_used_up() {
    for left in [0, 1, 3, 5] {
        let (_dir, queue) = queue(&small().start_position(LIMIT - left));
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for i in 0..left {
            producer.send(&i.to_le_bytes()).unwrap();
            if i >= 2 {
                assert_eq!(*consumer.try_recv().unwrap(), (i - 2).to_le_bytes());
            }
        }
        for result in [
            producer.try_send(b"x"),
            producer.send(b"x"),
            producer.send_many(&[b"x"]),
            producer.try_send_many(&[b"x", b"y"]).map(drop),
            queue.producer().unwrap().try_send(b"x"),
        ] {
            assert!(matches!(result, Err(SendError::PositionsExhausted)), "{result:?}");
        }
        // What is there can still be received.
        for _ in 0..left.min(2) {
            consumer.try_recv().unwrap();
        }
        assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    }
}

#[test]
fn the_last_batch_is_cut_at_the_limit() {
    let (_dir, queue) = queue(&small().start_position(LIMIT - 2));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(producer.try_send_many(&[b"a", b"b", b"c"]).unwrap(), 2);
    assert!(matches!(producer.try_send_many(&[b"c"]), Err(SendError::PositionsExhausted)));
    assert_eq!(consumer.try_recv_many(9).unwrap().iter().collect::<Vec<_>>(), [b"a", b"b"]);
}
