//! Ringway MPMC beside in-process queues between threads, interleaved, as ratios.
//!
//! ```text
//! cargo bench --bench mpmc_yardstick -- [--quick] [--case TEXT] [--only NAME,NAME] [--runs N] [--millis MS]
//!                                       [--max-messages N] [--lane BYTES] [--json]
//! ```
//! Cases are called
//! - `2p2c/crossed/64`: numbers of threads or processes, their cores (see `shape.rs`), bytes of a message;
//!   between one and one beside a *floor*, the same bytes from core to core without a queue (`floor.rs`);
//! - `one_thread/64`: one thread sends and receives by turns: what the calls cost, best stretch;
//! - `idle64/2p2c/apart`: with 64 more participants that do nothing, and without.
//!
//! `--case` chooses those whose name contains the text, `--only` systems. Million messages a
//! second: median [min - max] of the runs, and ratios of medians; of a rival, to whichever of its
//! ways of waiting is best.

mod common;
mod mpmc_systems;

use std::time::Duration;

use common::arguments::{argument, flag, number};
use mpmc_systems::report::Case;
use mpmc_systems::shape::Shape;
use mpmc_systems::{Contestant, Setup, contestants, idle_contestants};

/// Bytes of messages that all queues have room for, if the option is not given ...
const ROOM: usize = 1 << 20;
/// ... but no more messages than that: the library's default.
const MAX_MESSAGES: usize = 8192;
/// Bytes of each producer's lane, if the option is not given: the library's default.
const LANE: usize = 1 << 19;

fn contestants_for(bytes: usize, setup: Setup, idle: bool) -> Vec<Contestant> {
    match (bytes, idle) {
        (64, true) => idle_contestants::<8>(setup),
        (8, _) => contestants::<1>(setup),
        (64, _) => contestants::<8>(setup),
        (256, _) => contestants::<32>(setup),
        (1024, _) => contestants::<128>(setup),
        _ => unreachable!("no case has messages of {bytes} bytes"),
    }
}

/// Name, shape, size, and whether it is about idle participants.
fn cases(quick: bool) -> Vec<(String, Option<Shape>, usize, bool)> {
    let sizes: &[usize] = if quick { &[64] } else { &[8, 64, 256, 1024] };
    let calls = sizes.iter().map(|bytes| (format!("one_thread/{bytes}"), None, *bytes, false));
    let plain =
        |shape| sizes.iter().map(move |bytes| (format!("{shape}/{bytes}"), Some(shape), *bytes, false));
    let idle = Shape::all().filter(|shape| shape.producers == shape.consumers && shape.producers < 4);
    let idle = idle.map(|shape| (format!("idle64/{shape}"), Some(shape), 64, true));
    calls.chain(Shape::all().flat_map(plain)).chain(idle).collect()
}

fn main() {
    let (quick, json) = (flag("--quick"), flag("--json"));
    let runs = number("--runs").unwrap_or(if quick { 3 } else { 5 });
    let millis = number("--millis").unwrap_or(if quick { 20 } else { 100 });
    let wanted = argument("--case").unwrap_or_default();
    let only = argument("--only").unwrap_or_default();
    exit_if_a_worker_panics();
    let mut done = Vec::new();
    for (name, shape, bytes, idle) in cases(quick).into_iter().filter(|case| case.0.contains(&wanted)) {
        let capacity = number("--max-messages").unwrap_or((ROOM / bytes).min(MAX_MESSAGES));
        let setup = Setup { shape, capacity, lane: number("--lane").unwrap_or(LANE) };
        let mut chosen = contestants_for(bytes, setup, idle);
        chosen.retain(|contestant| only.split(',').any(|part| contestant.name.contains(part)));
        let rates = interleaved(&chosen, runs, Duration::from_millis(millis as u64));
        let case = Case::new(name, capacity, &chosen, &rates);
        if json {
            done.push(case.to_json());
        } else {
            case.print();
        }
    }
    if json {
        println!(r#"{{"runs":{runs},"millis":{millis},"cases":[{}]}}"#, done.join(","));
    }
}

fn interleaved(contestants: &[Contestant], runs: usize, length: Duration) -> Vec<Vec<f64>> {
    let mut rates = vec![Vec::new(); contestants.len()];
    for _ in 0..runs {
        for (rates, contestant) in rates.iter_mut().zip(contestants) {
            rates.push((contestant.run)(length));
        }
    }
    rates
}

/// The others would wait for it for ever.
fn exit_if_a_worker_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::exit(101);
    }));
}
