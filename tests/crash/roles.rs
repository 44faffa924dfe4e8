//! A role has one holder: alive or stopped it keeps it, dead it does not.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use ringway::AttachError;

use super::both::{pass_time, wait_for};
use super::consumer::consume;
use super::producer::produce;
use crate::KINDS;
use crate::process::{
    Child, End, History, Kind, Outcome, ProducerNotes, Random, Stream, TestConsumer, TestDir, TestProducer,
    ensure, progress,
};

/// Not by a timer of its own.
const NEVER: End = End::After(Duration::MAX);

/// Whether the error names the holder of the role.
fn names_holder(error: &AttachError, child: &Child) -> Outcome {
    let AttachError::RoleTaken { pid, .. } = error else {
        return Err(format!("expected RoleTaken, found {error:?}").into());
    };
    let holder = child.pid().as_raw() as u32;
    ensure!(*pid == holder, "process {holder} holds the role, but the error names {pid}");
    ensure!(error.to_string().contains(&holder.to_string()), "the message names no process: {error}");
    Ok(())
}

/// The role is refused while its holder lives. How long after SIGKILL it is free is printed, not judged.
pub(crate) fn free_after_death(kills: u64) -> Outcome {
    let kind = KINDS[4];
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let notes = ProducerNotes::new();
    let mut history = History::new();
    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
    for round in 0..kills / 2 {
        progress();
        notes.reset(0);
        let child = Child::fork(|| produce(&place, kind.shape, &notes, 0, round, NEVER));
        wait_for(|| notes.is_ready())?;
        names_holder(&queue.producer().expect_err("a second producer"), &child)?;
        producers.push(time_until_free(child, || queue.producer())?);
        let consumer = queue.consumer()?;
        while consumer.try_recv().is_ok() {}
        drop(consumer);

        let child = Child::fork(|| consume(&place, kind.shape, &history, round, NEVER));
        wait_for(|| history.is_ready())?;
        names_holder(&queue.consumer().expect_err("a second consumer"), &child)?;
        consumers.push(time_until_free(child, || queue.consumer())?);
        history.clear(0);
    }
    print_times("a producer", &mut producers);
    print_times("a consumer", &mut consumers);
    place.leave()
}

/// From SIGKILL to the first attach that succeeds.
fn time_until_free<P>(child: Child, attach: impl Fn() -> Result<P, AttachError>) -> Outcome<Duration> {
    let start = Instant::now();
    child.strike()?;
    loop {
        match attach() {
            Ok(_) => break,
            Err(AttachError::RoleTaken { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        ensure!(start.elapsed() < Duration::from_secs(10), "the role of a dead process is still taken");
    }
    let time = start.elapsed();
    child.reap()?;
    Ok(time)
}

fn print_times(who: &str, times: &mut [Duration]) {
    times.sort();
    let at =
        |part: usize| times.get(times.len() * part / 100).or(times.last()).map_or(0, Duration::as_micros);
    println!(
        "     from SIGKILL to another attach, {who}: p50 {} us, p99 {} us, max {} us ({} kills)",
        at(50),
        at(99),
        at(100),
        times.len()
    );
}

/// A stopped process keeps its role, and goes on as if nothing had happened.
pub(crate) fn kept_while_stopped(stops: u64) -> Outcome {
    for kind in [KINDS[0], KINDS[3]] {
        producer_stops(kind, stops / 4)?;
        consumer_stops(kind.telling(), stops / 4)?;
    }
    Ok(())
}

fn producer_stops(kind: Kind, stops: u64) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let notes = ProducerNotes::new();
    let mut child = Child::fork(|| produce(&place, kind.shape, &notes, 0, 0, NEVER));
    wait_for(|| notes.is_ready())?;
    let consumer = queue.consumer()?;
    let stream = Stream::new(kind.shape, 0);
    let mut test_consumer = TestConsumer::new(&consumer, stream, &(), 4, Random::new(12));
    let mut random = Random::new(13);
    for _ in 0..stops {
        progress();
        stop(&mut child, &mut random)?;
        for _ in 0..20 {
            names_holder(&queue.producer().expect_err("a second producer"), &child)?;
        }
        ensure!(consumer.has_producer()?, "a stopped producer was taken for dead");
        test_consumer.drain()?;
        let before = test_consumer.taken;
        child.signal(Signal::SIGCONT)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while test_consumer.taken < before + 100 {
            if !test_consumer.step()? {
                std::thread::yield_now();
            }
            ensure!(Instant::now() < deadline, "nothing came after SIGCONT");
        }
    }
    child.kill()?;
    test_consumer.stream.doubt(notes.doubt())?;
    test_consumer.drain()?;
    test_consumer.stream.settle()?;
    println!("     {}: {stops} stops of the producer, {} messages", kind.name, test_consumer.taken);
    drop(test_consumer);
    drop(consumer);
    kind.is_whole(&queue)?;
    place.leave()
}

fn consumer_stops(kind: Kind, stops: u64) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let notes = ProducerNotes::new();
    let mut test_producer = TestProducer::new(queue.producer()?, kind.shape, 0, &notes, Random::new(14));
    let history = History::new();
    let mut child = Child::fork(|| consume(&place, kind.shape, &history, 0, NEVER));
    wait_for(|| history.is_ready())?;
    let mut random = Random::new(15);
    for _ in 0..stops {
        progress();
        stop(&mut child, &mut random)?;
        for _ in 0..20 {
            names_holder(&queue.consumer().expect_err("a second consumer"), &child)?;
        }
        ensure!(test_producer.producer().has_consumer()?, "a stopped consumer was taken for dead");
        while test_producer.try_one()? {}
        let before = test_producer.next();
        child.signal(Signal::SIGCONT)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while test_producer.next() < before + 100 {
            if !test_producer.step()? {
                std::thread::yield_now();
            }
            ensure!(Instant::now() < deadline, "no room came after SIGCONT");
        }
    }
    child.kill()?;
    println!("     {}: {stops} stops of the consumer, {} messages", kind.name, test_producer.next());
    drop(test_producer);
    drop(queue);
    place.leave()
}

/// SIGSTOP at a random point, and waits until it has stopped. A child that failed instead is an error.
fn stop(child: &mut Child, random: &mut Random) -> Outcome {
    pass_time(Duration::from_nanos(random.below(200_000)));
    child.signal(Signal::SIGSTOP)?;
    let status = child.wait()?;
    ensure!(
        matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)),
        "the child was to stop, but {status:?}"
    );
    Ok(())
}
