//! Workers on their cores, for some time; then everything that was sent must have arrived.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use workload::{END, Tally, first_of};

use super::control::{Control, now_ns};
use super::crew::{self, pin};
use super::{Answer, Task};
use crate::case::Shape;
use crate::check::{Check, MOST};
use crate::shared::Shared;
use crate::systems::{Receiver, Sender, Setup, System};

/// Messages between two checks whether the time is over, if they are small.
const CHUNK: u64 = 32;
const SMALL: usize = 1024;
/// Between two end messages: a consumer may take several together, and leave none for others.
const BETWEEN_ENDS: Duration = Duration::from_millis(1);

pub(super) fn run<S: System>(task: &Task) -> Result<Answer> {
    let setup = task.setup(0);
    let system = S::new(&setup)?;
    let control = Shared::<Control>::new()?;
    let Shape { producers, consumers } = setup.shape;
    ensure!(producers <= MOST && consumers <= MOST, "there are at most {MOST} of each");
    let [producers_core, consumers_core] = task.cores;
    let work = |worker: usize| match worker.checked_sub(producers) {
        None => {
            pin(producers_core);
            produce(&system, &setup, worker, &control)
        }
        Some(consumer) => {
            pin(consumers_core);
            consume(&system, &setup, consumer, &control)
        }
    };
    let workers = producers + consumers;
    crew::run(task.scope, workers, work, || control.conduct(workers, task.length))?;
    Ok(Answer::Figure { value: rate(&control, setup.shape)?, p99: None })
}

fn produce<S: System>(system: &S, setup: &Setup, index: usize, control: &Control) -> Result<()> {
    let Shape { producers, consumers } = setup.shape;
    let mut sender = system.sender(index)?;
    let chunk = if setup.bytes > SMALL { setup.batch as u64 } else { CHUNK };
    control.wait_for_go();
    let start = now_ns();
    let mut count = 0;
    while !control.is_over() {
        sender.send(first_of(index) + count, chunk);
        count += chunk;
    }
    control.producers[index].say(start, Tally { count, sum: 0 });
    let last = control.producers_done.fetch_add(1, Ordering::AcqRel) + 1 == producers as u64;
    if consumers == 1 {
        // After all that this worker has sent: not every system has one order for all producers.
        sender.send(END, 1);
    } else if last {
        tell_all(&mut sender, consumers, control);
    }
    control.wait_for_all(producers + consumers);
    Ok(())
}

/// Sends end messages until each consumer has received one. (There is one order where consumers
/// share messages.)
fn tell_all(sender: &mut impl Sender, consumers: usize, control: &Control) {
    loop {
        let heard = control.consumers_done.load(Ordering::Acquire);
        if heard == consumers as u64 {
            return;
        }
        sender.send(END, 1);
        let said = Instant::now();
        while control.consumers_done.load(Ordering::Acquire) == heard && said.elapsed() < BETWEEN_ENDS {
            std::thread::yield_now();
        }
    }
}

fn consume<S: System>(system: &S, setup: &Setup, index: usize, control: &Control) -> Result<()> {
    let mut receiver = system.receiver(index)?;
    let mut check = Check::new();
    let ends = if setup.shape.consumers == 1 { setup.shape.producers } else { 1 };
    control.wait_for_go();
    while check.ends < ends {
        receiver.receive(&mut check);
    }
    control.consumers[index].say(now_ns(), check.tally);
    control.consumers_done.fetch_add(1, Ordering::AcqRel);
    control.wait_for_all(setup.shape.producers + setup.shape.consumers);
    Ok(())
}

/// Messages a second.
fn rate(control: &Control, shape: Shape) -> Result<f64> {
    let (producers, consumers) =
        (&control.producers[..shape.producers], &control.consumers[..shape.consumers]);
    let received = consumers.iter().fold(Tally::default(), |all, consumer| all.and(consumer.tally()));
    let sent = producers.iter().enumerate().fold(Tally::default(), |all, (index, producer)| {
        all.and(Tally::sent_by(index, producer.tally().count))
    });
    let start = producers.iter().map(|producer| producer.at_ns.load(Ordering::Relaxed)).min();
    // Everything has been taken when the first consumer learns that no more will come, where there
    // is one order; elsewhere the others have next to nothing left.
    let end = consumers.iter().map(|consumer| consumer.at_ns.load(Ordering::Relaxed)).min();
    let elapsed = end.unwrap_or_default().saturating_sub(start.unwrap_or_default());
    let rate = received.count as f64 * 1e9 / elapsed as f64;
    ensure!(
        sent == received,
        "lost {} of {} messages ({:.1} %), delivering {:.2} M/s",
        sent.count.saturating_sub(received.count),
        sent.count,
        100.0 - 100.0 * received.count as f64 / sent.count as f64,
        rate / 1e6
    );
    ensure!(elapsed > 0 && received.count > 0, "nothing came");
    Ok(rate)
}
