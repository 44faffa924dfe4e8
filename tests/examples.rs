//! The examples do what they claim, and leave nothing behind.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Running, names_in};

/// The built example of that name. Cargo tells tests where the binaries are, but not the examples.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let path: PathBuf = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: a plain `cargo test` builds the examples, `cargo test --test examples` does not; build \
         them first with `cargo build --examples` (and --release, if the tests are)",
        path.display()
    );
    Command::new(path)
}

/// Fails the test if a queue of that name is left where queues with bare names live.
#[track_caller]
fn assert_gone(name: &str) {
    let names = names_in(Path::new("/dev/shm"));
    assert!(!names.iter().any(|left| left.contains(name)), "{name} is left in /dev/shm: {names:?}");
}

#[test]
fn hello() {
    let hello = Running::start(&mut example("hello"));
    let name = format!("hello-{}", hello.id());
    let output = hello.finish().succeeded();
    assert_eq!(output, "hello [1, 2, 3, 4, 5]\nworld [1, 2, 3, 4, 5]\ngoodbye [1, 2, 3, 4, 5, 6, 7]");
    assert_gone(&name);
}

#[test]
fn frames() {
    let frames = Running::start(example("frames").arg("200"));
    let name = format!("frames-{}", frames.id());
    let output = frames.finish().succeeded();
    assert!(output.starts_with("200 pictures of 1048576 bytes written, read and checked: "), "{output}");
    let rate = output.split(' ').rev().nth(1).and_then(|rate| rate.parse::<f64>().ok());
    assert!(rate.is_some_and(|rate| rate > 0.0) && output.ends_with("GB/s"), "{output}");
    assert_gone(&name);
}

#[test]
fn the_receiver_of_frames_fails_loudly() {
    // Its parent checks its exit status.
    let output = Running::start(example("frames").args(["receive", "/dev/null", "1"])).finish();
    assert!(!output.status.success());
    assert!(output.errors.contains("a device"), "{}", output.errors);
}

/// How many ticks the consumer prints as received, and how many as missing.
#[track_caller]
fn received(output: &str) -> (u64, u64) {
    let line = output.lines().last().unwrap();
    let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    match words[..] {
        ["received", ticks, "ticks", missing, "missing", rate, "a", "second"] => {
            assert!(rate.parse::<f64>().unwrap() > 0.0, "{line}");
            (ticks.parse().unwrap(), missing.parse().unwrap())
        }
        _ => panic!("the consumer does not say what it received: {output}"),
    }
}

#[test]
fn ticks_when_the_consumer_comes_first() {
    let name = format!("ringway-test-ticks-{}-1", std::process::id());
    let mut consumer = Running::start(example("ticks_consumer").arg(&name));
    consumer.wait_for_line("waiting for ticks in /dev/shm/");
    let producer = Running::start(example("ticks_producer").args([&name, "100000"]));
    assert!(producer.finish().succeeded().ends_with("sent 100000 ticks"));
    let output = consumer.finish().succeeded();
    assert!(output.contains("first tick: 0 RINGWAY.L, [100.25, 100.0, 100.0, 100.0]"), "{output}");
    assert_eq!(received(&output), (100_000, 0));
    assert_gone(&name);
}

#[test]
fn ticks_when_the_producer_comes_first() {
    let name = format!("ringway-test-ticks-{}-2", std::process::id());
    // Few enough to be all in the queue when their producer is gone.
    let producer = Running::start(example("ticks_producer").args([&name, "1000"]));
    producer.finish().succeeded();
    let output = Running::start(example("ticks_consumer").arg(&name)).finish().succeeded();
    assert_eq!(received(&output), (1000, 0));
    assert_gone(&name);
}

#[test]
fn ticks_when_the_producer_is_killed() {
    let name = format!("ringway-test-ticks-{}-3", std::process::id());
    let mut consumer = Running::start(example("ticks_consumer").arg(&name));
    let mut producer = Running::start(example("ticks_producer").args([&name, &u64::MAX.to_string()]));
    consumer.wait_for_line("first tick: 0");
    producer.kill();
    assert!(!producer.finish().status.success());
    let (ticks, missing) = received(&consumer.finish().succeeded());
    assert!(ticks > 0 && missing == 0, "{ticks} {missing}");
    assert_gone(&name);
}

/// The number before these words.
#[track_caller]
fn number_before(output: &str, words: &str) -> u64 {
    let at = output.find(words).unwrap_or_else(|| panic!("no `{words}` in: {output}"));
    let number = output[..at].trim_end().rsplit([' ', '\n', '(']).next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("`{number}` before `{words}` is no number: {output}"))
}

#[test]
fn workers_lose_nothing_when_they_are_killed() {
    let workers = Running::start(example("workers").args(["--workers", "3", "--jobs", "3000", "--chaos"]));
    let name = format!("workers-{}", workers.id());
    let output = workers.finish().succeeded();
    assert!(output.starts_with("workers: try `kill -9 "), "{output}");
    assert_eq!(number_before(&output, "jobs done"), 3000);
    assert_eq!(number_before(&output, "lost"), 0);
    let again = number_before(&output, "came again");
    let kills = number_before(&output, "workers killed");
    // A worker holds one job, and a kill requeues that for another one.
    assert!(kills > 0 && again > 0, "{output}");
    assert_gone(&name);
}

#[test]
fn a_worker_killed_from_outside_is_replaced() {
    let mut workers = Running::start(example("workers").args(["--workers", "1", "--jobs", "3000"]));
    let name = format!("workers-{}", workers.id());
    let line = workers.wait_for_line("kill -9 ");
    let pid = line.rsplit(' ').next().unwrap().trim_end_matches('`').parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let output = workers.finish().succeeded();
    assert_eq!((number_before(&output, "jobs done"), number_before(&output, "lost")), (3000, 0));
    assert_gone(&name);
}

#[test]
fn fan_in() {
    let fan_in = Running::start(example("fan_in").args(["--producers", "3", "--lines", "2000"]));
    let name = format!("fan_in-{}", fan_in.id());
    let output = fan_in.finish().succeeded();
    assert!(output.starts_with("6000 lines of 3 producers in "), "{output}");
    let log = std::env::temp_dir().join(format!("{name}.log"));
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    for producer in 0..3 {
        let own = text.lines().filter(|line| line.starts_with(&format!("{producer} ")));
        let numbers: Vec<u64> = own.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
        assert_eq!(numbers, (0..2000).collect::<Vec<u64>>());
    }
    assert_gone(&name);
}

#[test]
fn handover() {
    let output = Running::start(example("handover").arg("5000")).finish().succeeded();
    let mut lines: Vec<&str> = output.lines().collect();
    // Two processes print them.
    lines.sort();
    // 0 + 1 + … + 4999, and half of that again.
    assert_eq!(lines[0], format!("received 5000 readings, sum {}", 4999.0 * 5000.0 / 2.0 * 1.5));
    assert!(lines[1].starts_with("sent 5000 readings through memfd:ringway-"), "{output}");
    let names = names_in(Path::new("/dev/shm"));
    assert!(!names.iter().any(|left| left.contains("memfd")), "{names:?}");
}

#[test]
fn select() {
    let select = Running::start(&mut example("select"));
    let names = ["orders", "news"].map(|name| format!("select-{name}-{}", select.id()));
    let output = select.finish().succeeded();
    assert_eq!(number_before(&output, "orders"), 1000);
    assert_eq!(number_before(&output, "lines of news"), 100);
    // The timer's branch was ready as well: there are pauses between the orders.
    assert!(number_before(&output, "ticks") > 0, "{output}");
    names.iter().for_each(|name| assert_gone(name));
}

#[test]
fn latest() {
    let latest = Running::start(&mut example("latest"));
    let name = format!("latest-{}", latest.id());
    let output = latest.finish().succeeded();
    assert_eq!(number_before(&output, "ticks in the journal"), 20_000);
    let (seen, missed) = (number_before(&output, "ticks on the screen"), number_before(&output, "missed"));
    assert_eq!(seen + missed, 20_000, "{output}");
    assert!(output.ends_with("the last one was RWY 20000"), "{output}");
    assert_gone(&name);
}

#[test]
fn bad_arguments_of_the_examples_are_explained() {
    let output = Running::start(example("handover").arg("many")).finish();
    assert!(!output.status.success());
    assert!(output.errors.contains("many is no number of messages"), "{}", output.errors);
    for (name, argument) in [("workers", "--jobs"), ("fan_in", "--lines")] {
        let output = Running::start(example(name).args([argument, "many"])).finish();
        assert!(!output.status.success());
        assert!(output.errors.contains(&format!("{argument} needs a number")), "{}", output.errors);
    }
}
