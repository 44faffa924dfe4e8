//! Consumers that producers do not wait for.

use ringway::RecvError;
use ringway::broadcast::{Start, Subscribe};

use crate::{drain, number, queue, send, small};

#[test]
fn what_is_missed_is_counted_exactly() {
    for subscribe in [Subscribe::lossy(), Subscribe::lossy().in_place(true)] {
        for producers in [1, 3] {
            let (_dir, queue) = queue(&small(producers));
            let mut producer = queue.producer().unwrap();
            send(&mut producer, 0..3);
            let consumer = queue.consumer_with(&subscribe).unwrap();
            let (mut received, mut missed, mut next) = (0, 0, 3);
            for more in [1, 8, 9, 5, 100, 0, 17, 1000, 7] {
                send(&mut producer, next..next + more);
                next += more;
                let (numbers, lost) = drain(&consumer);
                received += numbers.len() as u64;
                missed += lost;
                assert_eq!(received + missed, next - 3);
                assert_eq!(consumer.next_position(), next);
                assert!(more < 8 || !numbers.is_empty(), "what is retained is delivered");
            }
            let stats = queue.stats();
            assert_eq!((stats.consumers[0].received, stats.consumers[0].lagged), (received, missed));
        }
    }
}

#[test]
fn a_copy_that_is_held_does_not_change_and_holds_nothing_up() {
    let (_dir, queue) = queue(&small(1));
    let mut producer = queue.producer().unwrap();
    let consumer = queue.consumer_with(&Subscribe::lossy()).unwrap();
    send(&mut producer, 0..2);
    let (one, two) = (consumer.recv().unwrap(), consumer.recv().unwrap());
    send(&mut producer, 2..100);
    assert_eq!((number(&one), number(&two)), (0, 1));
    two.reject();
    drop(one);
    let again = consumer.recv().unwrap();
    assert_eq!((number(&again), again.redeliveries()), (1, 1));
    drop(again);
    assert!(matches!(consumer.recv(), Err(RecvError::Lagged(_))));
    assert_eq!(drain(&consumer).0.last(), Some(&99));
}

#[test]
fn in_place_a_message_that_is_held_is_kept_and_nothing_else() {
    for producers in [1, 3] {
        let (_dir, queue) = queue(&small(producers));
        let mut producer = queue.producer().unwrap();
        let consumer = queue.consumer_with(&Subscribe::lossy().in_place(true)).unwrap();
        send(&mut producer, 0..100);
        assert_eq!(queue.stats().consumers[0].holds_from, None);
        assert!(matches!(consumer.try_recv(), Err(RecvError::Lagged(_))));
        let held = consumer.try_recv().unwrap();
        let first = held.position();
        let next = consumer.try_recv().unwrap();
        assert_eq!(queue.stats().consumers[0].holds_from, Some(first));
        let sent =
            (100..).take_while(|number: &u64| producer.try_send(&number.to_le_bytes()).is_ok()).count();
        assert!(sent < 8, "{sent} more than there is room for");
        assert_eq!(producer.holdup().unwrap().position, first);
        assert_eq!((number(&held), number(&next)), (first, first + 1));
        drop(held);
        assert_eq!(queue.stats().consumers[0].holds_from, Some(first + 1));
        drop(next);
        assert_eq!(queue.stats().consumers[0].holds_from, None);
        let from = 100 + sent as u64;
        send(&mut producer, from..from + 100);
    }
}

#[test]
fn after_a_lag_it_continues_where_it_was_told() {
    let (_dir, queue) = queue(&small(1));
    let mut producer = queue.producer().unwrap();
    for (on_lag, expected) in [(Start::Newest, 0), (Start::Last(2), 2), (Start::Last(1), 1)] {
        let subscribe = Subscribe::lossy().from(Start::Oldest).on_lag(on_lag);
        let consumer = queue.consumer_with(&subscribe).unwrap();
        let newest = queue.newest();
        send(&mut producer, newest..newest + 50);
        assert!(matches!(consumer.try_recv(), Err(RecvError::Lagged(_))));
        assert_eq!(drain(&consumer), ((newest + 50 - expected..newest + 50).collect(), 0));
    }
}

#[test]
fn two_messages_are_a_cell_with_the_latest_value() {
    let (_dir, queue) = queue(&small(1).max_messages(2).gating(false));
    let mut producer = queue.producer().unwrap();
    let latest = Subscribe::lossy().from(Start::Last(1)).on_lag(Start::Last(1));
    let consumer = queue.consumer_with(&latest).unwrap();
    for next in 0..50 {
        send(&mut producer, next..next + 1);
        assert_eq!(drain(&queue.consumer_with(&latest).unwrap()), (vec![next], 0));
        if next % 7 == 0 {
            assert_eq!(drain(&consumer).0, [next]);
        }
    }
}

#[test]
fn batches_end_where_something_was_missed() {
    let (_dir, queue) = queue(&small(1));
    let mut producer = queue.producer().unwrap();
    let consumer = queue.consumer_with(&Subscribe::lossy()).unwrap();
    send(&mut producer, 0..8);
    let frames = consumer.recv_many(3).unwrap();
    send(&mut producer, 8..40);
    assert!(frames.iter().map(number).eq(0..3), "copies");
    drop(frames);
    assert!(matches!(consumer.recv_many(10), Err(RecvError::Lagged(missed)) if missed == queue.oldest() - 3));
    let frames = consumer.recv_many(10).unwrap();
    assert!(frames.iter().map(number).eq(queue.oldest()..40));
}

/// The first message of the batch is one that was rejected before: what was missed since then is found
/// by the attempt for the second.
#[test]
fn a_shared_consumer_reports_what_it_missed_within_a_batch() {
    for waits in [false, true] {
        let (_dir, queue) = queue(&small(1));
        let mut producer = queue.producer().unwrap();
        let consumer = queue.consumer_with(&Subscribe::lossy()).unwrap().into_shared();
        let batch = || if waits { consumer.recv_many(10) } else { consumer.try_recv_many(10) };
        send(&mut producer, 0..1);
        consumer.recv().unwrap().reject();
        send(&mut producer, 1..40);
        assert!(batch().unwrap().iter().map(|frame| number(frame)).eq(0..1));
        assert!(matches!(batch(), Err(RecvError::Lagged(missed)) if missed == queue.oldest() - 1));
        assert!(batch().unwrap().iter().map(|frame| number(frame)).eq(queue.oldest()..40));
    }
}

#[test]
fn what_was_missed_is_told_once_whatever_moves_the_consumer() {
    for subscribe in [Subscribe::reliable(), Subscribe::lossy(), Subscribe::lossy().in_place(true)] {
        let (_dir, queue) = queue(&small(1));
        send(&mut queue.producer().unwrap(), 0..40);
        let (oldest, from_start) = (queue.oldest(), subscribe.from(Start::At(0)));
        let attach = || queue.consumer_with(&from_start).unwrap();

        let mut sought = attach();
        sought.seek(Start::Newest).unwrap();
        assert!(matches!(sought.try_recv(), Err(RecvError::Lagged(missed)) if missed == oldest));
        assert_eq!(drain(&sought), (vec![], 0));

        let mut sought_again = attach();
        sought_again.seek(Start::At(oldest - 1)).unwrap();
        assert!(matches!(sought_again.try_recv(), Err(RecvError::Lagged(missed)) if missed == oldest + 1));

        let mut latest = attach();
        assert_eq!(latest.latest().unwrap(), 39, "what is skipped, and what was missed before");
        assert_eq!(drain(&latest), (vec![39], 0));

        let mut near = attach();
        near.seek(Start::Last(1)).unwrap();
        assert_eq!(near.latest().unwrap(), oldest, "nothing is skipped");
        assert_eq!(drain(&near), (vec![39], 0));
    }
}
