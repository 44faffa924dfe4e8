//! Proves that two processes at full speed lose, tear, repeat and reorder nothing: every byte of
//! every message is checked, twice if its guard is held. Small rings are full, empty and wrapping
//! all the time.
//!
//! `RINGWAY_STRESS_MESSAGES=100000000 cargo test --release --test stress` runs it longer (10^8
//! messages: about ten minutes on two cores).

mod process;

mod stress {
    pub(crate) mod bytes;
    pub(crate) mod typed;
}

use std::process::ExitCode;

use process::{Kind, Shape, Test, number_from, run, short_or_long};
use stress::{bytes, typed};

/// The share of each, in hundredths of all messages.
const KINDS: [(Kind, u64); 9] = [
    (Kind::new("variable, 1 KiB, small", 1024, Shape::Mixed { min: 0, max: 40 }), 20),
    (Kind::new("variable, 1 KiB, all sizes", 1024, Shape::Mixed { min: 0, max: 496 }), 10),
    (Kind::new("variable, 4 KiB, granule 64", 4096, Shape::Mixed { min: 0, max: 1976 }).align(64), 5),
    (Kind::new("variable, 1 MiB, all sizes", 1 << 20, Shape::Mixed { min: 0, max: 500_000 }), 1),
    (Kind::new("variable, 1 MiB", 1 << 20, Shape::Mixed { min: 8, max: 200 }), 14),
    (Kind::new("fixed, 2 of 8 bytes", 16, Shape::Fixed(8)), 10),
    (Kind::new("fixed, 77 of 13 bytes", 1001, Shape::Fixed(13)), 10),
    (Kind::new("fixed, 4096 of 64 bytes", 1 << 18, Shape::Fixed(64)), 10),
    (Kind::new("variable, 64 KiB, near the last position", 1 << 16, Shape::Mixed { min: 0, max: 500 }), 10),
];

fn main() -> ExitCode {
    let messages = number_from("RINGWAY_STRESS_MESSAGES", short_or_long(1_000_000, 5_000_000));
    let mut tests = Vec::new();
    for (kind, part) in KINDS {
        let count = messages * part / 100;
        let kind = match kind.name {
            "variable, 64 KiB, near the last position" => kind.start((1 << 62) - (1 << 40)),
            _ => kind,
        };
        tests.push(Test::new(format!("bytes: {}", kind.name), move || bytes::all_arrive(kind, count)));
    }
    tests.push(Test::new("typed: any size", move || typed::any_size(messages * 5 / 100)));
    tests.push(Test::new("typed: fixed size", move || typed::fixed_size(messages * 5 / 100)));
    run(tests)
}
