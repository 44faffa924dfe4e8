//! Every flag with a number, at both ends of its range and beyond: accepted, or refused with a
//! message, never a panic.

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::{HANGS, Place, Running, ringway};

/// A command that is run with each of its flags in turn; `Q` is a queue, `D` a directory with that queue.
const COMMANDS: &[(&str, &[&str])] = &[
    // The queue is full, so that the command waits.
    ("send", &["Q", "message"]),
    ("recv", &["Q", "--follow"]),
    ("recv", &["Q", "--exec", "true"]),
    ("recv", &["Q", "--ack", "cat"]),
    ("stat", &["Q", "--interval", "1ms"]),
    ("peek", &["Q"]),
    ("peek", &["Q", "--json"]),
    ("tail", &["Q", "--follow"]),
    ("create", &["D/new"]),
    ("create", &["D/new", "--kind", "mpmc"]),
    ("create", &["D/new", "--kind", "broadcast"]),
    ("gc", &["D"]),
    ("top", &["D"]),
    ("bench", &["--quick", "--recovery-trials", "0", "--only", "no such case"]),
];

const FLAGS: &[(&str, &str)] = &[
    ("bench", "--ring-bytes"),
    ("bench", "--recovery-trials"),
    ("bench", "--runs"),
    ("create", "--align"),
    ("create", "--ring-bytes"),
    ("create", "--fixed"),
    ("create", "--max-messages"),
    ("create", "--max-redeliveries"),
    ("create", "--participants"),
    ("create", "--producers"),
    ("gc", "--min-age"),
    ("peek", "--bytes"),
    ("peek", "--count"),
    ("recv", "--backoff"),
    ("recv", "--count"),
    ("recv", "--in-flight"),
    ("recv", "--jobs"),
    ("recv", "--timeout"),
    ("send", "--count"),
    ("send", "--timeout"),
    ("stat", "--count"),
    ("stat", "--interval"),
    ("tail", "--bytes"),
    ("tail", "--count"),
    ("tail", "--interval"),
    ("top", "--count"),
    ("top", "--interval"),
];

const VALUES: &[&str] = &[
    "0",
    "1",
    "0.5",
    "1e-12",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "10000000000000000000",
    "1e19",
    "1e300",
    "1e999",
    "-1",
    "-0",
    "nan",
    "inf",
    "-inf",
    "",
    " ",
    "1ns",
    "1000000000000y",
    "99999999999999999999y",
    "8191P",
    "16777215T",
    "18014398509481983K",
    "18014398509481984K",
    "99999999999999999999",
];

/// The flags of a command whose values are numbers, from its help.
fn numeric_flags(command: &str) -> BTreeSet<String> {
    let help = ringway(command).arg("--help").run().well().stdout();
    let is_numeric =
        |line: &&str| ["<TIME>", "<BYTES>", "<N>", "<RUNS>"].iter().any(|name| line.contains(name));
    help.lines()
        .filter(is_numeric)
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_flag_that_takes_a_number_is_here() {
    for command in
        ["create", "stat", "top", "send", "recv", "peek", "tail", "schema", "doctor", "gc", "bench"]
    {
        let known: BTreeSet<String> =
            FLAGS.iter().filter(|(of, _)| *of == command).map(|(_, flag)| (*flag).to_owned()).collect();
        assert_eq!(numeric_flags(command), known, "{command}");
    }
}

/// Whether the process has installed its signal handlers, so that it ends in order.
fn catches_sigterm(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> 14 & 1 == 1)
}

/// Runs the command until it ends, or ends it after a while.
fn try_value(place: &Place, command: &str, arguments: &[&str], flag: &str, value: &str) {
    let of = |argument: &&str| {
        argument.replace('D', place.path().to_str().unwrap()).replace('Q', place.at("q").to_str().unwrap())
    };
    let mut arguments: Vec<String> = arguments.iter().map(of).collect();
    // Inserted before the arguments of a worker's command, in place of another value of the same
    // flag.
    if let Some(at) = arguments.iter().position(|argument| argument == flag) {
        arguments.drain(at..at + 2);
    }
    arguments.insert(0, format!("{flag}={value}"));
    let about = format!("{command} {}", arguments.join(" "));
    let mut run = ringway(command).args(&arguments).command();
    run.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running::start(run);
    let mut stderr = running.child().stderr.take().unwrap();
    let start = Instant::now();
    while running.child().try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_millis(60) && catches_sigterm(running.pid()) {
            running.signal(Signal::SIGTERM);
            break;
        }
        assert!(start.elapsed() < HANGS, "{about}: it neither ends nor can be ended");
        std::thread::sleep(Duration::from_millis(1));
    }
    let status = running.status();
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    let code = status.code();
    assert!(matches!(code, Some(0 | 1 | 2 | 4 | 130)), "{about}: {status:?}\n{said}");
    assert!(!said.contains("panicked"), "{about}: {said}");
    if matches!(code, Some(1 | 2)) {
        assert!(said.contains("ringway") || said.contains("error:"), "{about}: {said}");
    }
    let _ = std::fs::remove_file(place.at("new"));
}

fn try_all(which: &[&str]) {
    let place = Place::new();
    let path = place.create("q", &["--ring-bytes", "4096"]);
    ringway("send").args(["--timeout", "0"]).arg(&path).input("0123456789\n".repeat(1000)).run().code(4);
    for (command, arguments) in COMMANDS.iter().filter(|(command, _)| which.contains(command)) {
        for (_, flag) in FLAGS.iter().filter(|(of, _)| of == command) {
            if (*flag == "--jobs" && !arguments.contains(&"--exec"))
                || (*flag == "--in-flight" && !arguments.contains(&"--ack"))
            {
                continue;
            }
            // Values with which a queue of gigabytes could be created are left out.
            let is_costly = |value: &&&str| {
                *command == "create" && matches!(value.parse(), Ok(1_000_000..=10_000_000_000_u64))
            };
            for value in VALUES.iter().filter(|value| !is_costly(value)) {
                try_value(&place, command, arguments, flag, value);
            }
        }
    }
}

#[test]
fn send_and_recv_take_any_number_or_say_why_not() {
    try_all(&["send", "recv"]);
}

#[test]
fn what_inspects_takes_any_number_or_says_why_not() {
    try_all(&["stat", "peek", "tail", "gc", "top"]);
}

#[test]
fn create_takes_any_number_or_says_why_not() {
    try_all(&["create"]);
}

#[test]
fn bench_takes_any_number_or_says_why_not() {
    try_all(&["bench"]);
}

/// A time longer than the maximum is the maximum.
#[test]
fn times_beyond_all_clocks_are_long_times() {
    let place = Place::new();
    let path = place.create("q", &[]);
    for value in ["10000000000000000000", "1e19", "1e300", "584542046090y"] {
        ringway("send").args(["--timeout", value]).arg(&path).input("a\n").run().well();
        assert_eq!(
            ringway("recv").args(["-n", "1", "--timeout", value]).arg(&path).run().well().stdout(),
            "a\n"
        );
    }
    for value in ["inf", "nan", "-1", "soon", "99999999999999999999999y"] {
        ringway("send")
            .args([&format!("--timeout={value}")])
            .arg(&path)
            .run()
            .code(2)
            .complains(&["time span"]);
    }
}
