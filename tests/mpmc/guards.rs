//! What holds messages: guards, in any number and order, on any thread.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ringway::{CreateOptions, Delivery, RecvError, SendError};

use crate::{drain, queue, small};

#[test]
fn guards_are_dropped_in_any_order() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        let (_dir, queue) = queue(&small());
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for lap in 0..20_u8 {
            for i in 0..4_u8 {
                producer.try_send(&[lap, i]).unwrap();
            }
            let mut frames: Vec<_> = (0..4).map(|_| consumer.try_recv().ok()).collect();
            for index in order {
                assert_eq!(frames[index].as_deref(), Some([lap, index as u8].as_slice()));
                frames[index] = None;
            }
        }
    }
}

#[test]
fn a_slot_is_free_when_its_own_guard_is_dropped() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..4_u8).for_each(|i| producer.try_send(&[i]).unwrap());
    let oldest = consumer.try_recv().unwrap();
    assert_eq!(drain(&consumer), [[1], [2], [3]]);
    assert!(matches!(producer.try_send(&[4]), Err(SendError::Full)), "its lap is not over");
    drop(oldest);
    (4..8_u8).for_each(|i| producer.try_send(&[i]).unwrap());
    assert_eq!(drain(&consumer).len(), 4);
}

#[test]
fn guards_go_to_other_threads() {
    let (_dir, queue) = queue(&CreateOptions::new().max_messages(64).ring_bytes(1 << 16));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for round in 0..50_u64 {
        (0..60_u64).for_each(|i| producer.send(&[(round + i) as u8; 100]).unwrap());
        let frames: Vec<_> = (0..60).map(|_| consumer.try_recv().unwrap()).collect();
        std::thread::scope(|scope| {
            for (i, frame) in (0..60_u64).zip(frames) {
                scope.spawn(move || {
                    assert!(frame.iter().all(|byte| *byte == (round + i) as u8));
                    // Some of them are rejected, on that thread.
                    if i % 7 == 0 { frame.reject() } else { drop(frame) }
                });
            }
        });
        let again: Vec<_> = (0..60).map_while(|_| consumer.try_recv().ok()).collect();
        assert_eq!(again.len(), 9);
        assert!(again.iter().all(|frame| frame.redeliveries() == 1));
    }
    assert_eq!(queue.stats().rejected, 450);
    assert_eq!(queue.stats().redelivered, 450);
}

#[test]
fn rejected_messages_come_again_to_anyone() {
    let (_dir, queue) = queue(&small());
    let mut producer = queue.producer().unwrap();
    let (one, two) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    producer.send(b"again").unwrap();
    producer.send(b"new").unwrap();
    for count in 0..40 {
        let frame = if count % 2 == 0 { one.try_recv().unwrap() } else { two.try_recv().unwrap() };
        assert_eq!(&*frame, b"again", "before any new one");
        assert_eq!(frame.redeliveries(), count.min(15), "the count stops at 15");
        frame.reject();
    }
    assert_eq!(&*two.try_recv().unwrap(), b"again");
    assert_eq!(&*one.try_recv().unwrap(), b"new");
    assert!(matches!(one.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn a_panic_puts_back_what_is_held() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..3_u8).for_each(|i| producer.send(&[i]).unwrap());
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _one = consumer.try_recv().unwrap();
        let _run = consumer.try_recv_many(2).unwrap();
        // Not `panic!`: its message would not be of interest.
        resume_unwind(Box::new(()));
    }));
    assert!(unwound.is_err());
    let mut again: Vec<_> = (0..3).map(|_| consumer.try_recv().unwrap()).collect();
    again.sort_by_key(|frame| frame[0]);
    for (i, frame) in (0..3_u8).zip(&again) {
        assert_eq!((&**frame, frame.redeliveries()), ([i].as_slice(), 1));
    }
}

/// A destructor that drains the queue gets no message that it has just rejected.
#[test]
fn a_panic_does_not_take_what_it_put_back() {
    struct Drains<'c>(&'c ringway::mpmc::BytesConsumer);
    impl Drop for Drains<'_> {
        fn drop(&mut self) {
            while self.0.try_recv().is_ok() {}
        }
    }
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(b"held").unwrap();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _drains = Drains(&consumer);
        let _held = consumer.try_recv().unwrap();
        resume_unwind(Box::new(()));
    }));
    assert!(unwound.is_err());
    assert_eq!(&*consumer.try_recv().unwrap(), b"held");
}

#[test]
fn forgotten_guards_give_back_when_the_consumer_detaches() {
    let (_dir, queue) = queue(&small());
    let mut producer = queue.producer().unwrap();
    let consumer = queue.consumer().unwrap();
    producer.send(b"kept").unwrap();
    std::mem::forget(consumer.try_recv().unwrap());
    let other = queue.consumer().unwrap();
    assert!(matches!(other.try_recv(), Err(RecvError::Empty)));
    drop(consumer);
    let again = other.try_recv().unwrap();
    assert_eq!((&*again, again.redeliveries()), (b"kept".as_slice(), 1));
}

#[test]
fn at_most_once_rejected_messages_are_dropped() {
    let (_dir, queue) = queue(&small().delivery(Delivery::AtMostOnce));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    (0..4_u8).for_each(|i| producer.try_send(&[i]).unwrap());
    consumer.try_recv().unwrap().reject();
    consumer.try_recv_many(2).unwrap().reject();
    std::mem::forget(consumer.try_recv().unwrap());
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    assert_eq!(queue.stats().rejected, 3);
    (0..3_u8).for_each(|i| producer.try_send(&[i]).unwrap());
    assert!(matches!(producer.try_send(&[3]), Err(SendError::Full)), "one is still held");
    assert_eq!(drain(&consumer).len(), 3);
    drop(consumer);
    // What was forgotten is dropped as well.
    let consumer = queue.consumer().unwrap();
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    (0..4_u8).for_each(|i| producer.try_send(&[i]).unwrap());
    assert_eq!(drain(&consumer).len(), 4);
}
