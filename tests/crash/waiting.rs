//! A participant is killed while another one waits.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringway::{RecvError, SendError};

use super::both::{pass_time, wait_for};
use crate::KINDS;
use crate::process::{Child, Outcome, ProducerNotes, Random, TestDir, Words, ensure, progress};

/// Longer than any wait here lasts when all is well.
const LONG: Duration = Duration::from_secs(30);

/// A consumer waits while one producer after another dies; the message of the one that lives reaches it.
pub(crate) fn for_a_message(kills: u64) -> Outcome {
    for kind in [KINDS[0], KINDS[3]] {
        let place = TestDir::new()?;
        let queue = kind.create(&place)?;
        let words = Words::new(2);
        let (waiting, got) = (&words[0], &words[1]);
        let mut random = Random::new(9);
        let consumer = Child::fork(|| {
            let consumer = place.open()?.consumer()?;
            for round in 1.. {
                waiting.store(round, Ordering::SeqCst);
                let frame = consumer.recv_timeout(LONG)?;
                ensure!(kind.shape.is(round * 8, &frame), "round {round}: another message came");
                got.store(round, Ordering::SeqCst);
            }
            Ok(())
        });
        for round in 1..=kills / 2 {
            progress();
            wait_for(|| waiting.load(Ordering::SeqCst) == round)?;
            let producer = Child::fork(|| only_claim(&place, kind.shape.len(0)));
            pass_time(Duration::from_nanos(random.below(500_000)));
            producer.kill()?;
            ensure!(got.load(Ordering::SeqCst) < round, "a message came that nobody committed");
            queue.producer()?.send(&kind.shape.message(round * 8))?;
            wait_for(|| got.load(Ordering::SeqCst) == round)?;
        }
        println!("     {}: {} kills", kind.name, kills / 2);
        consumer.kill()?;
        drop(queue);
        place.leave()?;
    }
    Ok(())
}

/// Claims and scribbles, but never commits.
fn only_claim(place: &TestDir, len: usize) -> Outcome {
    let mut producer = place.open()?.producer()?;
    loop {
        producer.reserve(len)?.fill(0xee);
        let mut batch = producer.batch()?;
        batch.try_reserve(len)?.fill(0xdd);
        batch.try_reserve(len)?.fill(0xcc);
    }
}

/// A producer waits for room while one consumer after another dies; when one lives and releases, it
/// continues.
pub(crate) fn for_room(kills: u64) -> Outcome {
    for kind in [KINDS[0].telling(), KINDS[3]] {
        let place = TestDir::new()?;
        let queue = kind.create(&place)?;
        let notes = ProducerNotes::new();
        let mut random = Random::new(10);
        let producer = Child::fork(|| {
            let mut producer = place.open()?.producer()?;
            for seq in 0.. {
                producer.send_timeout(&kind.shape.message(seq), LONG)?;
                notes.set_sent(seq + 1);
            }
            Ok(())
        });
        let mut next = 0;
        for _ in 0..kills / 2 {
            progress();
            let child = Child::fork(|| only_hold(&place));
            pass_time(Duration::from_nanos(random.below(500_000)));
            child.kill()?;
            let consumer = queue.consumer()?;
            let sent = notes.sent();
            for _ in 0..1 + random.below(5) {
                let frame = consumer.recv_timeout(LONG)?;
                ensure!(kind.shape.is(next, &frame), "another message than {next} came");
                next += 1;
            }
            // Now the producer must continue.
            while notes.sent() <= sent {
                let frame = consumer.recv_timeout(LONG)?;
                ensure!(kind.shape.is(next, &frame), "another message than {next} came");
                next += 1;
            }
        }
        println!("     {}: {} kills, {next} messages", kind.name, kills / 2);
        producer.kill()?;
        drop(queue);
        place.leave()?;
    }
    Ok(())
}

/// Takes as much as there is, and releases nothing.
fn only_hold(place: &TestDir) -> Outcome {
    let consumer = place.open()?.consumer()?;
    let mut held = Vec::new();
    loop {
        match consumer.recv_timeout(Duration::from_millis(1)) {
            Ok(frame) => held.push(frame),
            Err(RecvError::Timeout) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The participant that waits is killed; its successor finds everything in order. Waits end when
/// their time is up, though the other side is dead.
pub(crate) fn dies(kills: u64) -> Outcome {
    for kind in [KINDS[0].telling(), KINDS[3]] {
        let place = TestDir::new()?;
        let queue = kind.create(&place)?;
        let mut random = Random::new(11);
        let mut next = 0;
        for round in 0..kills / 4 {
            progress();
            let consumer = Child::fork(|| {
                place.open()?.consumer()?.recv_timeout(LONG)?;
                Err("a message came that nobody sent".into())
            });
            pass_time(Duration::from_nanos(random.below(500_000)));
            consumer.kill()?;

            let mut producer = queue.producer()?;
            let mut sent = next;
            while producer.try_send(&kind.shape.message(sent)).is_ok() {
                sent += 1;
            }
            drop(producer);
            let producer = Child::fork(|| {
                place.open()?.producer()?.send_timeout(&kind.shape.message(sent), LONG)?;
                Err("there was no room, and yet it was sent".into())
            });
            pass_time(Duration::from_nanos(random.below(500_000)));
            producer.kill()?;

            if round % 64 == 0 {
                waits_end(&place, &kind.shape.message(sent))?;
            }
            let consumer = queue.consumer()?;
            while let Ok(frame) = consumer.try_recv() {
                ensure!(kind.shape.is(next, &frame), "another message than {next} came");
                next += 1;
            }
            ensure!(next == sent, "{next} messages came, {sent} were sent");
        }
        println!("     {}: {} kills, {next} messages", kind.name, kills / 4 * 2);
        kind.is_whole(&queue)?;
        place.leave()?;
    }
    Ok(())
}

/// The queue is full and there is no consumer.
fn waits_end(place: &TestDir, message: &[u8]) -> Outcome {
    let timeout = Duration::from_millis(5);
    let start = Instant::now();
    let refused = place.open()?.producer()?.send_timeout(message, timeout);
    ensure!(matches!(refused, Err(SendError::Timeout { .. })), "expected Timeout, found {refused:?}");
    ensure!(start.elapsed() >= timeout, "the wait ended early");
    ensure!(start.elapsed() < Duration::from_secs(5), "the wait took {:?}", start.elapsed());
    Ok(())
}
