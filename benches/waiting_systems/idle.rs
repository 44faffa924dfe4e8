//! What a consumer costs for which no message arrives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use ringway::kind::{BytesQueue, Kind};
use ringway::{RecvError, WaitStrategy};

use super::processes::{Shared, in_two};
use super::{Ringway, System};

fn processor_time() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
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
