//! What is done: `task_done`, `unfinished`, `join`.

use std::time::{Duration, Instant};

use ringway::mpmc::Queue;
use ringway::{CreateOptions, Delivery, TaskError};

use crate::ends::on_panic;
use crate::{MOMENT, queue, small};

/// Long enough for all that these tests wait for.
const LONG: Duration = Duration::from_secs(30);

#[test]
fn each_message_counts_until_it_is_done() {
    let (_dir, queue) = queue(&small());
    assert_eq!(queue.unfinished().unwrap(), 0);
    queue.join().unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert!(consumer.task_done().unwrap_err().is_too_many());
    for lap in 0..10 {
        producer.send_many(&[b"one", b"two", b"six"]).unwrap();
        assert_eq!(queue.unfinished().unwrap(), 3, "in lap {lap}");
        for left in (0..3).rev() {
            let frame = consumer.recv().unwrap();
            consumer.task_done().unwrap();
            drop(frame);
            assert_eq!(queue.unfinished().unwrap(), left);
        }
        let error = consumer.task_done().unwrap_err();
        assert!(error.is_too_many() && error.to_string().contains("done already"), "{error}");
        queue.join_timeout(Duration::ZERO).unwrap();
    }
    assert_eq!(queue.stats().done, 30);
}

/// A reserved frame that is not committed, a rejected message and a message that is taken and not done.
#[test]
fn what_is_delivered_again_counts_once() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let _reserved = producer.reserve(8).unwrap();
    assert_eq!(queue.unfinished().unwrap(), 0);
    producer.send(b"job").unwrap();
    consumer.recv().unwrap().reject();
    assert_eq!(queue.unfinished().unwrap(), 1);
    drop(consumer.recv().unwrap());
    assert_eq!(queue.unfinished().unwrap(), 1, "released, and not done");
    consumer.into_shared().task_done().unwrap();
    assert_eq!(queue.unfinished().unwrap(), 0);
}

#[test]
fn join_wakes_when_the_last_is_done() {
    let (_dir, queue) = queue(&small());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send_many(&[b"one", b"two"]).unwrap();
    let error = queue.join_timeout(MOMENT).unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("2 messages"), "{error}");
    let joined = std::thread::scope(|scope| {
        let joins = scope.spawn(|| queue.join_timeout(LONG).map(|()| Instant::now()));
        let _end = on_panic(|| while consumer.task_done().is_ok() {});
        consumer.task_done().unwrap();
        std::thread::sleep(MOMENT);
        assert!(!joins.is_finished(), "one is left");
        let last = Instant::now();
        consumer.task_done().unwrap();
        joins.join().unwrap().unwrap().duration_since(last)
    });
    assert!(joined < LONG / 10, "it took {joined:?}");
}

#[test]
fn many_threads_are_counted_exactly() {
    const EACH: u64 = 2000;
    let (_dir, queue) = queue(&CreateOptions::new().max_messages(16).ring_bytes(4096));
    let queue = &queue;
    std::thread::scope(|scope| {
        let _end = on_panic(|| queue.close());
        for _ in 0..2 {
            let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            scope.spawn(move || {
                let _end = on_panic(|| queue.close());
                (0..EACH).for_each(|_| producer.send_timeout(b"job", LONG).unwrap());
            });
            scope.spawn(move || {
                let _end = on_panic(|| queue.close());
                for _ in 0..EACH {
                    let job = consumer.recv_timeout(LONG).unwrap();
                    consumer.task_done().unwrap();
                    drop(job);
                }
            });
        }
    });
    queue.join_timeout(Duration::ZERO).unwrap();
    assert_eq!(queue.stats().done, 2 * EACH);
    assert!(queue.consumer().unwrap().task_done().unwrap_err().is_too_many());
}

#[test]
fn typed_queues_count_too() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::<u32>::create(dir.path().join("q")) }.unwrap();
    queue.producer().unwrap().send(&7).unwrap();
    let consumer = queue.consumer().unwrap();
    assert!(queue.join_timeout(MOMENT).unwrap_err().is_timeout());
    consumer.task_done().unwrap();
    assert_eq!(queue.unfinished().unwrap(), 0);
    queue.join().unwrap();
}

/// Where messages may end without being done, waiting for that would be for ever.
#[test]
fn queues_that_drop_messages_do_not_count() {
    let at_most_once = small().delivery(Delivery::AtMostOnce);
    let with_letters = small().max_redeliveries(1);
    for options in [at_most_once, with_letters] {
        let (_dir, queue) = queue(&options);
        let consumer = queue.consumer().unwrap();
        for error in [
            queue.join().unwrap_err(),
            queue.join_timeout(MOMENT).unwrap_err(),
            queue.unfinished().unwrap_err(),
            consumer.task_done().unwrap_err(),
        ] {
            assert!(matches!(error, TaskError::NotCounted { .. }), "{error:?}");
            assert!(error.to_string().contains("without `Delivery::AtMostOnce`"), "{error}");
        }
        let snapshot = ringway::inspect::Snapshot::read(queue.path()).unwrap();
        assert_eq!(snapshot.backlog.unfinished, None);
    }
    // And the dead letters themselves.
    let (_dir, queue) = queue(&small().max_redeliveries(1));
    let letters = queue.dead_letters().unwrap();
    assert!(matches!(letters.join(), Err(TaskError::NotCounted { .. })));
}

#[test]
fn inspection_shows_what_is_done() {
    let (_dir, queue) = queue(&small());
    queue.producer().unwrap().send_many(&[b"one", b"two", b"six"]).unwrap();
    queue.consumer().unwrap().task_done().unwrap();
    let snapshot = ringway::inspect::Snapshot::read(queue.path()).unwrap();
    assert_eq!((snapshot.backlog.unfinished, snapshot.counters.unwrap().done), (Some(2), 1));
}

#[test]
fn words_that_contradict_each_other_are_corruption() {
    let (_dir, queue) = queue(&small());
    let consumer = queue.consumer().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(queue.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &5_u64.to_ne_bytes(), 0x600).unwrap();
    for error in [queue.join().unwrap_err(), consumer.task_done().unwrap_err()] {
        assert!(matches!(error, TaskError::Corrupted(_)), "{error:?}");
    }
}
