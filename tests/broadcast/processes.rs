//! Real processes: killed, stopped, and side by side.

use std::path::Path;
use std::time::{Duration, Instant};

use ringway::broadcast::{BytesFrame, BytesQueue, Start, Subscribe};
use ringway::{CreateOptions, RecvError};

use crate::common::{Running, child_argument, child_of, directory};
use crate::{drain, number, send, small};

/// Far above what anything here takes.
const SOON: Duration = Duration::from_secs(20);

fn create(dir: &Path, options: &CreateOptions) -> BytesQueue {
    // SAFETY: only this test and its children know the file.
    unsafe { BytesQueue::create_with(dir.join("q"), options) }.unwrap()
}

fn open(path: &Path) -> BytesQueue {
    // SAFETY: as above.
    unsafe { BytesQueue::open(path) }.unwrap()
}

/// Says something to the parent, and stays until it is killed.
fn stay(said: &str) -> ! {
    println!("{said}");
    loop {
        std::thread::park();
    }
}

fn signal(process: &Running, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.id() as i32), signal).unwrap();
}

#[test]
fn a_killed_consumer_holds_no_producer_up() {
    const TEST: &str = "broadcast::processes::a_killed_consumer_holds_no_producer_up";
    if let Some(path) = child_argument(TEST) {
        let queue = open(&path);
        let reliable = queue.consumer().unwrap();
        let in_place = queue.consumer_with(&Subscribe::lossy().in_place(true)).unwrap();
        let lossy = queue.consumer_with(&Subscribe::lossy()).unwrap();
        println!("attached");
        let _held = (reliable.recv().unwrap(), in_place.recv().unwrap(), lossy.recv().unwrap());
        stay("holding");
    }
    for producers in [1, 3] {
        let dir = directory();
        let queue = create(dir.path(), &small(producers));
        let mut producer = queue.producer().unwrap();
        let mut child = Running::start(&mut child_of(TEST, queue.path()));
        child.wait_for_line("attached");
        send(&mut producer, 0..1);
        child.wait_for_line("holding");
        send(&mut producer, 1..8);
        assert!(producer.try_send(b"8").unwrap_err().is_full());
        signal(&child, nix::sys::signal::Signal::SIGSTOP);
        let error = producer.send_timeout(b"8", Duration::from_millis(30)).unwrap_err();
        let holdup = producer.holdup().expect("it is stopped, and lives");
        assert_eq!((holdup.pid, holdup.position), (child.id(), 0), "{error}");
        child.kill();
        producer.send_timeout(&8_u64.to_le_bytes(), SOON).unwrap();
        send(&mut producer, 9..100);
        assert_eq!(producer.holdup(), None);
        let late = queue.consumer_with(&Subscribe::reliable().from(Start::Oldest)).unwrap();
        assert_eq!(drain(&late).0.last(), Some(&99));
        assert_eq!(queue.stats().consumers.len(), 1, "the dead were recovered");
    }
}

#[test]
fn killed_producers_lose_nothing_that_was_committed_and_block_no_participant() {
    const TEST: &str =
        "broadcast::processes::killed_producers_lose_nothing_that_was_committed_and_block_no_participant";
    if let Some(path) = child_argument(TEST) {
        let queue = open(&path);
        let mut producer = queue.producer_timeout(SOON).unwrap();
        println!("sending");
        loop {
            let next = producer.position();
            producer.send(&next.to_le_bytes()).unwrap();
        }
    }
    for (producers, children) in [(1, 1), (3, 2)] {
        let dir = directory();
        let queue = create(dir.path(), &small(producers).max_messages(64));
        let consumer = queue.consumer().unwrap();
        let lossy = queue.consumer_with(&Subscribe::lossy()).unwrap();
        let (mut next, mut received, mut seen, mut missed) = (0, 0, 0, 0);
        for round in 0..20 {
            let mut senders: Vec<_> =
                (0..children).map(|_| Running::start(&mut child_of(TEST, queue.path()))).collect();
            senders.iter_mut().for_each(|sender| drop(sender.wait_for_line("sending")));
            let until = Instant::now() + Duration::from_millis(3 + round % 5);
            let mut note = |frame: BytesFrame<'_>| {
                assert!(frame.position() >= next, "in order");
                // One writer's messages say where they are.
                assert!(producers > 1 || number(&frame) == frame.position());
                next = frame.position() + 1;
                received += 1;
            };
            while Instant::now() < until {
                note(consumer.recv_timeout(SOON).unwrap());
            }
            senders.iter_mut().for_each(Running::kill);
            drop(senders);
            // They may have filled the queue, and this thread is the one that holds them up.
            while let Ok(frame) = consumer.try_recv() {
                note(frame);
            }
            // The next producer continues, whatever the dead ones left.
            let mut producer = queue.producer_timeout(SOON).unwrap();
            producer
                .send_timeout(&producer.position().to_le_bytes(), SOON)
                .unwrap_or_else(|error| panic!("{error}"));
            while consumer.next_position() < queue.newest() {
                note(consumer.recv_timeout(SOON).unwrap());
            }
            loop {
                match lossy.try_recv() {
                    Ok(_) => seen += 1,
                    Err(RecvError::Lagged(count)) => missed += count,
                    Err(RecvError::Empty) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            let stats = queue.stats();
            assert_eq!(consumer.next_position(), queue.newest());
            assert_eq!(
                received + stats.tombstones,
                queue.newest(),
                "each position is a message or a tombstone"
            );
            // It may have jumped over tombstones.
            assert!((queue.newest() - stats.tombstones..=queue.newest()).contains(&(seen + missed)));
            assert!(producers > 1 || stats.tombstones == 0);
        }
    }
}

#[test]
fn a_stopped_lossy_consumer_delays_no_producer_and_counts_what_it_missed() {
    const TEST: &str =
        "broadcast::processes::a_stopped_lossy_consumer_delays_no_producer_and_counts_what_it_missed";
    const LAST: u64 = 200_000;
    if let Some(path) = child_argument(TEST) {
        let queue = open(&path);
        let consumer = queue.consumer_with(&Subscribe::lossy()).unwrap();
        println!("attached");
        let (mut received, mut missed) = (0, 0);
        while received + missed < LAST {
            match consumer.recv_timeout(SOON) {
                Ok(frame) => {
                    assert_eq!(number(&frame), frame.position(), "a copy is whole");
                    received += 1;
                }
                Err(RecvError::Lagged(count)) => missed += count,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((received + missed, consumer.next_position()), (LAST, LAST));
        println!("missed {missed}");
        return;
    }
    let dir = directory();
    let queue = create(dir.path(), &small(1).gating(false));
    let mut producer = queue.producer().unwrap();
    let mut child = Running::start(&mut child_of(TEST, queue.path()));
    child.wait_for_line("attached");
    send(&mut producer, 0..LAST / 2);
    signal(&child, nix::sys::signal::Signal::SIGSTOP);
    send(&mut producer, LAST / 2..LAST - 1);
    signal(&child, nix::sys::signal::Signal::SIGCONT);
    send(&mut producer, LAST - 1..LAST);
    child.wait_for_line("missed");
    child.finish().succeeded();
}

#[test]
fn one_writer_may_be_one_only_and_its_place_is_free_when_it_is_dead() {
    const TEST: &str =
        "broadcast::processes::one_writer_may_be_one_only_and_its_place_is_free_when_it_is_dead";
    if let Some(path) = child_argument(TEST) {
        let queue = open(&path);
        let mut producer = queue.producer().unwrap();
        send(&mut producer, 0..5);
        stay("sent");
    }
    let dir = directory();
    let queue = create(dir.path(), &small(1));
    let consumer = queue.consumer().unwrap();
    let mut child = Running::start(&mut child_of(TEST, queue.path()));
    child.wait_for_line("sent");
    let error = queue.producer().unwrap_err().to_string();
    assert!(error.contains("the only place for a producer is taken"), "{error}");
    child.kill();
    let mut producer = queue.producer_timeout(SOON).unwrap();
    send(&mut producer, 5..8);
    assert_eq!(drain(&consumer), ((0..8).collect(), 0));
}
