//! Limits of the machine itself: no queue could be faster.
#![allow(unsafe_code, reason = "bytes in a mapping that only this measurement's processes know")]

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;
use workload::{examine, fill};

use super::control::Control;
use super::crew::{self, pin};
use super::{Answer, Scope, Task};
use crate::case::Limit;
use crate::shared::{Shared, Words};

const LINE_WORDS: usize = 8;
/// Lines in the ring: 1 MiB.
const LINES: u64 = 16_384;
/// Progress is published once in this number of lines.
const LINES_PER_PUBLISH: u64 = 8;
/// The reader releases room in pieces of this many lines.
const LINES_PER_RELEASE: u64 = LINES / 16;
/// Spin hints after nothing was found, so that the reader does not take the writer's lines away one by one.
const PAUSE: u32 = 32;
/// Written to the tail when the writer is done.
const DONE: u64 = 1 << 63;
const LONGEST_NS: u64 = 1_000_000_000;

pub(super) fn run(task: &Task, limit: Limit) -> Result<Answer> {
    match limit {
        Limit::Pingpong => pingpong(task),
        Limit::Stream => stream(task),
        Limit::Memcpy { bytes } => {
            pin(task.cores[0]);
            Ok(Answer::Figure { value: copies(bytes, task.length), p99: None })
        }
    }
}

/// One line there and back, between two processes.
fn pingpong(task: &Task) -> Result<Answer> {
    let line = Shared::<CachePadded<AtomicU64>>::new()?;
    let control = Shared::<Control>::new()?;
    let wait_for = |value: u64| {
        let mut polls = 0_u64;
        while line.load(Ordering::Acquire) != value {
            std::hint::spin_loop();
            polls += 1;
            if polls.is_multiple_of(1 << 16) && control.is_over() {
                return false;
            }
        }
        true
    };
    let work = |worker: usize| {
        pin(task.cores[worker]);
        control.wait_for_go();
        let mut round = 0_u64;
        if worker == 0 {
            while wait_for(2 * round + 1) {
                line.store(2 * round + 2, Ordering::Release);
                round += 1;
            }
            return Ok(());
        }
        let mut histogram = Histogram::<u64>::new_with_max(LONGEST_NS, 3).context("making a histogram")?;
        while !control.is_over() {
            let start = Instant::now();
            line.store(2 * round + 1, Ordering::Release);
            if wait_for(2 * round + 2) {
                histogram.saturating_record(start.elapsed().as_nanos() as u64);
            }
            round += 1;
        }
        for (index, quantile) in [0.5, 0.99].into_iter().enumerate() {
            let value = histogram.value_at_quantile(quantile);
            control.consumers[index].at_ns.store(value, Ordering::Relaxed);
        }
        Ok(())
    };
    conduct(task, &control, work)?;
    let [median, p99] =
        [0, 1].map(|index: usize| control.consumers[index].at_ns.load(Ordering::Relaxed) as f64);
    Ok(Answer::Figure { value: median, p99: Some(p99) })
}

fn conduct(task: &Task, control: &Control, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    crew::run(Scope::Processes, 2, work, || control.conduct(2, task.length))
}

#[repr(align(64))]
struct Line([u64; LINE_WORDS]);

/// A ring of lines; `tail` and `head` say which side owns which.
struct Ring {
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
    lines: [UnsafeCell<Line>; LINES as usize],
}

// SAFETY: good when zeroed. The lines are no atomics: only their owner, according to `tail` and
// `head`, touches them.
unsafe impl Words for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

fn stream(task: &Task) -> Result<Answer> {
    let ring = Shared::<Ring>::new()?;
    let control = Shared::<Control>::new()?;
    let work = |worker: usize| {
        pin(task.cores[worker]);
        control.wait_for_go();
        if worker == 0 {
            write_lines(&ring, &control);
            return Ok(());
        }
        let rate = read_lines(&ring)?;
        control.consumers[0].at_ns.store(rate as u64, Ordering::Relaxed);
        Ok(())
    };
    conduct(task, &control, work)?;
    Ok(Answer::Figure { value: control.consumers[0].at_ns.load(Ordering::Relaxed) as f64, p99: None })
}

impl Ring {
    fn line(&self, line: u64) -> *mut Line {
        self.lines[(line % LINES) as usize].get()
    }
}

fn write_lines(ring: &Ring, control: &Control) {
    let (mut written, mut limit) = (0, LINES);
    while !control.is_over() {
        for _ in 0..LINES_PER_RELEASE / LINES_PER_PUBLISH {
            while written + LINES_PER_PUBLISH > limit {
                limit = ring.head.load(Ordering::Acquire) + LINES;
                std::hint::spin_loop();
            }
            for line in written..written + LINES_PER_PUBLISH {
                // SAFETY: lines from `written` to `limit` are the writer's; the reader sees them
                // after the store below.
                fill(line, &mut unsafe { &mut *ring.line(line) }.0);
            }
            written += LINES_PER_PUBLISH;
            ring.tail.store(written, Ordering::Release);
        }
    }
    ring.tail.store(written | DONE, Ordering::Release);
}

/// Returns lines a second.
fn read_lines(ring: &Ring) -> Result<f64> {
    let (mut read, mut released, mut wrong) = (0, 0, 0);
    let mut start = None;
    loop {
        let known = ring.tail.load(Ordering::Acquire);
        let (end, done) = (known & !DONE, known & DONE != 0);
        if read == end {
            if done {
                break;
            }
            ring.head.store(read, Ordering::Release);
            released = read;
            (0..PAUSE).for_each(|_| std::hint::spin_loop());
            continue;
        }
        start.get_or_insert_with(Instant::now);
        while read < end {
            // SAFETY: lines below `tail` are complete, and the writer leaves them alone until
            // `head` passes them.
            let (first, differs) = examine(unsafe { &*ring.line(read) }.0.iter().copied());
            wrong |= differs | (first ^ read);
            read += 1;
            if read - released >= LINES_PER_RELEASE {
                ring.head.store(read, Ordering::Release);
                released = read;
            }
        }
    }
    ensure!(wrong == 0, "a line arrived with wrong content");
    let elapsed = start.map_or(Duration::ZERO, |start| start.elapsed());
    Ok(read as f64 / elapsed.as_secs_f64())
}

/// Copies a second, of this number of bytes, by one core, within its own memory.
fn copies(bytes: usize, length: Duration) -> f64 {
    let (from, mut to) = (vec![1_u8; bytes], vec![2_u8; bytes]);
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < length {
        for _ in 0..8 {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
            count += 1;
        }
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}
