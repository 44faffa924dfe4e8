//! Attaching, detaching and recovering.

use ringway::spsc::BytesConsumer;
use ringway::{RecvError, mpmc};

use super::checks::{Holdings, explains, many, many_passes, many_works, passes, spsc, spsc_works};
use super::injector::{Gate, Operation, each_call_fails};
use crate::process::{Child, Outcome, Test, TestDir, ensure};

pub(crate) fn tests() -> Vec<Test> {
    let operation = |name, prepare, body, check| Operation { name, prepare, body, check, without: None };
    let operations = [
        operation("attach a producer", make, attach_producer, spsc_works),
        operation("attach a consumer", make, attach_consumer, spsc_works),
        operation("detach", make, detach, spsc_works),
        operation("attach an MPMC producer", make_many, attach_many_producer, many_works),
        operation("attach an MPMC consumer", make_many, attach_many_consumer, many_works),
        operation("detach, MPMC", make_many, detach_many, many_works),
        operation("recover", make_dead, recover, many_works),
        operation("attach after a death", make_dead, attach_many_consumer, many_works),
    ];
    let test = |operation: Operation| Test::new(operation.name, move || each_call_fails(operation));
    operations.map(test).into()
}

fn make(place: &TestDir) -> Outcome {
    place.create(&spsc()).map(drop)
}

fn make_many(place: &TestDir) -> Outcome {
    place.create_mpmc(&many()).map(drop)
}

/// With a producer and a consumer that were killed; the latter held a message.
fn make_dead(place: &TestDir) -> Outcome {
    make_many(place)?;
    Child::fork(|| {
        let queue = place.open_mpmc()?;
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        producer.send(b"held by the dead")?;
        let _held = consumer.recv()?;
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)?;
        Ok(())
    })
    .reap()
}

/// Attaches with a failure; a participant that is attached in spite of that works, and nothing leaks.
fn attached<P, E: std::error::Error + 'static>(
    place: &TestDir,
    gate: &Gate,
    attach: impl FnOnce() -> Result<P, E>,
    works: impl FnOnce(&mut P) -> Outcome,
) -> Outcome {
    let before = Holdings::now()?;
    let mut result = gate.around(attach)?;
    match &mut result {
        Ok(attached) => works(attached)?,
        Err(error) => explains(error, &place.path().display().to_string())?,
    }
    drop(result);
    before.all_given_back()
}

fn attach_producer(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open()?;
    attached(place, gate, || queue.producer(), |producer| Ok(producer.try_send(b"after all")?))?;
    let consumer = queue.consumer()?;
    while consumer.try_recv().is_ok() {}
    drop(consumer);
    passes(&queue)
}

fn attach_consumer(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open()?;
    let finds_nothing = |consumer: &mut BytesConsumer| {
        ensure!(matches!(consumer.try_recv(), Err(RecvError::Empty)), "something came");
        Ok(())
    };
    attached(place, gate, || queue.consumer(), finds_nothing)?;
    passes(&queue)
}

fn detach(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open()?;
    let before = Holdings::now()?;
    let both = (queue.producer()?, queue.consumer()?);
    gate.around(|| drop(both))?;
    before.all_given_back()?;
    passes(&queue)
}

fn attach_many_producer(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open_mpmc()?;
    attached(place, gate, || queue.producer(), |producer| Ok(producer.try_send(b"after all")?))?;
    let consumer = queue.consumer()?;
    while consumer.try_recv().is_ok() {}
    drop(consumer);
    many_passes(&queue)
}

/// There may be a message that a dead consumer held; it is not lost, whatever fails.
fn attach_many_consumer(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open_mpmc()?;
    let was_sent = queue.stats().sent != 0;
    // A message that a dead consumer held is not taken here: it is checked below.
    let finds_nothing = |consumer: &mut mpmc::BytesConsumer| {
        ensure!(was_sent || matches!(consumer.try_recv(), Err(RecvError::Empty)), "something came");
        Ok(())
    };
    attached(place, gate, || queue.consumer(), finds_nothing)?;
    comes_if_it_was_sent(&queue)?;
    many_passes(&queue)
}

fn detach_many(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open_mpmc()?;
    let before = Holdings::now()?;
    let both = (queue.producer()?, queue.consumer()?);
    gate.around(|| drop(both))?;
    before.all_given_back()?;
    many_passes(&queue)
}

fn recover(place: &TestDir, gate: &Gate) -> Outcome {
    let queue = place.open_mpmc()?;
    attached(place, gate, || queue.recover(), |_| Ok(()))?;
    queue.recover()?;
    comes_if_it_was_sent(&queue)?;
    many_passes(&queue)
}

fn comes_if_it_was_sent(queue: &mpmc::BytesQueue) -> Outcome {
    let stats = queue.stats();
    if stats.sent == 0 {
        return Ok(());
    }
    let consumer = queue.consumer()?;
    let frame = consumer.recv_timeout(super::checks::SOON)?;
    ensure!(*frame == *b"held by the dead" && frame.redeliveries() == 1, "{frame:?}");
    Ok(())
}
