//! Waiting for several queues together.

mod common;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use common::old_kernel::without_futex_waitv;
use common::{HANGS, directory, in_child};
use ringway::kind::{BytesConsumer, BytesQueue, Kind, Mpmc, Spsc};
use ringway::spsc::Queue;
use ringway::{CreateOptions, Framing, Interest, RecvError, SendError, WaitError, WaitSet, WaitStrategy};

const STYLES: [WaitStrategy; 3] = [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park];

fn create<K: Kind>(directory: &Path, name: impl ToString) -> BytesQueue<K> {
    // SAFETY: only this test knows the file.
    unsafe {
        BytesQueue::create_with(directory.join(name.to_string()), &CreateOptions::new().ring_bytes(4096))
            .unwrap()
    }
}

/// A set with this wait strategy.
fn set(wait: WaitStrategy) -> WaitSet {
    let mut set = WaitSet::new();
    set.set_wait_strategy(wait);
    set
}

/// Every queue gets messages, from a thread of its own that waits for the answer before it goes on;
/// all of them are delivered.
fn all_queues_are_watched<K: Kind>(count: usize, rounds: u64, wait: WaitStrategy) {
    let dir = directory();
    let there: Vec<_> = (0..count).map(|number| create::<K>(dir.path(), number)).collect();
    let back: Vec<_> = (0..count).map(|number| create::<K>(dir.path(), format!("back-{number}"))).collect();
    let consumers: Vec<_> = there.iter().map(|queue| queue.consumer().unwrap()).collect();
    let mut producers: Vec<_> = back.iter().map(|queue| queue.producer().unwrap()).collect();
    thread::scope(|scope| {
        for (there, back) in there.iter().zip(&back) {
            scope.spawn(|| {
                let (mut producer, answers) = (there.producer().unwrap(), back.consumer().unwrap());
                for round in 0..rounds {
                    producer.send(&round.to_ne_bytes()).unwrap();
                    assert_eq!(*answers.recv_timeout(HANGS).unwrap(), round.to_ne_bytes());
                }
                there.close();
            });
        }
        let mut set = set(wait);
        let mut open: Vec<usize> = (0..count).collect();
        while !open.is_empty() {
            let mut interests: Vec<_> =
                open.iter().map(|index| Interest::messages(&consumers[*index])).collect();
            let ready = set.wait_timeout(&mut interests, HANGS).unwrap();
            let mut over = Vec::new();
            for index in ready.iter().map(|ready| open[*ready]) {
                match consumers[index].try_recv() {
                    Ok(frame) => producers[index].send(&frame).unwrap(),
                    Err(RecvError::Empty) => {}
                    Err(RecvError::Closed) => over.push(index),
                    Err(error) => panic!("{error}"),
                }
            }
            open.retain(|index| !over.contains(index));
        }
    });
}

#[test]
fn two_queues() {
    for wait in STYLES {
        all_queues_are_watched::<Spsc>(2, 300, wait);
        all_queues_are_watched::<Mpmc>(2, 300, wait);
    }
}

#[test]
fn as_many_as_the_kernel_takes_and_more() {
    for count in [127, 128, 129] {
        let dir = directory();
        let queues: Vec<_> = (0..count).map(|number| create::<Spsc>(dir.path(), number)).collect();
        let consumers: Vec<_> = queues.iter().map(|queue| queue.consumer().unwrap()).collect();
        let mut set = set(WaitStrategy::Park);
        for last in [0, count / 2, count - 1] {
            let mut interests: Vec<_> = consumers.iter().map(Interest::messages).collect();
            thread::scope(|scope| {
                scope.spawn(|| queues[last].producer().unwrap().send(b"here").unwrap());
                assert_eq!(set.wait_timeout(&mut interests, HANGS).unwrap(), [last]);
            });
            drop(consumers[last].try_recv().unwrap());
        }
    }
}

#[test]
fn on_a_kernel_without_futex_waitv() {
    in_child("on_a_kernel_without_futex_waitv", || {
        without_futex_waitv();
        all_queues_are_watched::<Spsc>(3, 100, WaitStrategy::Park);
        all_queues_are_watched::<Mpmc>(3, 100, WaitStrategy::SpinThenPark);
        time_is_up(WaitStrategy::Park);
    });
}

fn time_is_up(wait: WaitStrategy) {
    let dir = directory();
    let consumers = [0, 1].map(|number| create::<Spsc>(dir.path(), number).consumer().unwrap());
    let [first, second] = &consumers;
    let mut interests = [Interest::messages(first), Interest::messages(second)];
    let (mut set, timeout, start) = (set(wait), Duration::from_millis(20), Instant::now());
    assert_eq!(set.wait_timeout(&mut interests, timeout), Err(WaitError::Timeout));
    assert!(start.elapsed() >= timeout);
    let deadline = Instant::now() + timeout;
    assert_eq!(set.wait_deadline(&mut interests, deadline), Err(WaitError::Timeout));
    assert!(Instant::now() >= deadline);
}

#[test]
fn the_time_is_never_up_early() {
    STYLES.into_iter().for_each(time_is_up);
}

#[test]
fn room_and_messages_together_and_all_that_are_ready() {
    let dir = directory();
    let [full, empty, some] = ["full", "empty", "some"].map(|name| create::<Mpmc>(dir.path(), name));
    let (mut writer, reader) = (full.producer().unwrap(), full.consumer().unwrap());
    let (empty, some) = (empty.consumer().unwrap(), (some.producer().unwrap(), some.consumer().unwrap()));
    let (mut test_producer, test_consumer) = some;
    while writer.try_send(&[1; 500]).is_ok() {}
    let mut set = set(WaitStrategy::Park);
    let mut wait_for_room = |writer: &mut ringway::mpmc::BytesProducer, len| {
        let mut interests =
            [Interest::room(writer, len), Interest::messages(&empty), Interest::messages(&test_consumer)];
        set.wait_timeout(&mut interests, Duration::from_millis(5)).map(<[usize]>::to_vec)
    };
    assert_eq!(wait_for_room(&mut writer, 500), Err(WaitError::Timeout));
    test_producer.send(b"one").unwrap();
    assert_eq!(wait_for_room(&mut writer, 500).unwrap(), [2]);
    drop(reader.recv().unwrap());
    assert_eq!(wait_for_room(&mut writer, 500).unwrap(), [0, 2]);
    drop(test_consumer.recv().unwrap());
    assert_eq!(wait_for_room(&mut writer, 500).unwrap(), [0]);
    writer.try_send(&[1; 500]).unwrap();
    assert!(matches!(writer.try_send(&[1; 500]), Err(SendError::Full)));
    // A message that can never be sent is not waited for: sending it gives the error.
    assert_eq!(wait_for_room(&mut writer, 1 << 20).unwrap(), [0]);
    full.close();
    assert_eq!(wait_for_room(&mut writer, 500).unwrap(), [0]);
}

/// A producer that sleeps in a set is woken by room.
#[test]
fn room_wakes() {
    let dir = directory();
    let queue = create::<Spsc>(dir.path(), "q");
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let mut set = set(WaitStrategy::Park);
    for _ in 0..200 {
        while producer.try_send(&[1; 500]).is_ok() {}
        consumer = thread::scope(|scope| {
            let taking = scope.spawn(move || {
                drop(consumer.try_recv_many(2).unwrap());
                consumer
            });
            assert_eq!(set.wait_timeout(&mut [Interest::room(&mut producer, 500)], HANGS).unwrap(), [0]);
            taking.join().unwrap()
        });
    }
}

#[test]
fn another_thread_cancels_a_wait() {
    let dir = directory();
    let consumer = create::<Spsc>(dir.path(), "q").consumer().unwrap();
    for wait in STYLES {
        let mut set = set(wait);
        let canceller = set.canceller();
        thread::scope(|scope| {
            scope.spawn(|| canceller.cancel());
            assert_eq!(set.wait(&mut [Interest::messages(&consumer)]), Err(WaitError::Cancelled));
        });
        canceller.reset();
        let timeout = Duration::from_millis(1);
        assert_eq!(set.wait_timeout(&mut [Interest::messages(&consumer)], timeout), Err(WaitError::Timeout));
    }
}

/// The death or detachment of the last producer makes consumers ready that end with the producers.
fn the_end_is_ready<K: Kind>() {
    let dir = directory();
    let queue = create::<K>(dir.path(), "q");
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    consumer.end_when_disconnected(true);
    let mut set = set(WaitStrategy::Park);
    thread::scope(|scope| {
        scope.spawn(move || drop(producer));
        loop {
            assert_eq!(set.wait_timeout(&mut [Interest::messages(&consumer)], HANGS).unwrap(), [0]);
            match consumer.try_recv() {
                Err(RecvError::Empty) => {}
                end => return assert!(matches!(end, Err(RecvError::Closed))),
            }
        }
    });
}

#[test]
fn the_last_producers_end_is_ready() {
    the_end_is_ready::<Spsc>();
    the_end_is_ready::<Mpmc>();
}

/// Rejected messages and fixed-size messages are seen as well.
#[test]
fn whatever_can_be_taken_is_ready() {
    fn check<K: Kind>(consumer: &BytesConsumer<K>) {
        let mut set = WaitSet::new();
        let none = Duration::ZERO;
        for expected in [true, true, false] {
            let found = set.wait_timeout(&mut [Interest::messages(consumer)], none).is_ok();
            assert_eq!(found, expected);
            match consumer.try_recv() {
                Ok(frame) if frame.redeliveries() == 0 => frame.reject(),
                Ok(frame) => drop(frame),
                Err(error) => assert!(matches!(error, RecvError::Empty)),
            }
        }
    }
    let dir = directory();
    let variable = create::<Spsc>(dir.path(), "variable");
    let many = create::<Mpmc>(dir.path(), "many");
    // SAFETY: only this test knows the file.
    let fixed = unsafe {
        ringway::spsc::BytesQueue::create_with(
            dir.path().join("fixed"),
            &CreateOptions::new().framing(Framing::Fixed(3)),
        )
        .unwrap()
    };
    variable.producer().unwrap().send(b"one").unwrap();
    fixed.producer().unwrap().send(b"one").unwrap();
    many.producer().unwrap().send(b"one").unwrap();
    check(&variable.consumer().unwrap());
    check(&fixed.consumer().unwrap());
    check(&many.consumer().unwrap());
}

#[test]
fn typed_queues() {
    let dir = directory();
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::<String>::create(dir.path().join("q")).unwrap() };
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let mut set = WaitSet::new();
    producer.send(&"hello".to_owned()).unwrap();
    let mut interests = [Interest::messages(&consumer), Interest::room(&mut producer, 100)];
    assert_eq!(set.wait(&mut interests).unwrap(), [0, 1]);
    assert_eq!(*consumer.try_recv().unwrap(), *"hello");
}
