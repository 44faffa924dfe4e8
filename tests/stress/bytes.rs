//! Messages of bytes.

use std::time::Instant;

use crate::process::{
    Child, Kind, Outcome, ProducerNotes, Random, Stream, TestConsumer, TestDir, TestProducer, ensure,
    progress,
};

/// A child sends `count` messages in every way there is, and this process takes them in every way there is.
pub(crate) fn all_arrive(kind: Kind, count: u64) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let notes = ProducerNotes::new();
    let consumer = queue.consumer()?;
    let start = Instant::now();
    let child = Child::fork(|| send(&place, kind, &notes, count));
    let mut test_consumer =
        TestConsumer::new(&consumer, Stream::new(kind.shape, 0), &(), 5, Random::new(1)).with_rejects();
    let mut random = Random::new(2);
    while test_consumer.stream.next() < count {
        progress();
        let (before, had_ended) = (test_consumer.stream.next(), child.has_ended()?);
        take_for_a_while(&mut test_consumer, &mut random, count)?;
        let next = test_consumer.stream.next();
        ensure!(next > before || !had_ended, "the producer is gone after message {next} of {count}");
    }
    test_consumer.drain()?;
    child.join()?;
    let next = test_consumer.stream.settle()?;
    ensure!(next >= count, "{next} messages of {count} came");
    ensure!(next == notes.sent(), "{next} messages came, {} were sent", notes.sent());
    let rate = next as f64 / start.elapsed().as_secs_f64() / 1e6;
    println!(
        "     {next} messages, {} of them rejected once or more, {rate:.2} million/s",
        test_consumer.again
    );
    drop(test_consumer);
    drop(consumer);
    kind.is_whole(&queue)?;
    place.leave()
}

fn take_for_a_while(test_consumer: &mut TestConsumer<'_, ()>, random: &mut Random, count: u64) -> Outcome {
    let mut idle = 0_u32;
    for _ in 0..10_000 {
        if test_consumer.stream.next() >= count {
            break;
        }
        if test_consumer.step()? {
            idle = 0;
        } else {
            // The guards held may be all that the producer waits for.
            test_consumer.release_all()?;
            idle += 1;
        }
        if idle > 1000 || random.below(4096) == 0 {
            std::thread::yield_now();
        }
    }
    Ok(())
}

fn send(place: &TestDir, kind: Kind, notes: &ProducerNotes, count: u64) -> Outcome {
    let mut test_producer =
        TestProducer::new(place.open()?.producer()?, kind.shape, 0, notes, Random::new(3));
    let mut random = Random::new(4);
    while test_producer.next() < count {
        if !test_producer.step()? && test_producer.next() < count {
            test_producer.one()?;
        }
        if random.below(4096) == 0 {
            std::thread::yield_now();
        }
    }
    Ok(())
}
