//! Proves that a participant killed with SIGKILL at a random point costs no other participant
//! anything: real processes, both framings, both roles.
//! `RINGWAY_KILLS=1000000 cargo test --release --test crash` runs it longer,
//! `cargo test --test crash consumer` runs a part, `RINGWAY_SEED` repeats the random choices.

mod process;

mod crash {
    pub(crate) mod attach;
    pub(crate) mod both;
    pub(crate) mod broadcast;
    pub(crate) mod clean_up;
    pub(crate) mod consumer;
    pub(crate) mod forks;
    pub(crate) mod mpmc;
    pub(crate) mod producer;
    pub(crate) mod roles;
    pub(crate) mod sandboxes;
    pub(crate) mod waiting;
}

use std::process::ExitCode;

use crash::{attach, both, broadcast, clean_up, consumer, forks, mpmc, producer, roles, sandboxes, waiting};
use process::{Kind, Outcome, Shape, Test, TestDir, ensure, kills_so_far, number_from, run, short_or_long};

/// Small rings are full, empty and wrapping all the time; a large one holds much when a participant
/// dies.
const KINDS: [Kind; 6] = [
    Kind::new("variable, 1 KiB", 1024, Shape::Mixed { min: 0, max: 496 }),
    Kind::new("variable, 4 KiB, granule 64", 4096, Shape::Mixed { min: 0, max: 1976 }).align(64),
    Kind::new("variable, 64 KiB", 1 << 16, Shape::Mixed { min: 0, max: 3000 }),
    Kind::new("fixed, 3 of 8 bytes", 24, Shape::Fixed(8)),
    Kind::new("fixed, 25 of 40 bytes", 1000, Shape::Fixed(40)),
    Kind::new("fixed, 1000 of 52 bytes", 64_000, Shape::Fixed(52)).align(64),
];

fn main() -> ExitCode {
    let kills = number_from("RINGWAY_KILLS", short_or_long(3_000, 20_000));
    let mut tests = Vec::new();
    for kind in KINDS {
        let share = kills * 6 / 100;
        tests.push(Test::new(format!("producer: {}", kind.name), move || producer::dies(kind, share)));
    }
    if kills >= 3_000 {
        tests.push(Test::new("producer: kills hit sends", producer::kills_hit_sends));
    }
    for kind in KINDS {
        let share = kills * 6 / 100;
        tests.push(Test::new(format!("consumer: {}", kind.name), move || consumer::dies(kind, share)));
    }
    for kind in KINDS {
        let share = kills * 2 / 100;
        tests.push(Test::new(format!("both: {}", kind.name), move || both::die(kind, share / 2)));
    }
    let share = kills * 4 / 100;
    tests.push(Test::new("attach: producer", move || attach::producer_dies(share)));
    tests.push(Test::new("attach: consumer", move || attach::consumer_dies(share)));
    tests.push(Test::new("attach: create and unlink", move || attach::creator_dies(share)));
    tests.push(Test::new("attach: redeliveries count deaths", attach::redeliveries_count_deaths));
    tests.push(Test::new("waiting: for a message", move || waiting::for_a_message(share / 2)));
    tests.push(Test::new("waiting: for room", move || waiting::for_room(share / 2)));
    tests.push(Test::new("waiting: the waiting one dies", move || waiting::dies(share)));
    tests.push(Test::new("roles: taken, and free after SIGKILL", move || roles::free_after_death(share / 2)));
    tests.push(Test::new("roles: kept through SIGSTOP", || roles::kept_while_stopped(short_or_long(8, 100))));
    tests.push(Test::new("fork: handles are refused", forks::handles_are_refused));
    tests.push(Test::new("fork: drops change nothing", forks::drops_change_nothing));
    tests.push(Test::new("fork: the child takes part anew", forks::child_takes_part_anew));
    tests.push(Test::new("fork: the child closes", forks::the_child_closes));
    tests.push(Test::new("fork: a child does not keep its parent's roles", forks::child_does_not_keep_roles));
    tests.extend(mpmc::tests());
    tests.extend(broadcast::tests());
    tests.extend(clean_up::tests());
    tests.extend(sandboxes::tests());
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
