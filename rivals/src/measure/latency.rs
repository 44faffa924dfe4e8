//! Round trips over two queues: there, and back, one message in flight.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use workload::END;

use super::control::Control;
use super::crew::{self, pin};
use super::{Answer, Task};
use crate::check::Check;
use crate::shared::Shared;
use crate::systems::{Receiver, Sender, System};

/// The longest round trip that the histogram can hold.
const LONGEST_NS: u64 = 10_000_000_000;
/// Before a message to a receiver that must sleep: longer than any system polls before it sleeps.
const REST: Duration = Duration::from_millis(2);
/// Round trips that do not count yet ...
const WARM_UP: u64 = 64;
/// ... where each takes long.
const PARKED_WARM_UP: u64 = 4;

pub(super) fn run<S: System>(task: &Task) -> Result<Answer> {
    let (there, back) = (S::new(&task.setup(0))?, S::new(&task.setup(1))?);
    let parked = task.setup(0).parked;
    let control = Shared::<Control>::new()?;
    let [far, near] = task.cores;
    let work = |worker: usize| {
        pin([far, near][worker]);
        match worker {
            0 => echo(&there, &back, &control),
            _ => ask(&there, &back, &control, parked),
        }
    };
    crew::run(task.scope, 2, work, || control.conduct(2, task.length))?;
    let [median, p99] = [&control.consumers[0].at_ns, &control.consumers[1].at_ns]
        .map(|word| word.load(std::sync::atomic::Ordering::Relaxed) as f64);
    Ok(Answer::Figure { value: median, p99: Some(p99) })
}

fn echo<S: System>(there: &S, back: &S, control: &Control) -> Result<()> {
    // The senders first: some create their queue only then.
    let mut replies = back.sender(0)?;
    let mut requests = there.receiver(0)?;
    let mut check = Check::new();
    control.wait_for_go();
    let mut echoed = 0;
    loop {
        requests.receive(&mut check);
        if check.ends > 0 {
            break;
        }
        while echoed < check.tally.count {
            replies.send(echoed, 1);
            echoed += 1;
        }
    }
    control.wait_for_all(2);
    Ok(())
}

fn ask<S: System>(there: &S, back: &S, control: &Control, parked: bool) -> Result<()> {
    let mut requests = there.sender(0)?;
    let mut replies = back.receiver(0)?;
    let mut histogram = Histogram::<u64>::new_with_max(LONGEST_NS, 3).context("making a histogram")?;
    let mut check = Check::new();
    control.wait_for_go();
    let warm_up = if parked { PARKED_WARM_UP } else { WARM_UP };
    let mut asked = 0;
    while !control.is_over() || asked <= warm_up {
        if parked {
            rest();
        }
        let start = Instant::now();
        requests.send(asked, 1);
        while check.tally.count == asked {
            replies.receive(&mut check);
        }
        asked += 1;
        if asked > warm_up {
            histogram.saturating_record(start.elapsed().as_nanos() as u64);
        }
    }
    requests.send(END, 1);
    let say = |word: usize, quantile| {
        let value = histogram.value_at_quantile(quantile);
        control.consumers[word].at_ns.store(value, std::sync::atomic::Ordering::Relaxed);
    };
    say(0, 0.5);
    say(1, 0.99);
    control.wait_for_all(2);
    Ok(())
}

/// Busy, so that only the other side sleeps.
fn rest() {
    let start = Instant::now();
    while start.elapsed() < REST {
        std::hint::spin_loop();
    }
}
