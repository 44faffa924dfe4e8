//! The machine's limits: a cache line sent back and forth between two processes, and lines streamed
//! through memory that both map. No queue could be faster; the results are quoted beside the
//! queue's.
#![allow(unsafe_code, reason = "atomics and bytes in a mapping that only this benchmark's processes know")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use super::latency::LONGEST_NS;
use super::memory::{APART, Memory};
use super::process;
use super::statistics::Percentiles;
use super::task::{Role, Task};

/// Bytes that the ping-pong maps.
pub(super) const PINGPONG_BYTES: u64 = 4096;

const LINE: usize = 64;
const WORDS: usize = LINE / 8;
/// Lines in the ring: 1 MiB, as the default queue.
const LINES: u64 = 16_384;
/// Progress is published once per this many lines.
const LINES_PER_PUBLISH: u64 = 8;
/// The reader releases room in pieces of this many lines.
const LINES_PER_RELEASE: u64 = LINES / 16;
/// Spin hints after an attempt that found nothing, so that the reader does not take the writer's
/// lines away one by one.
const PAUSE: u32 = 32;
const RING_OFFSET: usize = 4096;
/// Bytes that the stream maps.
pub(super) const STREAM_BYTES: u64 = RING_OFFSET as u64 + LINES * LINE as u64;
/// Written to the tail when the writer is done.
const DONE: u64 = 1 << 63;

/// The `line`-th line of the ring.
#[inline(always)]
fn line_of(memory: &Memory, line: u64) -> *mut [u64; WORDS] {
    let lines = memory.at(RING_OFFSET, LINES as usize * LINE).cast::<[u64; WORDS]>();
    // SAFETY: one of the ring's LINES lines, which lie inside the mapping.
    unsafe { lines.add((line % LINES) as usize) }
}

/// One side of the ping-pong: each side writes its own line and waits for the other's.
pub(super) fn work_pingpong(task: &Task, round_trips: u64) -> Result<()> {
    let memory = Memory::open(&task.paths[0], PINGPONG_BYTES)?;
    let (ping, pong) = (memory.word(0), memory.word(APART));
    process::ready()?;
    let wait_for = |word: &AtomicU64, value| {
        while word.load(Ordering::Acquire) != value {
            std::hint::spin_loop();
        }
    };
    match task.role {
        Role::Producer => {
            for round in 1..=round_trips {
                wait_for(ping, round);
                pong.store(round, Ordering::Release);
            }
            process::answer(&"echoed")
        }
        Role::Consumer => {
            let mut histogram = Histogram::new_with_max(LONGEST_NS, 3).context("making a histogram")?;
            for round in 1..=round_trips {
                let start = Instant::now();
                ping.store(round, Ordering::Release);
                wait_for(pong, round);
                histogram.saturating_record(start.elapsed().as_nanos() as u64);
            }
            process::answer(&Percentiles::of(&histogram))
        }
    }
}

/// One side of the stream.
pub(super) fn work_stream(task: &Task, length: Duration) -> Result<()> {
    let memory = Memory::open(&task.paths[0], STREAM_BYTES)?;
    process::ready()?;
    match task.role {
        Role::Producer => {
            write_lines(&memory, length);
            process::answer(&"written")
        }
        Role::Consumer => process::answer(&read_lines(&memory)?),
    }
}

fn write_lines(memory: &Memory, length: Duration) {
    let (tail, head) = (memory.word(0), memory.word(APART));
    let start = Instant::now();
    let (mut written, mut limit) = (0, LINES);
    while start.elapsed() < length {
        for _ in 0..LINES_PER_RELEASE / LINES_PER_PUBLISH {
            while written + LINES_PER_PUBLISH > limit {
                limit = head.load(Ordering::Acquire) + LINES;
                std::hint::spin_loop();
            }
            for line in written..written + LINES_PER_PUBLISH {
                let words = std::array::from_fn(|i| line.wrapping_add(i as u64));
                // SAFETY: the writer owns the lines from `written` to `limit`; the reader sees them
                // after the store below.
                unsafe { line_of(memory, line).write(words) };
            }
            written += LINES_PER_PUBLISH;
            tail.store(written, Ordering::Release);
        }
    }
    tail.store(written | DONE, Ordering::Release);
}

/// Returns bytes per second.
fn read_lines(memory: &Memory) -> Result<f64> {
    let (tail, head) = (memory.word(0), memory.word(APART));
    let (mut read, mut released) = (0, 0);
    let mut wrong = 0;
    let mut start = None;
    loop {
        let known = tail.load(Ordering::Acquire);
        let (end, done) = (known & !DONE, known & DONE != 0);
        if read == end {
            if done {
                break;
            }
            head.store(read, Ordering::Release);
            released = read;
            (0..PAUSE).for_each(|_| std::hint::spin_loop());
            continue;
        }
        start.get_or_insert_with(Instant::now);
        while read < end {
            // SAFETY: lines below `tail` are complete, and the writer does not touch them until
            // `head` passes them.
            let words = unsafe { line_of(memory, read).read() };
            for (i, word) in words.into_iter().enumerate() {
                wrong |= word ^ read.wrapping_add(i as u64);
            }
            read += 1;
            if read - released >= LINES_PER_RELEASE {
                head.store(read, Ordering::Release);
                released = read;
            }
        }
    }
    ensure!(wrong == 0, "a line arrived with wrong content");
    let elapsed = start.map_or(Duration::ZERO, |start| start.elapsed());
    Ok((read * LINE as u64) as f64 / elapsed.as_secs_f64())
}
