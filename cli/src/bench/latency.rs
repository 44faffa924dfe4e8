//! Round trips over two queues, spinning: one message is sent and returned at a time.
#![allow(unsafe_code, reason = "opens queues that only this benchmark's processes know")]

use std::time::Instant;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use ringway::spsc::{BytesConsumer, BytesProducer, BytesQueue};
use workload::fill_bytes;

use super::check::Checker;
use super::plan::Case;
use super::process;
use super::statistics::Percentiles;
use super::task::{Role, Task};
use super::words::with_words;

/// The longest round trip that the histogram can record.
pub(super) const LONGEST_NS: u64 = 10_000_000_000;

/// One side of a latency case: the consumer sends and measures, the producer echoes.
pub(super) fn work(task: &Task, case: &Case, round_trips: u64) -> Result<()> {
    with_words!(case.bytes, work_in_words(task, round_trips))
}

fn work_in_words<const W: usize>(task: &Task, round_trips: u64) -> Result<()> {
    // SAFETY: only this benchmark's own processes know the files.
    let there = unsafe { BytesQueue::open(&task.paths[0]) }?;
    // SAFETY: as above.
    let back = unsafe { BytesQueue::open(&task.paths[1]) }?;
    match task.role {
        Role::Producer => {
            let (requests, mut replies) = (there.consumer()?, back.producer()?);
            process::ready()?;
            echo::<W>(&requests, &mut replies, round_trips)?;
            process::answer(&"echoed")
        }
        Role::Consumer => {
            let (mut requests, replies) = (there.producer()?, back.consumer()?);
            process::ready()?;
            process::answer(&measure::<W>(&mut requests, &replies, round_trips)?)
        }
    }
}

fn echo<const W: usize>(
    requests: &BytesConsumer,
    replies: &mut BytesProducer,
    round_trips: u64,
) -> Result<()> {
    let mut checker = Checker::new();
    for sequence in 0..round_trips {
        checker.check_bytes::<W>(&requests.recv()?)?;
        let mut reply = replies.reserve(8 * W)?;
        fill_bytes::<W>(sequence, &mut reply);
        reply.commit()?;
    }
    Ok(())
}

fn measure<const W: usize>(
    requests: &mut BytesProducer,
    replies: &BytesConsumer,
    round_trips: u64,
) -> Result<Percentiles> {
    let mut histogram = Histogram::new_with_max(LONGEST_NS, 3).context("making a histogram")?;
    let mut checker = Checker::new();
    for sequence in 0..round_trips {
        let start = Instant::now();
        let mut request = requests.reserve(8 * W)?;
        fill_bytes::<W>(sequence, &mut request);
        request.commit()?;
        checker.check_bytes::<W>(&replies.recv()?)?;
        histogram.saturating_record(start.elapsed().as_nanos() as u64);
    }
    Ok(Percentiles::of(&histogram))
}
