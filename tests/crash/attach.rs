//! Processes are killed while they create, open, attach, detach and unlink.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringway::spsc::BytesQueue;
use ringway::{CreateOptions, OpenError, UnlinkError};

use super::both::wait_for;
use crate::KINDS;
use crate::process::{
    Child, End, History, Outcome, ProducerNotes, Random, Shape, Stream, TestConsumer, TestDir, TestProducer,
    Words, ensure,
};

/// Some rounds of opening, attaching and detaching take about this time.
const SPREAD: Duration = Duration::from_micros(400);

/// A timer of the child's own, set before anything else.
fn some_time(random: &mut Random) -> End {
    End::Timer { after: Duration::from_nanos(random.below(SPREAD.as_nanos() as u64)), alone: true }
}

/// Producers that open, attach, send a little and detach, over and over.
pub(crate) fn producer_dies(kills: u64) -> Outcome {
    for kind in [KINDS[0], KINDS[4]] {
        let place = TestDir::new()?;
        let queue = kind.create(&place)?;
        let consumer = queue.consumer()?;
        let notes = ProducerNotes::new();
        let mut random = Random::new(4);
        let stream = Stream::new(kind.shape, 0);
        let mut test_consumer = TestConsumer::new(&consumer, stream, &(), 3, Random::new(5));
        let (mut first, mut sessions) = (0, 0);
        for round in 0..kills / 2 {
            notes.reset(first);
            let end = some_time(&mut random);
            let child = Child::fork(|| come_and_go(&place, kind.shape, &notes, first, round, end));
            end.carry_out(child, || true, || Ok(false))?;
            let doubt = notes.doubt();
            sessions += u64::from(doubt.sent > first);
            first = doubt.resume;
            test_consumer.stream.doubt(doubt)?;
            test_consumer.drain()?;
            test_consumer.stream.settle()?;
        }
        println!("     {}: {} kills, {sessions} of them after a message", kind.name, kills / 2);
        drop(test_consumer);
        drop(consumer);
        kind.is_whole(&queue)?;
        place.leave()?;
    }
    Ok(())
}

fn come_and_go(
    place: &TestDir,
    shape: Shape,
    notes: &ProducerNotes,
    first: u64,
    salt: u64,
    end: End,
) -> Outcome {
    end.arm();
    let mut next = first;
    loop {
        let producer = place.open()?.producer()?;
        let mut test_producer = TestProducer::new(producer, shape, next, notes, Random::new(salt ^ next));
        for _ in 0..salt % 3 {
            test_producer.try_one()?;
        }
        next = test_producer.next();
    }
}

/// Consumers that open, attach, take a little, release it and detach, over and over.
pub(crate) fn consumer_dies(kills: u64) -> Outcome {
    for kind in [KINDS[0].telling(), KINDS[4]] {
        let place = TestDir::new()?;
        let queue = kind.create(&place)?;
        let notes = ProducerNotes::new();
        let mut test_producer = TestProducer::new(queue.producer()?, kind.shape, 0, &notes, Random::new(6));
        let mut history = History::new();
        let mut random = Random::new(7);
        for round in 0..kills / 2 {
            while test_producer.try_one()? {}
            let start = history.stream(kind.shape);
            let end = some_time(&mut random);
            let child = Child::fork(|| inspect(&place, start, &history, round, end));
            end.carry_out(child, || true, || Ok(false))?;
            history.death(test_producer.next())?;
            if random.below(3) == 0 {
                let consumer = queue.consumer()?;
                let stream = history.stream(kind.shape);
                History::take_all(
                    &mut TestConsumer::new(&consumer, stream, &history, 3, Random::new(round)),
                    test_producer.next(),
                )?;
                history.clear(test_producer.next());
            }
        }
        println!("     {}: {} kills, {} messages sent", kind.name, kills / 2, test_producer.next());
        drop(test_producer);
        drop(queue.consumer()?);
        let consumer = queue.consumer()?;
        while consumer.try_recv().is_ok() {}
        drop(consumer);
        kind.is_whole(&queue)?;
        place.leave()?;
    }
    Ok(())
}

fn inspect(place: &TestDir, mut stream: Stream, history: &History, salt: u64, end: End) -> Outcome {
    end.arm();
    loop {
        let consumer = place.open()?.consumer()?;
        let mut test_consumer = TestConsumer::new(&consumer, stream, history, 2, Random::new(salt));
        for _ in 0..salt % 4 {
            test_consumer.step()?;
        }
        test_consumer.release_all()?;
        stream = test_consumer.stream.clone();
    }
}

/// A message that one dead consumer held has been delivered once, however many others attached and
/// detached since.
pub(crate) fn redeliveries_count_deaths() -> Outcome {
    for kind in [KINDS[0].telling(), KINDS[3]] {
        let place = TestDir::new()?;
        let queue = kind.create(&place)?;
        let mut producer = queue.producer()?;
        for seq in 0..3 {
            producer.send(&kind.shape.message(seq))?;
        }
        let words = Words::new(1);
        let child = Child::fork(|| {
            let consumer = place.open()?.consumer()?;
            let _held = [consumer.recv()?, consumer.recv()?];
            words[0].store(1, Ordering::SeqCst);
            loop {
                std::thread::yield_now();
            }
        });
        wait_for(|| words[0].load(Ordering::SeqCst) == 1)?;
        child.kill()?;
        for _ in 0..3 {
            drop(queue.consumer()?);
        }
        let consumer = queue.consumer()?;
        for expected in [1, 1, 0] {
            let frame = consumer.recv()?;
            let found = frame.redeliveries();
            ensure!(found == expected, "{}: redeliveries: {found}, expected {expected}", kind.name);
        }
        drop((producer, consumer));
        place.leave()?;
    }
    Ok(())
}

/// Processes that create, open and unlink one name, over and over. The next process finds a whole
/// queue or none, and can always create one.
pub(crate) fn creator_dies(kills: u64) -> Outcome {
    let place = TestDir::new()?;
    let path = place.path();
    let options = CreateOptions::new().ring_bytes(4096);
    let mut random = Random::new(8);
    let (mut none, mut whole, mut unlinked) = (0, 0, 0);
    for _ in 0..kills {
        let end = some_time(&mut random);
        let child = Child::fork(|| create_and_unlink(&place, end));
        end.carry_out(child, || true, || Ok(false))?;
        for entry in std::fs::read_dir(place.directory())? {
            let entry = entry?;
            ensure!(entry.path() == path, "{:?} is left", entry.file_name());
        }
        // SAFETY: only this test and its children know the file.
        match unsafe { BytesQueue::open(&path) } {
            Ok(queue) => {
                whole += 1;
                queue.producer()?.send(b"it works")?;
                ensure!(*queue.consumer()?.recv()? == *b"it works", "a message was changed");
            }
            Err(OpenError::NotFound { .. }) => none += 1,
            // It died between its last word and the removal of the name.
            Err(OpenError::Unlinked { .. }) => unlinked += 1,
            Err(error) => return Err(error.into()),
        }
        Child::fork(|| {
            // SAFETY: as above.
            unsafe { BytesQueue::open_or_create_with(&path, &options) }?.producer()?.send(b"it works")?;
            Ok(())
        })
        .join_within(Duration::from_secs(5))
        .map_err(|error| format!("open_or_create: {error}"))?;
        ringway::unlink(&path)?;
    }
    println!(
        "     {kills} kills; then there was no queue {none} times, a whole one {whole}, an unlinked one {unlinked}"
    );
    drop(place.create(&options)?);
    place.leave()
}

fn create_and_unlink(place: &TestDir, end: End) -> Outcome {
    end.arm();
    loop {
        drop(place.create(&CreateOptions::new().ring_bytes(4096))?);
        drop(place.open()?.producer()?);
        match ringway::unlink(place.path()) {
            Ok(()) | Err(UnlinkError::Open(OpenError::NotFound { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
