use std::task::Context;
use std::time::{Duration, Instant};

use ringway::WaitStrategy;
use ringway::asynchronous::AsyncConsumer;
use ringway::kind::Mpmc;

use super::tools::{Wakes, create};
use crate::common::{Running, child_argument, child_of, directory};

const ROUNDS: u64 = 2000;

/// A process that sleeps, and one with tasks that begin to wait and give up all the time, also when
/// they have been woken already: what a task does not take reaches the sleeper. A wake that is lost
/// there costs a sleep timeout; how many times that happens is printed, that each message is
/// delivered is asserted.
#[test]
fn what_a_task_was_woken_for_and_does_not_take_reaches_a_sleeper() {
    let test = "asynchronous::mixed::what_a_task_was_woken_for_and_does_not_take_reaches_a_sleeper";
    if let Some(directory) = child_argument(test) {
        let consumer = super::tools::open::<Mpmc>(&directory.join("there")).consumer().unwrap();
        let mut back = super::tools::open::<Mpmc>(&directory.join("back")).producer().unwrap();
        consumer.set_wait_strategy(WaitStrategy::Park);
        for frame in consumer.iter() {
            back.send(&frame.unwrap()).unwrap();
        }
        return;
    }
    let dir = directory();
    let there = create::<Mpmc>(&dir.path().join("there"), 4096);
    let back = create::<Mpmc>(&dir.path().join("back"), 4096).consumer().unwrap();
    let mut producer = there.producer().unwrap();
    let mut task = AsyncConsumer::new(there.consumer().unwrap()).unwrap();
    let child = Running::start(&mut child_of(test, dir.path()));
    let (wakes, waker) = Wakes::waker();
    let (mut slow, mut slowest) = (0, Duration::ZERO);
    for round in 0..ROUNDS {
        let mut waiting = task.recv();
        let polled = std::pin::Pin::new(&mut waiting);
        let is_waiting = std::future::Future::poll(polled, &mut Context::from_waker(&waker)).is_pending();
        assert!(is_waiting, "nothing was sent");
        let start = Instant::now();
        producer.send(&round.to_ne_bytes()).unwrap();
        if round % 2 == 0 {
            // The longest sleeper in the kernel is woken first: this process, or the other one.
            let before = wakes.count();
            while wakes.count() == before && start.elapsed() < Duration::from_micros(200) {
                std::thread::yield_now();
            }
        }
        // Given up, perhaps with a wake.
        drop(waiting);
        assert_eq!(*back.recv().unwrap(), round.to_ne_bytes());
        slow += u64::from(start.elapsed() > Duration::from_millis(15));
        slowest = slowest.max(start.elapsed());
    }
    println!(
        "{ROUNDS} rounds, {slow} of more than 15 ms, the slowest {slowest:?}; the task was woken {} times",
        wakes.count()
    );
    there.close();
    assert!(child.finish().succeeded().contains("1 passed"));
}
