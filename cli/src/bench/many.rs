//! MPMC throughput: several producers send for a while, several consumers check every message; then
//! everything that was sent must have been received, once.
#![allow(unsafe_code, reason = "opens a queue that only this benchmark's processes know")]

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use ringway::mpmc::{BytesConsumer, BytesProducer, BytesQueue};
use serde::{Deserialize, Serialize};
use workload::{END, Tally, fill_bytes, first_of, make};

use super::check::{ManyCheck, check_bytes};
use super::memory::{APART, Memory};
use super::plan::{BATCH, Case, Shape};
use super::process;
use super::task::{Role, Task};
use super::words::with_words;
use super::{files, workers};

/// Messages between two readings of the clock.
const CHUNK: u64 = BATCH as u64;
/// Bytes of the memory in which workers report to each other that they are done.
const CONTROL_BYTES: u64 = 4096;

/// The result of a worker.
#[derive(Serialize, Deserialize)]
struct Answer {
    /// When the worker began to send, or received the end; all workers have the same clock.
    at_ns: u64,
    tally: Tally,
}

pub(super) fn files(capacity: Option<usize>) -> Result<files::Files> {
    files::Files::mpmc(capacity, CONTROL_BYTES)
}

/// Runs one worker.
pub(super) fn work(task: &Task, case: &Case, length: Duration) -> Result<()> {
    with_words!(case.bytes, work_in_words(task, case, length))
}

fn work_in_words<const W: usize>(task: &Task, case: &Case, length: Duration) -> Result<()> {
    let shape = case.shape.context("a case without a shape")?;
    let control = Control(Memory::open(&task.paths[1], CONTROL_BYTES)?);
    // SAFETY: only this benchmark's own processes know the file.
    let queue = unsafe { BytesQueue::open(&task.paths[0]) }?;
    let answer = match task.role {
        Role::Producer => {
            let mut producer = queue.producer()?;
            process::ready()?;
            let at_ns = now_ns()?;
            let count = send::<W>(&mut producer, first_of(task.index), case.batch, length)?;
            control.finish_sending::<W>(&mut producer, shape);
            Answer { at_ns, tally: Tally { count, sum: 0 } }
        }
        Role::Consumer => {
            let consumer = queue.consumer()?;
            process::ready()?;
            let tally = receive::<W>(&consumer, case.batch)?;
            let at_ns = now_ns()?;
            control.has_heard();
            Answer { at_ns, tally }
        }
    };
    process::answer(&answer)
}

/// Sends messages `first`, `first + 1`, ...; returns their number.
fn send<const W: usize>(
    producer: &mut BytesProducer,
    first: u64,
    batch: usize,
    length: Duration,
) -> Result<u64> {
    let start = Instant::now();
    let mut next = first;
    while start.elapsed() < length {
        if batch == 1 {
            for sequence in next..next + CHUNK {
                let mut frame = producer.reserve(8 * W)?;
                fill_bytes::<W>(sequence, &mut frame);
                frame.commit()?;
            }
        } else {
            let messages: [_; BATCH] = std::array::from_fn(|i| Message::<W>::new(next + i as u64));
            producer.send_many(&messages)?;
        }
        next += CHUNK;
    }
    Ok(next - first)
}

/// A message as bytes.
struct Message<const W: usize>([[u8; 8]; W]);

impl<const W: usize> Message<W> {
    #[inline(always)]
    fn new(sequence: u64) -> Self {
        Self(make::<W>(sequence).map(u64::to_ne_bytes))
    }
}

impl<const W: usize> AsRef<[u8]> for Message<W> {
    #[inline(always)]
    fn as_ref(&self) -> &[u8] {
        self.0.as_flattened()
    }
}

fn receive<const W: usize>(consumer: &BytesConsumer, batch: usize) -> Result<Tally> {
    let mut check = ManyCheck::new();
    while check.ends == 0 {
        if batch == 1 {
            check_bytes::<W>(&mut check, &consumer.recv()?)?;
        } else {
            for frame in consumer.recv_many(batch)?.iter() {
                check_bytes::<W>(&mut check, frame)?;
            }
        }
    }
    Ok(check.tally)
}

/// How the end reaches all consumers: a message goes to one consumer, and all of them need it.
struct Control(Memory);

impl Control {
    /// The last producer sends the end until each consumer has received it.
    fn finish_sending<const W: usize>(&self, producer: &mut BytesProducer, shape: Shape) {
        let done = self.0.word(0).fetch_add(1, Ordering::AcqRel) + 1;
        if done < shape.producers as u64 {
            return;
        }
        while self.0.word(APART).load(Ordering::Acquire) < shape.consumers as u64 {
            // There may be no room, or no consumer may be left that needs the message: neither is
            // an error.
            let _ = producer.try_send(Message::<W>::new(END).as_ref());
            std::thread::yield_now();
        }
    }

    fn has_heard(&self) {
        self.0.word(APART).fetch_add(1, Ordering::AcqRel);
    }
}

/// Messages per second, from the results of the workers, producers first.
///
/// # Errors
/// If a message that was sent did not arrive, or arrived twice.
pub(super) fn rate(answers: &[String], shape: Shape) -> Result<f64> {
    let answers = answers.iter().map(|answer| workers::read(answer)).collect::<Result<Vec<Answer>>>()?;
    let (producers, consumers) = answers.split_at(shape.producers);
    let sent = producers.iter().enumerate().fold(Tally::default(), |all, (index, producer)| {
        all.and(Tally::sent_by(index, producer.tally.count))
    });
    let received = consumers.iter().fold(Tally::default(), |all, consumer| all.and(consumer.tally));
    ensure!(
        sent == received,
        "{} messages were sent and {} received: some were lost, or came twice, or changed",
        sent.count,
        received.count
    );
    let start = producers.iter().map(|producer| producer.at_ns).min().context("a producer")?;
    // All messages have been taken when the first consumer receives the end, because there is one
    // order.
    let end = consumers.iter().map(|consumer| consumer.at_ns).min().context("a consumer")?;
    Ok(received.count as f64 * 1e9 / end.saturating_sub(start).max(1) as f64)
}

/// The time by a clock that is the same in all processes.
fn now_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).context("reading the clock")?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
