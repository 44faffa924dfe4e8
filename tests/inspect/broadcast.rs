//! Broadcast queues seen from outside.

use std::path::Path;

use ringway::broadcast::{BytesQueue, ConsumerMode, Start as From, Subscribe};
use ringway::inspect::{Cursors, Inspector, Liveness, Peek, QueueKind, Snapshot, Start};
use ringway::{CreateOptions, RecvError, Role};

use super::common::ends::on_panic;
use super::common::{Image, at, directory};

pub(super) fn create(path: &Path, producers: usize) -> BytesQueue {
    let options =
        CreateOptions::new().ring_bytes(4096).max_messages(8).max_participants(6).max_producers(producers);
    // SAFETY: only these tests know the file.
    unsafe { BytesQueue::create_with(path, &options) }.unwrap()
}

/// Message `number`: its length and every byte follow from it.
fn message(number: u64) -> Vec<u8> {
    let mut message = number.to_ne_bytes().to_vec();
    message.resize(8 + (number * 7 % 150) as usize, number as u8);
    message
}

#[test]
fn it_is_seen_as_it_is() {
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create(&path, 2);
    let mut producer = queue.producer().unwrap();
    let reliable = queue.consumer().unwrap();
    let lossy = queue.consumer_with(&Subscribe::lossy()).unwrap();
    let in_place = queue.consumer_with(&Subscribe::lossy().in_place(true)).unwrap();
    (0..5).for_each(|number| producer.send(&message(number)).unwrap());
    for _ in 0..3 {
        drop(reliable.recv().unwrap());
    }
    let held = reliable.recv().unwrap();
    drop(lossy.recv().unwrap());

    let snapshot = Snapshot::read(&path).unwrap();
    assert_eq!(snapshot.header.kind, QueueKind::Broadcast);
    let order = snapshot.header.order.unwrap();
    let broadcast = order.broadcast.unwrap();
    assert_eq!((order.max_messages, broadcast.max_producers, broadcast.gating), (8, 2, true));
    assert!(matches!(snapshot.cursors, Cursors::Broadcast { tail: 5, floor: 0, free: 0, .. }));
    let backlog = snapshot.backlog;
    assert_eq!((backlog.waiting, backlog.held, backlog.pending), (Some(5), Some(1), 0));
    assert_eq!((backlog.used, backlog.capacity, backlog.unfinished), (2, 8, None));
    let bytes: usize = (0..5).map(|number| message(number).len()).sum();
    assert_eq!(backlog.bytes, bytes as u64);
    let readings: Vec<_> = snapshot
        .participants
        .iter()
        .filter_map(|one| one.reading)
        .map(|one| (one.mode.unwrap(), one.next, one.holds_from, one.lag, one.lagged))
        .collect();
    assert_eq!(
        readings,
        [
            (ConsumerMode::Reliable, 4, Some(3), 1, 0),
            (ConsumerMode::Lossy, 1, None, 4, 0),
            (ConsumerMode::LossyInPlace, 0, None, 5, 0),
        ]
    );
    let holder = snapshot.floor_holder().unwrap();
    assert_eq!((holder.role, holder.pid, holder.holds), (Role::Consumer, std::process::id(), 1));
    assert!(snapshot.participants.iter().all(|one| one.liveness == Liveness::Alive));
    assert!(snapshot.corruption.is_empty(), "{:?}", snapshot.corruption);

    // One that reads in place keeps what it holds, and what follows.
    let pinned = in_place.recv().unwrap();
    let snapshot = Snapshot::read(&path).unwrap();
    let reading = snapshot.floor_holder().and_then(|one| one.reading).unwrap();
    assert_eq!((reading.mode, reading.holds_from), (Some(ConsumerMode::LossyInPlace), Some(0)));
    assert_eq!(snapshot.backlog.used, 5);
    drop((pinned, held));
    drop((in_place, reliable));
    assert!(Snapshot::read(&path).unwrap().floor_holder().is_none());

    // The lossy one misses what is overwritten, and that is counted.
    (5..40).for_each(|number| producer.send(&message(number)).unwrap());
    let Err(RecvError::Lagged(missed)) = lossy.recv() else { panic!("nothing was overwritten") };
    let snapshot = Snapshot::read(&path).unwrap();
    let reading = snapshot.participants.iter().find_map(|one| one.reading).unwrap();
    assert_eq!((reading.lagged, reading.next), (missed, missed + 1));
    let counters = snapshot.counters.unwrap();
    assert_eq!((counters.sent, counters.lagged, counters.redelivered), (40, missed, 0));
    let peeked = Inspector::open(&path).unwrap().peek(&Peek::new().start(Start::Newest).most(2)).unwrap();
    let positions: Vec<_> =
        peeked.frames.iter().map(|frame| (frame.position, frame.payload.clone())).collect();
    assert_eq!(positions, [(38, message(38)), (39, message(39))]);
    assert_eq!((peeked.next, peeked.gone), (40, 0));
    assert!(snapshot.corruption.is_empty(), "{:?}", snapshot.corruption);
}

/// A consumer that reads as this says, until the queue is closed.
fn read(queue: &BytesQueue, subscribe: &Subscribe) {
    let _end = on_panic(|| queue.close());
    let consumer = queue.consumer_with(subscribe).unwrap();
    loop {
        match consumer.recv() {
            Ok(frame) => assert_eq!(*frame, message(u64::from_ne_bytes(frame[..8].try_into().unwrap()))),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => break,
            Err(error) => panic!("{error}"),
        }
    }
}

fn traffic(producers: usize) {
    const MESSAGES: u64 = 1_000;
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create(&path, producers);
    std::thread::scope(|scope| {
        let _end = on_panic(|| queue.close());
        for subscribe in [Subscribe::reliable(), Subscribe::lossy(), Subscribe::lossy().in_place(true)] {
            let queue = &queue;
            scope.spawn(move || read(queue, &subscribe));
        }
        let senders: Vec<_> = (0..producers)
            .map(|_| {
                let queue = &queue;
                scope.spawn(move || {
                    let _end = on_panic(|| queue.close());
                    let mut producer = queue.producer().unwrap();
                    for number in 0..MESSAGES {
                        producer.send(&message(number)).unwrap();
                        // Attaching anew: a writer takes over.
                        if number % 100 == 99 {
                            drop(producer);
                            producer = queue.producer().unwrap();
                        }
                    }
                })
            })
            .collect();
        let inspector = Inspector::open(&path).unwrap();
        let mut inspections = 0;
        while senders.iter().any(|sender| !sender.is_finished()) || inspections < 20 {
            let snapshot = inspector.snapshot().unwrap();
            assert!(snapshot.corruption.is_empty(), "{:?}", snapshot.corruption);
            for start in [Start::Oldest, Start::Newest] {
                let peeked = inspector.peek(&Peek::new().start(start)).unwrap();
                assert!(peeked.corruption.is_none(), "{:?}", peeked.corruption);
                for frame in &peeked.frames {
                    let number = u64::from_ne_bytes(frame.payload[..8].try_into().unwrap());
                    assert_eq!(frame.payload, message(number), "torn at position {}", frame.position);
                }
            }
            inspections += 1;
        }
        queue.close();
    });
    let last = Snapshot::read(&path).unwrap();
    assert!(last.corruption.is_empty() && last.participants.is_empty(), "{:?}", last.corruption);
}

#[test]
fn traffic_of_one_writer() {
    traffic(1);
}

#[test]
fn traffic_of_two_writers() {
    traffic(2);
}

/// Messages that are retained, of which the consumer that is dead then has read two, and holds two.
const MESSAGES: std::ops::Range<u64> = 20..26;

/// The bytes of a queue whose participants all died with the words as they are.
fn image(producers: usize) -> Image {
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create(&path, producers);
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for number in 0..MESSAGES.start {
        producer.send(&message(number)).unwrap();
        drop(consumer.try_recv().unwrap());
    }
    MESSAGES.for_each(|number| producer.send(&message(number)).unwrap());
    (0..2).for_each(|_| drop(consumer.try_recv().unwrap()));
    let held = (consumer.try_recv().unwrap(), consumer.try_recv().unwrap());
    let image = Image::of(&path);
    drop(held);
    image
}

fn found(path: &Path) -> Option<String> {
    let inspector = match Inspector::open(path) {
        Ok(inspector) => inspector,
        Err(error) => return Some(error.to_string()),
    };
    let snapshot = inspector.snapshot().unwrap();
    if snapshot.is_unlinked || snapshot.is_closed {
        return Some("it says that it was unlinked, or closed".into());
    }
    let peeked = inspector.peek(&Peek::new().most(100)).unwrap().corruption;
    snapshot.corruption.into_iter().chain(peeked).map(|corruption| corruption.to_string()).next()
}

/// Whether what is retained is delivered, and the queue can be used; otherwise what is wrong.
fn used(path: &Path) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::open(path) }.map_err(|error| said(&error))?;
    queue.recover().map_err(|error| said(&error))?;
    let mut producer = queue.producer().map_err(|error| said(&error))?;
    let from = |subscribe: Subscribe| queue.consumer_with(&subscribe.from(From::Oldest));
    for subscribe in [Subscribe::reliable(), Subscribe::lossy()] {
        let consumer = from(subscribe).map_err(|error| said(&error))?;
        let mut numbers = Vec::new();
        while numbers.len() < 100 {
            match consumer.try_recv() {
                Ok(frame) => {
                    let number = frame.get(..8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap()));
                    let Some(number) = number.filter(|number| *frame == message(*number)) else {
                        return Err(format!("a message that was not sent: {:?}", &*frame));
                    };
                    numbers.push(number);
                }
                Err(RecvError::Empty) => break,
                Err(error) => return Err(said(&error)),
            }
        }
        if !numbers.ends_with(&MESSAGES.collect::<Vec<_>>()) {
            return Err(format!("these messages come: {numbers:?}"));
        }
    }
    let consumer = queue.consumer().map_err(|error| said(&error))?;
    for number in 0..100 {
        producer.try_send(&message(number)).map_err(|error| said(&error))?;
        let frame = consumer.try_recv().map_err(|error| said(&error))?;
        if *frame != message(number) {
            return Err(format!("another message than {number} comes"));
        }
    }
    Ok(())
}

fn values(word: u64) -> Vec<u64> {
    let mut values: Vec<u64> = vec![0, 1, 2, 3, 1 << 20, 1 << 40, 1 << 61, u64::MAX, word ^ 1 << 63, !word];
    for step in [1, 2, 4, 8, 16, 32, 256, 1 << 18] {
        values.extend([word.wrapping_add(step), word.wrapping_sub(step), word ^ step]);
    }
    values.retain(|value| *value != word);
    values.sort_unstable();
    values.dedup();
    values
}

/// Each shared word is changed, one at a time: either that does no harm, or inspection finds it.
fn changes(producers: usize) {
    let image = image(producers);
    let dir = directory();
    let path = dir.path().join("queue");
    image.write(&path);
    assert_eq!((found(&path), used(&path)), (None, Ok(())), "unchanged");
    let slots = image.u64_at(0x188) as usize;
    let mut words: Vec<_> = vec![("tail", at::TAIL), ("floor", at::HEAD), ("free", at::HEAD + 8)];
    words.extend([("dead", 0x400), ("eventcount", 0x680), ("eventcount", 0x700)]);
    for entry in 0..6 {
        let at = at::REGISTRY + entry * at::ENTRY_LEN;
        words.extend((0..5).map(|word| ("entry", at + 8 * word)));
        words.extend((0..8).map(|word| ("entry's own", at + 0x80 + 8 * word)));
    }
    words.extend((0..8).map(|slot| ("state", slots + 16 * slot)));
    let mut unseen = Vec::new();
    let mut seen = 0;
    for (name, at) in words {
        let old = image.u64_at(at);
        for value in values(old) {
            let mut changed = image.clone();
            changed.put_u64(at, value);
            let _ = std::fs::remove_file(&path);
            changed.write(&path);
            // What other traffic might have left: fewer messages are retained, or one is a tombstone.
            let is_excused = match name {
                "floor" => old < value && value <= MESSAGES.end,
                "state" => {
                    // The last one is covered by the dead producer's intent: it may not be committed yet.
                    let lap = old >> 18;
                    let is_last = producers > 1 && at == slots + 16 * ((MESSAGES.end - 1) % 8) as usize;
                    value == (lap + 1) << 18 || is_last && [lap << 18, (lap - 1) << 18 | 1].contains(&value)
                }
                _ => false,
            };
            let report = found(&path);
            seen += u64::from(report.is_some());
            if report.is_none()
                && !is_excused
                && let Err(harm) = used(&path)
            {
                unseen.push(format!("{name} at {at:#x}, {old:#x} -> {value:#x}: {harm}"));
            }
        }
    }
    assert!(seen > 100, "{seen} were found");
    assert!(unseen.is_empty(), "not found, and harmful:\n{}", unseen.join("\n"));
}

#[test]
fn each_word_of_one_writer_is_changed() {
    changes(1);
}

#[test]
fn each_word_of_two_writers_is_changed() {
    changes(2);
}
