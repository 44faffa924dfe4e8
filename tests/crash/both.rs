//! Producer and consumer are killed together; others find the queue.

use std::time::{Duration, Instant};

use super::consumer::consume;
use super::producer::{SPREAD, produce};
use crate::process::{
    BackgroundInspector, Child, End, History, Kind, Outcome, ProducerNotes, Random, TestConsumer, TestDir,
    ensure, progress,
};

/// In each of `rounds` rounds two processes die.
pub(crate) fn die(kind: Kind, rounds: u64) -> Outcome {
    let kind = kind.telling();
    let place = TestDir::new()?;
    let background_inspector = BackgroundInspector::start(&place);
    let queue = kind.create(&place)?;
    let notes = ProducerNotes::new();
    let mut history = History::new();
    let mut random = Random::new(kind.name.len() as u64);
    let (mut first, mut again, mut came, mut vanished) = (0, 0, 0, 0);
    for round in 0..rounds {
        progress();
        background_inspector.check()?;
        notes.reset(first);
        let ends = [End::random(&mut random, SPREAD), End::random(&mut random, SPREAD)];
        let producer = Child::fork(|| produce(&place, kind.shape, &notes, first, round, ends[0]));
        let consumer = Child::fork(|| consume(&place, kind.shape, &history, round, ends[1]));
        wait_for(|| notes.is_ready() && history.is_ready())?;
        pass_time(Duration::from_nanos(random.below(100_000)));
        kill_both(producer, consumer, &mut random)?;

        let doubt = notes.doubt();
        history.death(doubt.about)?;
        let takes_over_first = random.below(2) == 0;
        let early = if takes_over_first { Some(queue.producer()?) } else { None };
        let consumer = queue.consumer()?;
        let mut stream = history.stream(kind.shape);
        stream.doubt(doubt)?;
        let mut test_consumer = TestConsumer::new(&consumer, stream, &history, 4, Random::new(round));
        test_consumer.drain()?;
        first = test_consumer.stream.settle()?;
        ensure!(first == doubt.resume, "the stream goes on with {first}, but {doubt:?}");
        drop(early);
        (again, came) = (again + test_consumer.again, came + test_consumer.stream.came);
        vanished += test_consumer.stream.vanished;
        drop(test_consumer);
        history.clear(first);
    }
    println!(
        "     {rounds} double kills; {again} messages came again, {came} in doubt came, {vanished} times not"
    );
    kind.is_whole(&queue)?;
    drop(background_inspector);
    place.leave()
}

/// One after the other, in either order; their own timers may have been faster.
fn kill_both(producer: Child, consumer: Child, random: &mut Random) -> Outcome {
    let (one, other) = if random.below(2) == 0 { (producer, consumer) } else { (consumer, producer) };
    one.strike()?;
    pass_time(Duration::from_nanos(random.below(20_000)));
    other.strike()?;
    one.reap()?;
    other.reap()
}

/// Polls until the condition holds, for at most ten seconds.
pub(crate) fn wait_for(condition: impl Fn() -> bool) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        ensure!(Instant::now() < deadline, "a child did not get ready within ten seconds");
        std::thread::yield_now();
    }
    Ok(())
}

/// Stays busy: a sleep would take longer than the operation that is to be hit.
pub(crate) fn pass_time(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}
