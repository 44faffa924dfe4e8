//! Broadcast queues: consumers that are stopped or dead, and whom they hold up.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ringway::broadcast::{BytesQueue, Start, Subscribe};
use ringway::{CreateOptions, RecvError, SendError};

use crate::process::{Child, Outcome, Test, TestDir, Words, ensure};

/// Far more than it takes to find a dead participant.
const SOON: Duration = Duration::from_secs(10);
const SLOTS: u64 = 8;

type Row = fn() -> Outcome;

pub(crate) fn tests() -> Vec<Test> {
    let rows: [(&str, Row); 5] = [
        ("a stopped lossy consumer delays no one", stopped_lossy),
        ("a stopped reliable consumer is named, and holds producers up", stopped_reliable),
        ("a dead consumer holds no one up", dead),
        ("all participants die, and others find what is retained", all_die),
        ("a thousand consumers", a_thousand),
    ];
    rows.into_iter().map(|(name, body)| Test::new(format!("broadcast: {name}"), body)).collect()
}

fn options() -> CreateOptions {
    CreateOptions::new().max_messages(SLOTS as usize).ring_bytes(4096).max_participants(8).max_producers(1)
}

fn with_queue(options: &CreateOptions, body: impl FnOnce(&TestDir, &BytesQueue) -> Outcome) -> Outcome {
    let place = TestDir::new()?;
    // SAFETY: only this test and its children know the file.
    let queue = unsafe { BytesQueue::create_with(place.path(), options) }?;
    body(&place, &queue)?;
    drop(queue);
    place.leave()
}

fn open(place: &TestDir) -> Outcome<BytesQueue> {
    // SAFETY: as above.
    Ok(unsafe { BytesQueue::open(place.path()) }?)
}

/// A process with a consumer that takes messages all the time, and counts them.
fn taker(place: &TestDir, subscribe: Subscribe, taken: &Words) -> Outcome<Child> {
    let child = Child::fork(|| {
        let consumer = open(place)?.consumer_with(&subscribe)?;
        taken[0].store(1, Ordering::SeqCst);
        loop {
            match consumer.recv_timeout(SOON) {
                Ok(frame) => {
                    let found = u64::from_ne_bytes(frame[..8].try_into()?);
                    ensure!(found == frame.position(), "{found} at {}", frame.position());
                    taken[0].fetch_add(1, Ordering::SeqCst);
                }
                Err(RecvError::Lagged(_) | RecvError::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
    });
    while taken[0].load(Ordering::SeqCst) == 0 {
        ensure!(!child.has_ended()?, "the child failed");
        std::thread::yield_now();
    }
    Ok(child)
}

/// Messages from `first` on, each of which contains its position.
fn message(position: u64) -> Vec<u8> {
    position.to_ne_bytes().repeat(5)
}

/// Wherever it is stopped, each attempt to send succeeds.
fn stopped_lossy() -> Outcome {
    with_queue(&options(), |place, queue| {
        let taken = Words::new(1);
        let child = taker(place, Subscribe::lossy(), &taken)?;
        let mut producer = queue.producer()?;
        let mut position = 0;
        for _ in 0..20 {
            child.signal(Signal::SIGSTOP)?;
            for _ in 0..500 {
                producer.try_send(&message(position))?;
                position += 1;
            }
            let before = taken[0].load(Ordering::SeqCst);
            child.signal(Signal::SIGCONT)?;
            let begun = Instant::now();
            while taken[0].load(Ordering::SeqCst) == before {
                producer.try_send(&message(position))?;
                position += 1;
                ensure!(begun.elapsed() < SOON, "it takes nothing");
            }
        }
        child.kill()
    })
}

fn stopped_reliable() -> Outcome {
    with_queue(&options(), |place, queue| {
        let taken = Words::new(1);
        let child = taker(place, Subscribe::reliable(), &taken)?;
        let mut producer = queue.producer()?;
        child.signal(Signal::SIGSTOP)?;
        let mut position = 0;
        let refusal = loop {
            match producer.try_send(&message(position)) {
                Ok(()) => position += 1,
                Err(error) => break error,
            }
            ensure!(position <= 2 * SLOTS, "it holds no one up");
        };
        ensure!(matches!(refusal, SendError::Full), "{refusal}");
        let holdup = producer.holdup().ok_or("no consumer is in the way")?;
        ensure!(holdup.pid as i32 == child.pid().as_raw(), "{holdup:?}");
        child.signal(Signal::SIGCONT)?;
        producer.send_timeout(&message(position), SOON)?;
        child.signal(Signal::SIGSTOP)?;
        while producer.try_send(&message(position + 1)).is_ok() {
            position += 1;
        }
        // It is killed while it holds the producer up.
        child.strike()?;
        producer.send_timeout(&message(position + 1), SOON)?;
        child.reap()
    })
}

/// It dies while a producer waits for it: its messages are not missed by others.
fn dead() -> Outcome {
    with_queue(&options(), |place, queue| {
        for subscribe in [Subscribe::reliable(), Subscribe::lossy().in_place(true)] {
            let subscribe = subscribe.from(Start::Oldest);
            let mut producer = queue.producer()?;
            let first = queue.newest();
            producer.try_send(&message(first))?;
            let ready = Words::new(1);
            let child = Child::fork(|| {
                let consumer = open(place)?.consumer_with(&subscribe)?;
                let _frame = consumer.recv()?;
                ready[0].store(1, Ordering::SeqCst);
                loop {
                    std::thread::yield_now();
                }
            });
            while ready[0].load(Ordering::SeqCst) == 0 {
                ensure!(!child.has_ended()?, "the child failed");
                std::thread::yield_now();
            }
            let mut position = first + 1;
            while producer.try_send(&message(position)).is_ok() {
                position += 1;
                ensure!(position <= first + 2 * SLOTS, "it holds no one up");
            }
            child.kill()?;
            let begun = Instant::now();
            producer.send_timeout(&message(position), SOON)?;
            ensure!(begun.elapsed() < SOON / 2, "it took {:?}", begun.elapsed());
            ensure!(queue.stats().consumers.is_empty(), "{:?}", queue.stats().consumers);
        }
        Ok(())
    })
}

fn all_die() -> Outcome {
    with_queue(&options(), |place, queue| {
        let taken = Words::new(1);
        let reader = taker(place, Subscribe::reliable(), &taken)?;
        let writer = Child::fork(|| {
            let mut producer = open(place)?.producer()?;
            for position in 0.. {
                producer.send(&message(position))?;
            }
            Ok(())
        });
        while taken[0].load(Ordering::SeqCst) < 1000 {
            ensure!(!reader.has_ended()? && !writer.has_ended()?, "a child failed");
            std::thread::yield_now();
        }
        writer.kill()?;
        reader.kill()?;
        let mut producer = queue.producer_timeout(SOON)?;
        let consumer = queue.consumer_with(&Subscribe::reliable().from(Start::Oldest))?;
        let (oldest, newest) = (consumer.next_position(), queue.newest());
        ensure!(newest > 900 && oldest < newest, "{oldest} to {newest}");
        for position in oldest..newest {
            ensure!(*consumer.try_recv()? == message(position)[..], "not what was sent at {position}");
        }
        producer.try_send(&message(newest))?;
        ensure!(consumer.try_recv()?.position() == newest, "another position");
        Ok(())
    })
}

fn a_thousand() -> Outcome {
    let options = options().max_participants(1002);
    with_queue(&options, |_, queue| {
        let mut producer = queue.producer()?;
        let mut consumers = Vec::new();
        for index in 0..1000 {
            let subscribe = match index % 3 {
                0 => Subscribe::reliable(),
                1 => Subscribe::lossy(),
                _ => Subscribe::lossy().in_place(true),
            };
            consumers.push(queue.consumer_with(&subscribe)?);
        }
        for position in 0..3 * SLOTS {
            producer.try_send(&message(position))?;
            for consumer in &consumers {
                let frame = consumer.try_recv()?;
                ensure!(*frame == message(position)[..], "not what was sent at {position}");
            }
        }
        ensure!(queue.stats().consumers.len() == 1000, "{}", queue.stats().consumers.len());
        Ok(())
    })
}
