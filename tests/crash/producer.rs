//! A producer is killed at a random point; another takes over while the consumer goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::process::{
    BackgroundInspector, Child, Doubt, End, Kind, Outcome, ProducerNotes, Random, Shape, Stream,
    TestConsumer, TestDir, TestProducer, ensure,
};

/// Kills come within this time after the attach.
pub(crate) const SPREAD: Duration = Duration::from_micros(200);

/// Messages that were delivered though their producer died before it noted that it had sent them,
/// over all kinds of queues.
static CAME: AtomicU64 = AtomicU64::new(0);
/// How many times some messages were not delivered that a producer was about to send.
static VANISHED: AtomicU64 = AtomicU64::new(0);

/// Among this number of kills some must have hit just before a commit, and some just after.
pub(crate) fn kills_hit_sends() -> Outcome {
    let (came, vanished) = (CAME.load(Ordering::Relaxed), VANISHED.load(Ordering::Relaxed));
    println!("     {came} messages in doubt came, {vanished} times some did not");
    ensure!(came > 0 && vanished > 0, "no kill hit a send: nothing was tested");
    Ok(())
}

/// Nothing that was committed is lost, nothing else is delivered, and batches are whole or not there.
pub(crate) fn dies(kind: Kind, kills: u64) -> Outcome {
    let place = TestDir::new()?;
    let background_inspector = BackgroundInspector::start(&place);
    let queue = kind.create(&place)?;
    let consumer = queue.consumer()?;
    let notes = ProducerNotes::new();
    let mut random = Random::new(kind.name.len() as u64);
    let stream = Stream::new(kind.shape, 0);
    let mut test_consumer = TestConsumer::new(&consumer, stream, &(), 4, Random::new(1));
    let (mut first, mut inside) = (0, 0);
    for round in 0..kills {
        background_inspector.check()?;
        notes.reset(first);
        let end = End::random(&mut random, SPREAD);
        let child = Child::fork(|| produce(&place, kind.shape, &notes, first, round, end));
        end.carry_out(child, || notes.is_ready(), || test_consumer.step())?;
        ensure!(!consumer.has_producer()?, "a dead producer was taken for a live one");
        let doubt = notes.doubt();
        inside += u64::from(doubt.sent != doubt.about);
        first = doubt.resume;
        test_consumer.stream.doubt(doubt)?;
        match random.below(4) {
            0 => {
                test_consumer.drain()?;
                let next = test_consumer.stream.settle()?;
                ensure!(next == first, "the stream goes on with {next}, not with {first}");
            }
            1 => first = succeed(&place, kind.shape, &mut test_consumer, first)?,
            // The next child finds a queue with messages in it.
            _ => {}
        }
    }
    test_consumer.drain()?;
    let next = test_consumer.stream.settle()?;
    ensure!(next == first, "the stream goes on with {next}, not with {first}");
    println!(
        "     {kills} kills, {inside} of them inside a send ({} messages in doubt came, {} times some did not), {} \
         messages",
        test_consumer.stream.came, test_consumer.stream.vanished, test_consumer.taken
    );
    CAME.fetch_add(test_consumer.stream.came, Ordering::Relaxed);
    VANISHED.fetch_add(test_consumer.stream.vanished, Ordering::Relaxed);
    drop(test_consumer);
    drop(consumer);
    kind.is_whole(&queue)?;
    place.leave()
}

/// What the child does until it is killed.
pub(crate) fn produce(
    place: &TestDir,
    shape: Shape,
    notes: &ProducerNotes,
    first: u64,
    salt: u64,
    end: End,
) -> Outcome {
    let producer = place.open()?.producer()?;
    let mut test_producer = TestProducer::new(producer, shape, first, notes, Random::new(salt));
    notes.set_ready();
    end.arm();
    loop {
        if !test_producer.step()? && salt.is_multiple_of(4) {
            test_producer.one()?;
        }
    }
}

/// This process takes over itself, and sends a little.
fn succeed(
    place: &TestDir,
    shape: Shape,
    test_consumer: &mut TestConsumer<'_, ()>,
    first: u64,
) -> Outcome<u64> {
    let notes = ProducerNotes::new();
    let mut test_producer =
        TestProducer::new(place.open()?.producer()?, shape, first, &notes, Random::new(first));
    for _ in 0..20 {
        if !test_producer.step()? {
            test_consumer.drain()?;
        }
    }
    // A producer that was detached leaves no doubt.
    let next = test_producer.next();
    let doubt = Doubt { sent: next, about: next, resume: next.next_multiple_of(8), whole: true };
    test_consumer.stream.doubt(doubt)?;
    Ok(doubt.resume)
}
