//! What a consumer costs for which no message arrives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use ringway::kind::{BytesConsumer, BytesQueue, Kind, Mpmc};
use ringway::{CreateOptions, RecvError, WaitStrategy};

use super::processes::{Shared, in_two};
use super::{Ringway, System};

fn processor_time() -> u64 {
    nanoseconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn thread_time() -> u64 {
    nanoseconds(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).unwrap();
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// The processor time of a process that waits this long, and of nothing else that it does.
pub(crate) fn idle<K: Kind>(wait: WaitStrategy, time: Duration) -> Duration {
    let way = Ringway::<K>::new().way("idle");
    let path = format!("/dev/shm/ringway-benches-{}-idle", std::process::id());
    let used: Shared<AtomicU64> = Shared::default();
    // SAFETY: only this benchmark knows the file.
    let open = || unsafe { BytesQueue::<K>::open(&path) }.unwrap();
    in_two(
        || {
            let consumer = open().consumer().unwrap();
            consumer.set_wait_strategy(wait);
            let before = processor_time();
            assert!(matches!(consumer.recv_timeout(time), Err(RecvError::Timeout)));
            used.store(processor_time() - before, Ordering::Relaxed);
        },
        // A producer that is there and sends nothing.
        || {
            let producer = open().producer().unwrap();
            std::thread::sleep(time / 2);
            drop(producer);
        },
    );
    drop(way);
    Duration::from_nanos(used.load(Ordering::Relaxed))
}

/// The processor time of a thread that waits this long in an MPMC queue with so many other
/// consumers, `holders` of which hold a message.
pub(crate) fn idle_among(others: usize, holders: usize, time: Duration) -> Duration {
    let path = format!("/dev/shm/ringway-benches-{}-idle", std::process::id());
    let options = CreateOptions::new()
        .max_participants(others + 2)
        .max_messages(others.max(64))
        .ring_bytes(4096)
        .unlink_on_last_drop(true);
    // SAFETY: only this benchmark knows the file.
    let queue = unsafe { BytesQueue::<Mpmc>::create_with(&path, &options) }.unwrap();
    let mut producer = queue.producer().unwrap();
    let others: Vec<_> = (0..others).map(|_| queue.consumer().unwrap()).collect();
    let hold = |consumer| {
        producer.send(b"held").unwrap();
        BytesConsumer::recv(consumer).unwrap()
    };
    let held: Vec<_> = others.iter().take(holders).map(hold).collect();
    let consumer = queue.consumer().unwrap();
    let before = thread_time();
    assert!(matches!(consumer.recv_timeout(time), Err(RecvError::Timeout)));
    let used = thread_time() - before;
    drop(held);
    Duration::from_nanos(used)
}

/// The processor time of a thread that only sleeps, ten milliseconds at a time: the floor of a
/// consumer that scans for dead peers as often.
pub(crate) fn bare_sleeps(time: Duration) -> Duration {
    let (begin, before) = (Instant::now(), thread_time());
    while begin.elapsed() < time {
        std::thread::sleep(Duration::from_millis(10));
    }
    Duration::from_nanos(thread_time() - before)
}
