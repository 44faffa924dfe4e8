//! Closing, waiting, and what works for every kind alike.

use std::time::Duration;

use ringway::broadcast::{BytesQueue, Subscribe};
use ringway::{CreateOptions, Interest, RecvError, SendError, WaitSet, WaitStrategy};

use crate::{drain, number, queue, send, small};

#[test]
fn a_closed_queue_is_read_to_its_end_by_each() {
    for producers in [1, 3] {
        let (_dir, queue) = queue(&small(producers));
        let mut producer = queue.producer().unwrap();
        let consumers = [
            queue.consumer().unwrap(),
            queue.consumer_with(&Subscribe::lossy()).unwrap(),
            queue.consumer_with(&Subscribe::lossy().in_place(true)).unwrap(),
        ];
        send(&mut producer, 0..5);
        queue.close();
        assert!(matches!(producer.try_send(b"late"), Err(SendError::Closed)));
        for consumer in consumers {
            let numbers: Vec<_> = consumer.iter().map(|frame| number(&frame.unwrap())).collect();
            assert_eq!(numbers, [0, 1, 2, 3, 4]);
            assert!(matches!(consumer.try_recv(), Err(RecvError::Closed)));
        }
    }
}

#[test]
fn each_commit_wakes_every_sleeper() {
    const SLEEPERS: usize = 5;
    let (_dir, queue) = queue(&small(1));
    let mut producer = queue.producer().unwrap();
    std::thread::scope(|scope| {
        let sleepers: Vec<_> = (0..SLEEPERS)
            .map(|which| {
                let subscribe = if which % 2 == 0 { Subscribe::reliable() } else { Subscribe::lossy() };
                let consumer = queue.consumer_with(&subscribe).unwrap();
                consumer.set_wait_strategy(WaitStrategy::Park);
                scope.spawn(move || {
                    (0..20)
                        .map(|_| number(&consumer.recv_timeout(Duration::from_secs(20)).unwrap()))
                        .collect()
                })
            })
            .collect();
        for next in 0..20 {
            // So that they sleep again: with none asleep this test shows less, and still succeeds.
            std::thread::sleep(Duration::from_millis(2));
            send(&mut producer, next..next + 1);
        }
        for sleeper in sleepers {
            let numbers: Vec<u64> = sleeper.join().unwrap();
            assert!(numbers.into_iter().eq(0..20));
        }
    });
}

#[test]
fn a_producer_that_sleeps_is_woken_by_the_consumer_that_holds_it_up() {
    let (_dir, queue) = queue(&small(1));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..500_u64 {
                producer.send_timeout(&number.to_le_bytes(), Duration::from_secs(20)).unwrap();
            }
        });
        for expected in 0..500 {
            assert_eq!(number(&consumer.recv_timeout(Duration::from_secs(20)).unwrap()), expected);
        }
    });
}

#[test]
fn a_wait_set_waits_for_broadcast_queues_too() {
    let (_dir, queue) = queue(&small(1));
    let (mut producer, slow) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let consumer = queue.consumer_with(&Subscribe::lossy()).unwrap();
    let mut set = WaitSet::new();
    assert!(set.wait_timeout(&mut [Interest::messages(&consumer)], Duration::from_millis(5)).is_err());
    send(&mut producer, 0..8);
    assert_eq!(set.wait(&mut [Interest::messages(&consumer)]).unwrap(), [0]);
    drain(&slow);
    send(&mut producer, 8..30 - 14);
    drain(&slow);
    send(&mut producer, 16..24);
    // What was missed is something to be told, too.
    assert_eq!(set.wait(&mut [Interest::messages(&consumer)]).unwrap(), [0]);
    assert!(matches!(consumer.try_recv(), Err(RecvError::Lagged(_))));
}

#[test]
fn memfd_queues_and_shared_consumers_work() {
    let options = CreateOptions::new().max_producers(2).max_messages(16);
    // SAFETY: no other process has it.
    let queue = unsafe { BytesQueue::create_memfd_with(&options) }.unwrap();
    let mut producer = queue.producer().unwrap();
    let shared = queue.consumer().unwrap().into_shared();
    send(&mut producer, 0..4);
    let kept: Vec<_> = (0..3).map(|_| shared.recv().unwrap()).collect();
    assert_eq!(queue.stats().consumers[0].holds_from, Some(0));
    drop(shared);
    assert!(kept.iter().map(|frame| number(frame)).eq(0..3));
    drop(kept);
    assert!(queue.stats().consumers.is_empty());
}

#[test]
fn a_closed_queue_is_replaced_whomever_it_admits() {
    for gating in [true, false] {
        let dir = crate::common::directory();
        let path = dir.path().join("q");
        let options = small(1).gating(gating).replace_closed(true);
        // SAFETY: only this test knows the file.
        let start = || unsafe { BytesQueue::open_or_create_with(&path, &options) }.unwrap();
        let queue = start();
        let screen = queue.consumer_with(&Subscribe::lossy()).unwrap();
        send(&mut queue.producer().unwrap(), 0..20);
        queue.close();
        assert!(start().is_closed(), "while there is a participant");
        drop(screen);
        let anew = start();
        assert!(!anew.is_closed() && queue.is_orphaned().unwrap());
        send(&mut anew.producer().unwrap(), 0..1);
    }
}
