//! Proves that many producers and consumers that are killed and stopped at random points, again and
//! again, lose, tear and invent nothing, and that every living participant goes on: real processes,
//! SIGKILL, SIGSTOP.
//!
//! `RINGWAY_KILLS=1000000 cargo test --release --test storm` runs it longer (half an hour on two
//! cores), with `RINGWAY_DOCTOR=target/release/ringway` the doctor inspects the queue all the time,
//! as the library does in any case; `cargo test --test storm "4 slots"` runs a part, `RINGWAY_SEED`
//! repeats the random choices.

mod process;

mod storm {
    pub(crate) mod audit;
    pub(crate) mod broadcast;
    pub(crate) mod chaos;
    pub(crate) mod consumer;
    pub(crate) mod producer;
    pub(crate) mod self_report;
    pub(crate) mod worker;
}

use std::process::ExitCode;

use process::{MpmcKind, Outcome, Shape, Test, TestDir, ensure, kills_so_far, number_from, run};
use storm::chaos::{Crew, rage};

const fn mixed(max: usize) -> Shape {
    Shape::Mixed { min: 8, max }
}

/// Small rings are full, empty and wrapping all the time; a large one holds much when a participant
/// dies.
const KINDS: [MpmcKind; 9] = [
    MpmcKind::new("4 slots, 4 KiB", 4, 4096, mixed(1984)),
    MpmcKind::new("4 slots, fixed 40", 4, 4096, Shape::Fixed(40)).start((1 << 32) - 1000),
    MpmcKind::new("16 slots, 8 KiB", 16, 8192, mixed(2000)).start((1 << 31) * 16 - 5000),
    MpmcKind::new("16 slots, no place to spare", 16, 4096, mixed(700)).max_participants(7),
    MpmcKind::new("64 slots, fixed 200", 64, 4096, Shape::Fixed(200)),
    MpmcKind::new("64 slots, at most once", 64, 16384, mixed(3000)).at_most_once(),
    MpmcKind::new("64 slots, dead letters", 64, 16384, mixed(3000)).max_redeliveries(2),
    MpmcKind::new("1024 slots, 64 KiB", 1024, 65536, mixed(3000)),
    MpmcKind::new("1024 slots, fixed 16", 1024, 65536, Shape::Fixed(16)),
];

/// A fourteenth of the kills each.
fn main() -> ExitCode {
    let default = if cfg!(debug_assertions) { 7000 } else { 15_000 };
    let share = number_from("RINGWAY_KILLS", default) / 14;
    let mut tests = Vec::new();
    for kind in KINDS {
        let crew = Crew { producers: 4, consumers: 3, recoverers: 0, churns: false };
        tests.push(Test::new(kind.name, move || rage(kind, crew, share)));
    }
    for kind in [KINDS[0], KINDS[5], KINDS[8]] {
        let crew = Crew { producers: 2, consumers: 2, recoverers: 3, churns: false };
        tests.push(Test::new(format!("recovery: {}", kind.name), move || rage(kind, crew, share)));
    }
    for kind in [KINDS[1], KINDS[2]] {
        let crew = Crew { producers: 4, consumers: 4, recoverers: 0, churns: true };
        tests.push(Test::new(format!("attach and detach: {}", kind.name), move || rage(kind, crew, share)));
    }
    for producers in [1, 2] {
        let name = format!("broadcast, {producers} of producers");
        tests.push(Test::new(name, move || storm::broadcast::rage(producers, share)));
    }
    tests.push(Test::new("nothing is left in /dev/shm", nothing_is_left));
    run(tests)
}

fn nothing_is_left() -> Outcome {
    println!("     {} processes were killed", kills_so_far());
    for entry in std::fs::read_dir("/dev/shm")? {
        let name = entry?.file_name();
        ensure!(!name.to_string_lossy().starts_with(&TestDir::prefix()), "{name:?} is left");
    }
    Ok(())
}
