use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use ringway::asynchronous::AsyncConsumer;
use ringway::kind::Spsc;

use super::tools::{Wakes, create};
use crate::common::{HANGS, directory, in_child};

/// The processor time that this process has used.
fn used() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time =
        |time: nix::sys::time::TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
    time(usage.user_time()) + time(usage.system_time())
}

/// A task that waits is woken when a sleep timeout ends and not otherwise; one that waits no longer
/// costs nothing.
#[test]
fn a_waiter_is_woken_ten_times_a_second() {
    let said = in_child("asynchronous::idle::a_waiter_is_woken_ten_times_a_second", || {
        let dir = directory();
        let queue = create::<Spsc>(&dir.path().join("q"), 4096);
        let mut consumer = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
        let (wakes, waker) = Wakes::waker();
        let (start, used_before, mut polls) = (Instant::now(), used(), 0);
        while start.elapsed() < Duration::from_secs(3) {
            assert!(consumer.poll_recv(&mut Context::from_waker(&waker)).is_pending());
            polls += 1;
            wakes.wait_for(polls);
        }
        let time = start.elapsed();
        println!(
            "waiting: {:?} of processor time in {time:?}, {} wakes",
            used() - used_before,
            wakes.count()
        );
        // 2 + 4 + .. + 64 ms, then 100 ms each, and sleep timeouts are never short.
        assert!(wakes.count() <= 7 + time.as_millis() as u64 / 100, "{} wakes in {time:?}", wakes.count());

        drop(consumer);
        // The one here, and the one in `waker`: nothing else can wake the task any more. A last
        // wake may be under way.
        let dropped = Instant::now();
        while Arc::strong_count(&wakes) > 2 {
            assert!(dropped.elapsed() < HANGS, "somebody still waits for a consumer that is gone");
            std::thread::yield_now();
        }
        let used_before = used();
        std::thread::sleep(Duration::from_secs(1));
        println!("waiting no longer: {:?} of processor time in 1 s", used() - used_before);
    });
    said.iter()
        .flat_map(|said| said.lines())
        .filter(|line| line.contains("waiting"))
        .for_each(|line| println!("{line}"));
}
