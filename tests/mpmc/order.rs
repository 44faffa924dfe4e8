//! The order in which messages are redelivered: that of their positions.

use ringway::CreateOptions;
use ringway::mpmc::BytesConsumer;

use crate::{queue, small};

fn numbers(consumer: &BytesConsumer, count: usize) -> Vec<u8> {
    let frames: Vec<_> = (0..count).map(|_| consumer.try_recv().unwrap()).collect();
    frames.iter().map(|frame| frame[0]).collect()
}

#[test]
fn what_comes_again_comes_oldest_first() {
    for first in 0..9_u8 {
        let (_dir, queue) = queue(&CreateOptions::new().max_messages(8).ring_bytes(4096));
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        // Wherever in the order ring they are.
        for _ in 0..first {
            producer.try_send(b"before").unwrap();
            drop(consumer.try_recv().unwrap());
        }
        (0..8_u8).for_each(|number| producer.try_send(&[number]).unwrap());
        let mut frames: Vec<_> = (0..8).map(|_| consumer.try_recv().ok()).collect();
        for at in [3, 0, 7, 1, 6, 2, 5, 4] {
            frames[at].take().unwrap().reject();
        }
        drop(frames);
        let again: Vec<_> = (0..8).map(|_| consumer.try_recv().unwrap()).collect();
        let found: Vec<_> = again.iter().map(|frame| frame[0]).collect();
        assert_eq!(found, [0, 1, 2, 3, 4, 5, 6, 7], "after {first} others");
        // Held until the consumer detaches.
        again.into_iter().for_each(std::mem::forget);
        drop(consumer);
        let other = queue.consumer().unwrap();
        assert_eq!(numbers(&other, 8), [0, 1, 2, 3, 4, 5, 6, 7], "to the next, after {first} others");
    }
}

#[test]
fn a_message_that_is_put_back_at_the_front_comes_before_others_that_come_again() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..3_u8).for_each(|number| producer.try_send(&[number]).unwrap());
    let first = consumer.try_recv().unwrap();
    let (second, third) = (consumer.try_recv().unwrap(), consumer.try_recv().unwrap());
    third.reject();
    second.reject();
    let again = consumer.try_recv().unwrap();
    assert_eq!(again[0], 1);
    // The scan has passed its slot.
    first.reject();
    assert_eq!(consumer.try_recv().unwrap()[0], 0);
    again.reject();
    assert_eq!(numbers(&consumer, 2), [1, 2]);
}
