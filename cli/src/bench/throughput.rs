//! Throughput: the producer sends for a while, the consumer checks every message and measures the
//! time.
#![allow(unsafe_code, reason = "opens queues that only this benchmark's processes know")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ringway::SendError;
use ringway::spsc::{BytesConsumer, BytesProducer, BytesQueue, Queue};
use workload::{fill_bytes, make};

use super::check::{Checker, LAST};
use super::plan::{Case, Framing};
use super::process;
use super::task::{Role, Task};
use super::words::with_words;

/// The producer reads the clock once per this many messages.
const MESSAGES_PER_CLOCK: u64 = 256;

/// One side of a throughput case.
pub(super) fn work(task: &Task, case: &Case, length: Duration) -> Result<()> {
    with_words!(case.bytes, work_in_words(task, case, length))
}

fn work_in_words<const W: usize>(task: &Task, case: &Case, length: Duration) -> Result<()> {
    let path = &task.paths[0];
    if case.framing == Framing::Typed {
        // SAFETY: only this benchmark's own processes know the file.
        let queue = unsafe { Queue::<[u64; W]>::open(path) }?;
        return match task.role {
            Role::Producer => send_typed(&queue, case.batch, length),
            Role::Consumer => receive_typed(&queue, case.batch),
        };
    }
    // SAFETY: as above.
    let queue = unsafe { BytesQueue::open(path) }?;
    match task.role {
        Role::Producer => {
            let mut producer = queue.producer()?;
            process::ready()?;
            match case.batch {
                1 => send::<W>(&mut producer, length)?,
                batch => send_batches::<W>(&mut producer, batch, length)?,
            }
            process::answer(&"sent")
        }
        Role::Consumer => {
            let consumer = queue.consumer()?;
            process::ready()?;
            let rate = match case.batch {
                1 => receive::<W>(&consumer)?,
                batch => receive_batches::<W>(&consumer, batch)?,
            };
            process::answer(&rate)
        }
    }
}

fn send<const W: usize>(producer: &mut BytesProducer, length: Duration) -> Result<()> {
    let start = Instant::now();
    let mut sequence = 0;
    while start.elapsed() < length {
        for _ in 0..MESSAGES_PER_CLOCK.min(1 + (1 << 20) / (8 * W as u64)) {
            let mut frame = producer.reserve(8 * W)?;
            fill_bytes::<W>(sequence, &mut frame);
            frame.commit()?;
            sequence += 1;
        }
    }
    let mut frame = producer.reserve(8 * W)?;
    fill_bytes::<W>(LAST, &mut frame);
    frame.commit()?;
    Ok(())
}

fn send_batches<const W: usize>(producer: &mut BytesProducer, size: usize, length: Duration) -> Result<()> {
    let start = Instant::now();
    let mut sequence = 0;
    while start.elapsed() < length {
        for _ in 0..(MESSAGES_PER_CLOCK as usize / size).max(1) {
            sequence = send_batch::<W>(producer, sequence, size)?;
        }
    }
    let mut frame = producer.reserve(8 * W)?;
    fill_bytes::<W>(LAST, &mut frame);
    frame.commit()?;
    Ok(())
}

/// Sends up to `size` messages in one commit, waiting for room for the first. Returns the next
/// sequence number.
#[inline(always)]
fn send_batch<const W: usize>(producer: &mut BytesProducer, mut sequence: u64, size: usize) -> Result<u64> {
    let mut batch = producer.batch()?;
    while batch.len() < size {
        match batch.try_reserve(8 * W) {
            Ok(frame) => fill_bytes::<W>(sequence, frame),
            Err(SendError::Full) => break,
            Err(error) => return Err(error.into()),
        }
        sequence += 1;
    }
    if batch.commit()? == 0 {
        producer.reserve(8 * W)?.abort();
    }
    Ok(sequence)
}

/// Measures the time from the first message to the last.
struct Stopwatch(Option<Instant>);

impl Stopwatch {
    fn rate(&self, checker: &Checker) -> Result<f64> {
        let start = self.0.filter(|_| checker.count() > 1);
        ensure!(start.is_some(), "too few messages came to measure anything");
        let elapsed = start.map_or(Duration::ZERO, |start| start.elapsed());
        Ok((checker.count() - 1) as f64 / elapsed.as_secs_f64())
    }
}

fn receive<const W: usize>(consumer: &BytesConsumer) -> Result<f64> {
    let mut checker = Checker::new();
    checker.check_bytes::<W>(&consumer.recv()?)?;
    let watch = Stopwatch(Some(Instant::now()));
    while !checker.check_bytes::<W>(&consumer.recv()?)? {}
    watch.rate(&checker)
}

fn receive_batches<const W: usize>(consumer: &BytesConsumer, size: usize) -> Result<f64> {
    let mut checker = Checker::new();
    checker.check_bytes::<W>(&consumer.recv()?)?;
    let watch = Stopwatch(Some(Instant::now()));
    loop {
        for frame in consumer.recv_many(size)?.iter() {
            if checker.check_bytes::<W>(frame)? {
                return watch.rate(&checker);
            }
        }
    }
}

fn send_typed<const W: usize>(queue: &Queue<[u64; W]>, size: usize, length: Duration) -> Result<()> {
    let mut producer = queue.producer()?;
    process::ready()?;
    let start = Instant::now();
    let mut sequence = 0;
    let mut batch = Vec::with_capacity(size);
    while start.elapsed() < length {
        if size == 1 {
            for _ in 0..MESSAGES_PER_CLOCK {
                producer.send(&make::<W>(sequence))?;
                sequence += 1;
            }
        } else {
            batch.clear();
            batch.extend((0..size as u64).map(|i| make::<W>(sequence + i)));
            producer.send_many(&batch)?;
            sequence += size as u64;
        }
    }
    producer.send(&make::<W>(LAST))?;
    process::answer(&"sent")
}

fn receive_typed<const W: usize>(queue: &Queue<[u64; W]>, size: usize) -> Result<()> {
    let consumer = queue.consumer()?;
    process::ready()?;
    let mut checker = Checker::new();
    checker.check::<W>(consumer.recv()?.iter().map(|word| word.to_native()))?;
    let watch = Stopwatch(Some(Instant::now()));
    let mut done = false;
    while !done {
        if size == 1 {
            let frame = consumer.recv()?;
            done = checker.check::<W>(frame.iter().map(|word| word.to_native()))?;
        } else {
            for words in consumer.recv_many(size)?.iter() {
                done |= checker.check::<W>(words?.iter().map(|word| word.to_native()))?;
            }
        }
    }
    process::answer(&watch.rate(&checker)?)
}
