//! What a consumer costs that waits for messages which do not come: it looks for participants that died, now and then.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use ringway::{CreateOptions, RecvError};

use crate::queue;

/// Of one core, for what a consumer does between sleeps ...
const MOST: f64 = 0.001;
/// ... and for the sleeps: this many times what a bare sleep of ten milliseconds costs the machine, 2 us on some and 20 us on
/// others (virtual ones), as often as it fits.
const SLEEPS: f64 = 4.0;
/// How long a consumer waits.
const TIME: Duration = Duration::from_secs(3);
/// A measurement that another load disturbs (caches that others evict, interrupts in this thread) is repeated.
const ATTEMPTS: usize = 5;

/// The processor time that this thread has used.
fn used() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    Duration::new(now.tv_sec() as u64, now.tv_nsec() as u32)
}

/// The part of a core that a consumer takes among so many participants, `holders` of which hold a message.
fn share(others: usize, holders: usize) -> f64 {
    let (_dir, queue) = queue(
        &CreateOptions::new().max_participants(others + 2).max_messages(others.max(64)).ring_bytes(4096),
    );
    let mut producer = queue.producer().unwrap();
    let others: Vec<_> = (0..others).map(|_| queue.consumer().unwrap()).collect();
    let held: Vec<_> = others
        .iter()
        .take(holders)
        .map(|consumer| {
            producer.send(b"held").unwrap();
            consumer.recv().unwrap()
        })
        .collect();
    let consumer = queue.consumer().unwrap();
    let (begin, before) = (Instant::now(), used());
    assert!(matches!(consumer.recv_timeout(TIME), Err(RecvError::Timeout)));
    let share = (used() - before).as_secs_f64() / begin.elapsed().as_secs_f64();
    drop(held);
    share
}

/// The part of a core that a thread takes which only sleeps, ten milliseconds at a time.
fn bare_sleeps() -> f64 {
    let (begin, before) = (Instant::now(), used());
    while begin.elapsed() < TIME / 3 {
        std::thread::sleep(Duration::from_millis(10));
    }
    (used() - before).as_secs_f64() / begin.elapsed().as_secs_f64()
}

fn is_cheap(others: usize, holders: usize) {
    let mut found = Vec::new();
    for _ in 0..ATTEMPTS {
        // Side by side, so that another load slows both.
        let (bare, share) = (bare_sleeps(), share(others, holders));
        let text = format!(
            "{others} other consumers, {holders} messages held: {:.3} % of a core; bare sleeps: {:.3} %",
            share * 100.0,
            bare * 100.0
        );
        println!("{text}");
        if share <= MOST + SLEEPS * bare {
            return;
        }
        found.push(text);
    }
    panic!("an idle consumer takes too much: {found:#?}");
}

#[test]
fn alone() {
    is_cheap(0, 0);
}

#[test]
fn among_a_few() {
    is_cheap(2, 0);
    is_cheap(2, 1);
}

#[test]
fn among_sixty() {
    is_cheap(60, 10);
}

#[test]
fn among_four_thousand() {
    is_cheap(4000, 0);
}
