//! One run of one system: workers on their cores, for some time; then everything that was sent must
//! have arrived.
#![allow(unsafe_code, reason = "forks")]

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm, fork};
use workload::{END, Tally, first_of};

use super::check::Check;
use super::control::{Control, now_ns};
use super::shape::Shape;
use super::{Receive, Send, System};
use crate::common::cores::pin;

/// Messages between two checks whether the time is over.
const CHUNK: u64 = 32;
/// A run that takes this many seconds longer than it should is stuck: the process ends.
const TIME_LIMIT: u32 = 60;

/// Whether workers are threads or processes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Workers {
    Threads,
    Processes,
}

/// Runs a system for about `length`; returns messages a second.
pub(super) fn run<S: System>(system: &S, shape: Shape, workers: Workers, length: Duration) -> f64 {
    let control = Control::new();
    alarm::set(length.as_secs() as u32 + TIME_LIMIT);
    let all = (0..shape.producers + shape.consumers).map(|worker| {
        let control = &control;
        move || match worker.checked_sub(shape.producers) {
            None => produce(system, shape, worker, control),
            Some(consumer) => consume(system, shape, consumer, control),
        }
    });
    match workers {
        Workers::Threads => std::thread::scope(|scope| {
            all.for_each(|work| drop(scope.spawn(work)));
            conduct(&control, shape, length);
        }),
        Workers::Processes => {
            let children: Vec<_> = all.map(child).collect();
            conduct(&control, shape, length);
            wait_for(&children);
        }
    }
    alarm::cancel();
    rate(&control, shape)
}

/// Sends a few messages and receives them, in one thread and so out of the nearest cache: the cost
/// of the calls. Returns messages a second in the best stretch, which other load on the machine
/// disturbs least.
pub(super) fn run_in_one_thread<S: System>(system: &S, length: Duration) -> f64 {
    const STRETCH: u64 = 100 * CHUNK;
    pin(0);
    let (mut sender, mut receiver) = (system.sender(), system.receiver());
    let mut check = Check::default();
    let (begun, mut best) = (Instant::now(), Duration::MAX);
    while begun.elapsed() < length {
        let start = Instant::now();
        let end = check.tally().count + STRETCH;
        while check.tally().count < end {
            let first = check.tally().count;
            sender.send(first, CHUNK);
            while check.tally().count < first + CHUNK {
                receiver.receive(&mut check);
            }
        }
        best = best.min(start.elapsed());
    }
    STRETCH as f64 / best.as_secs_f64()
}

fn conduct(control: &Control, shape: Shape, length: Duration) {
    let begun = Instant::now();
    while control.ready.load(Ordering::Acquire) < (shape.producers + shape.consumers) as u64 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the workers are not ready");
        std::thread::sleep(Duration::from_micros(100));
    }
    control.go.store(1, Ordering::Release);
    std::thread::sleep(length);
    control.stop.store(1, Ordering::Relaxed);
}

fn produce<S: System>(system: &S, shape: Shape, index: usize, control: &Control) {
    pin(shape.core_of_producer(index));
    let mut sender = system.sender();
    control.wait_for_go();
    let start = now_ns();
    let mut count = 0;
    while !control.is_over() {
        sender.send(first_of(index) + count, CHUNK);
        count += CHUNK;
    }
    control.producers[index].say(start, Tally { count, sum: 0 });
    // The last worker sends the end to the consumers, until each of them has received it.
    if control.producers_done.fetch_add(1, Ordering::AcqRel) + 1 == shape.producers as u64 {
        while control.consumers_done.load(Ordering::Acquire) < shape.consumers as u64 {
            sender.try_send(END);
            std::thread::yield_now();
        }
    }
}

fn consume<S: System>(system: &S, shape: Shape, index: usize, control: &Control) {
    pin(shape.core_of_consumer(index));
    let mut receiver = system.receiver();
    let mut check = Check::default();
    control.wait_for_go();
    while !check.has_ended() {
        receiver.receive(&mut check);
    }
    control.consumers[index].say(now_ns(), check.tally());
    control.consumers_done.fetch_add(1, Ordering::AcqRel);
}

fn child(work: impl FnOnce()) -> Pid {
    // SAFETY: this process has one thread here.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
            work();
            std::process::exit(0);
        }
        ForkResult::Parent { child } => child,
    }
}

/// Waits for the children, whichever ends first; one that fails takes the others with it.
fn wait_for(children: &[Pid]) {
    for _ in children {
        match waitpid(None, None).unwrap() {
            WaitStatus::Exited(_, 0) => {}
            other => {
                for child in children {
                    let _ = kill(*child, Signal::SIGKILL);
                }
                panic!("a worker failed: {other:?}");
            }
        }
    }
}

fn rate(control: &Control, shape: Shape) -> f64 {
    let (producers, consumers) =
        (&control.producers[..shape.producers], &control.consumers[..shape.consumers]);
    let received = consumers.iter().fold(Tally::default(), |all, consumer| all.and(consumer.tally()));
    let sent = producers.iter().enumerate().fold(Tally::default(), |all, (index, producer)| {
        all.and(Tally::sent_by(index, producer.tally().count))
    });
    assert_eq!(sent, received, "messages were lost, or came twice");
    let start = producers.iter().map(|producer| producer.at_ns.load(Ordering::Relaxed)).min();
    // Everything has been taken when the first consumer learns that no more will come: there is one
    // order.
    let end = consumers.iter().map(|consumer| consumer.at_ns.load(Ordering::Relaxed)).min();
    let elapsed = end.expect("a consumer") - start.expect("a producer");
    received.count as f64 * 1e9 / elapsed as f64
}
