//! How long it takes to wake a peer that sleeps, beside a bare futex in the same run; and what an
//! idle consumer costs.
//!
//! `cargo bench --bench waiting -- [--quick] [--rounds N]`
//!
//! Two processes, each on a core of its own if there are two, send one message there and one back;
//! systems take turns, a round each. *asleep*: a pause before each message, so that the peer sleeps
//! for certain. *ping-pong*: none. Prints the median over all rounds of the time from the call that
//! sends until the other process has the message, and of the round trip; ratios are medians of the
//! rounds' ratios, each of them to the bare futex's round next to it.

mod common;
mod waiting_systems;

use std::time::Duration;

use common::arguments::{flag, number};
use common::statistics::Spread;
use waiting_systems::exchange::{Samples, exchange};
use waiting_systems::idle::{bare_sleeps, idle, idle_among};
use waiting_systems::{Futex, Ringway, System};

use ringway::WaitStrategy;
use ringway::kind::{Mpmc, Spsc};

/// Long enough for the other side to fall asleep.
const PAUSE: Duration = Duration::from_micros(150);

fn main() {
    let quick = flag("--quick");
    let rounds = number("--rounds").unwrap_or(if quick { 10 } else { 40 });
    let systems: [(&str, &dyn System); 3] = [
        ("bare futex", &Futex),
        ("ringway SPSC, Park", &Ringway::<Spsc>::new()),
        ("ringway MPMC, Park", &Ringway::<Mpmc>::new()),
    ];
    println!("{rounds} rounds; microseconds, median (99th of a hundred), ratio to the bare futex");
    for (title, count, pause) in [("asleep", 400, PAUSE), ("ping-pong", 2000, Duration::ZERO)] {
        println!("\n{title:22} {:>30} {:>34}", "one way", "round trip");
        let mut samples: Vec<Vec<Samples>> = systems.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for (samples, (_, system)) in samples.iter_mut().zip(&systems) {
                samples.push(exchange(*system, count, pause));
            }
        }
        for (rounds, (name, _)) in samples.iter().zip(&systems) {
            let show = |part: fn(&Samples) -> &Vec<u64>| {
                let mut all: Vec<u64> = rounds.iter().flat_map(part).copied().collect();
                all.sort_unstable();
                let ratios: Vec<f64> = rounds
                    .iter()
                    .zip(&samples[0])
                    .map(|(round, futex)| median(part(round)) as f64 / median(part(futex)) as f64)
                    .collect();
                let at = |part: usize| all[all.len() * part / 100] as f64 / 1000.0;
                format!("{:8.2} ({:8.2}) {:6.2}x", at(50), at(99), Spread::of(&ratios).median)
            };
            println!("{name:22} {:>34} {:>34}", show(|one| &one.one_way), show(|one| &one.round_trip));
        }
    }
    let time = Duration::from_secs(if quick { 2 } else { 10 });
    println!("\nan idle consumer over {time:?}: processor time, part of a core");
    for wait in [WaitStrategy::Park, WaitStrategy::SpinThenPark] {
        for (name, used) in [("SPSC", idle::<Spsc>(wait, time)), ("MPMC", idle::<Mpmc>(wait, time))] {
            show_idle(&format!("{name} {wait:?}"), used, time);
        }
    }
    show_idle("bare sleeps of 10 ms", bare_sleeps(time), time);
    for (others, holders) in [(2, 0), (2, 1), (60, 10), (4000, 0), (4000, 1000)] {
        let used = idle_among(others, holders, time);
        show_idle(&format!("MPMC, {others} others, {holders} hold"), used, time);
    }
}

fn show_idle(name: &str, used: Duration, time: Duration) {
    let part = used.as_secs_f64() / time.as_secs_f64() * 100.0;
    println!("{name:30} {:>10} {part:8.4} %", format!("{used:.2?}"));
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}
