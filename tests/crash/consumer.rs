//! A consumer is killed at a random point, holding guards; another takes over while the producer goes on.

use super::producer::SPREAD;
use crate::process::{
    BackgroundInspector, Child, End, History, Kind, Outcome, ProducerNotes, Random, Shape, TestConsumer,
    TestDir, TestProducer, ensure,
};

/// Every message that was not released is redelivered, in order, whole, and is marked as
/// redelivered.
pub(crate) fn dies(kind: Kind, kills: u64) -> Outcome {
    let kind = kind.telling();
    let place = TestDir::new()?;
    let background_inspector = BackgroundInspector::start(&place);
    let queue = kind.create(&place)?;
    let notes = ProducerNotes::new();
    let mut test_producer = TestProducer::new(queue.producer()?, kind.shape, 0, &notes, Random::new(2));
    let mut history = History::new();
    let mut random = Random::new(kind.name.len() as u64);
    let (mut held, mut again, mut taken) = (0, 0, 0);
    for round in 0..kills {
        background_inspector.check()?;
        let end = End::random(&mut random, SPREAD);
        let child = Child::fork(|| consume(&place, kind.shape, &history, round, end));
        end.carry_out(child, || history.is_ready(), || test_producer.step())?;
        ensure!(!test_producer.producer().has_consumer()?, "a dead consumer was taken for a live one");
        held += u64::from(history.death(test_producer.next())? > 0);
        if random.below(2) == 0 {
            let consumer = place.open()?.consumer()?;
            let stream = history.stream(kind.shape);
            let mut test_consumer =
                TestConsumer::new(&consumer, stream, &history, 4, Random::new(round)).with_rejects();
            History::take_all(&mut test_consumer, test_producer.next())?;
            ensure!(test_producer.try_one()?, "everything was released, and the queue is full");
            History::take_all(&mut test_consumer, test_producer.next())?;
            again += test_consumer.again;
            taken += test_consumer.taken;
            drop(test_consumer);
            history.clear(test_producer.next());
        }
    }
    let consumer = queue.consumer()?;
    let mut test_consumer =
        TestConsumer::new(&consumer, history.stream(kind.shape), &history, 4, Random::new(3));
    History::take_all(&mut test_consumer, test_producer.next())?;
    println!(
        "     {kills} kills, {held} of them with messages held; {} messages sent, {taken} taken by successors that \
         live, {again} of them again",
        test_producer.next()
    );
    if kills >= 500 {
        ensure!(
            held > kills / 10 && again > 0,
            "no kill hit a consumer that held messages: nothing was tested"
        );
    }
    drop((test_consumer, test_producer));
    drop(consumer);
    kind.is_whole(&queue)?;
    place.leave()
}

/// What the child does until it is killed.
pub(crate) fn consume(place: &TestDir, shape: Shape, history: &History, salt: u64, end: End) -> Outcome {
    let consumer = place.open()?.consumer()?;
    history.set_ready();
    let limit = 1 + salt as usize % 8;
    let stream = history.stream(shape);
    let mut test_consumer =
        TestConsumer::new(&consumer, stream, history, limit, Random::new(salt)).with_rejects();
    end.arm();
    loop {
        test_consumer.step()?;
    }
}
