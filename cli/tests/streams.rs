//! `ringway send` and `ringway recv`: the messages sent are the messages received, whatever they
//! are and however the commands end.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Place, ringway, stat, until};

#[test]
fn lines_come_out_as_they_went_in() {
    let place = Place::new();
    for options in [&["--kind", "spsc"][..], &["--kind", "mpmc"]] {
        let path = place.create(options[1], options);
        // An empty line, no newline at the end, and bytes that are no text.
        let input = b"one\n\nthree\r\n\xff\xfe\nlast";
        ringway("send").arg(&path).input(*input).run().well();
        let output = ringway("recv").arg(&path).run().well().output.stdout;
        assert_eq!(output, b"one\n\nthree\r\n\xff\xfe\nlast\n");
        assert!(ringway("recv").arg(&path).run().well().output.stdout.is_empty());
        ringway("send").arg(&path).args(["from", "the command line"]).run().well();
        assert_eq!(ringway("recv").arg(&path).run().well().stdout(), "from\nthe command line\n");
    }
}

#[test]
fn any_bytes_go_length_prefixed() {
    let place = Place::new();
    let path = place.create("queue", &["--ring-bytes", "4M"]);
    let mut input = Vec::new();
    for message in [&b"with\nnewline"[..], b"", &[0; 100_000], &vec![b'\n'; 1_500_000]] {
        input.extend_from_slice(&(message.len() as u32).to_le_bytes());
        input.extend_from_slice(message);
    }
    ringway("send").args(["--format", "length"]).arg(&path).input(input.clone()).run().well();
    assert!(ringway("recv").args(["--format", "length"]).arg(&path).run().well().output.stdout == input);
    ringway("send").args(["--format", "nul"]).arg(&path).input("a\nb\0c\0").run().well();
    assert_eq!(ringway("recv").args(["--format", "nul"]).arg(&path).run().well().stdout(), "a\nb\0c\0");
    // Half a message is not sent; the messages before it are.
    let done =
        ringway("send").args(["--format", "length"]).arg(&path).input(b"\x01\0\0\0x\x09\0\0\0half").run();
    done.fails(&[path.to_str().unwrap(), "message 2", "ends within a message"]);
    assert_eq!(ringway("recv").arg(&path).run().well().stdout(), "x\n");
}

#[test]
fn what_cannot_be_sent_is_said_with_its_number() {
    let place = Place::new();
    let path = place.create("queue", &["--ring-bytes", "4K"]);
    let name = path.to_str().unwrap();
    let large = format!("small\n{}\n", "x".repeat(3000));
    ringway("send").arg(&path).input(large).run().fails(&[
        name,
        "message 2",
        "3000 bytes",
        "more `ring_bytes`",
    ]);
    let endless = "x".repeat(3_000_000);
    ringway("send").arg(&path).input(endless).run().fails(&[name, "message 1", "more `ring_bytes`"]);
    let path = place.create("fixed", &["--fixed", "4"]);
    ringway("send").arg(&path).input("four\nfives\n").run().fails(&["message 2", "exactly 4 bytes"]);
    assert_eq!(ringway("recv").arg(&path).run().well().stdout(), "four\n");
}

#[test]
fn counts_and_times_limit_them() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    ringway("send").args(["--count", "2"]).arg(&path).input("1\n2\n3\n").run().well();
    assert_eq!(ringway("recv").args(["-n", "1"]).arg(&path).run().well().stdout(), "1\n");
    let done = ringway("recv").args(["-n", "5"]).arg(&path).run().code(4);
    assert_eq!(done.stdout(), "2\n");
    done.complains(&["only 1 message"]);
    let done = ringway("recv").args(["-n", "1", "--timeout", "10ms"]).arg(&path).run().code(4);
    assert!(done.stdout().is_empty() && done.stderr().is_empty());
    ringway("recv").args(["--follow", "--timeout", "10ms"]).arg(&path).run().code(4);
    ringway("recv").args(["--timeout", "10ms"]).arg(&path).run().code(4);
    ringway("recv").arg(&path).run().well();
    ringway("recv").args(["-n", "0"]).arg(&path).run().well();
}

#[test]
fn a_second_producer_of_an_spsc_queue_is_refused_by_name() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::spsc::BytesQueue::open(&path) }.unwrap();
    let (_producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let own = std::process::id().to_string();
    for (command, role) in [("send", "producer"), ("recv", "consumer")] {
        ringway(command).arg(&path).run().fails(&[path.to_str().unwrap(), role, &own, "stop that one first"]);
    }
}

#[test]
fn a_follower_gets_what_comes_and_ends_cleanly_on_ctrl_c() {
    let place = Place::new();
    for kind in ["spsc", "mpmc"] {
        let path = place.create(kind, &["--kind", kind]);
        let mut command = ringway("recv").arg("--follow").arg(&path).command();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        for message in ["one", "two"] {
            ringway("send").arg(&path).arg(message).run().well();
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            assert_eq!(line.trim_end(), message);
        }
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let seen = stat(&path);
        assert_eq!(
            (seen["backlog"]["messages"].as_u64(), seen["backlog"]["held"].as_u64()),
            (Some(0), Some(0))
        );
        let is_left = |one: &serde_json::Value| one["liveness"] != "gone";
        assert!(!seen["participants"].as_array().unwrap().iter().any(is_left), "it detached: {seen}");
    }
}

#[test]
fn nohup_keeps_its_meaning() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" recv --follow \"$1\"", env!("CARGO_BIN_EXE_ringway")]);
    let mut child = command.arg(&path).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for message in ["one", "two"] {
        ringway("send").arg(&path).arg(message).run().well();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), message);
        // The command runs now, and continues.
        kill(Pid::from_raw(child.id() as i32), Signal::SIGHUP).unwrap();
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_sender_that_waits_for_input_or_for_room_ends_on_ctrl_c() {
    let place = Place::new();
    let path = place.create("queue", &["--ring-bytes", "4K", "-k", "mpmc", "--max-messages", "4"]);
    for input in ["first\n", &"more\n".repeat(100)] {
        let mut command = ringway("send").arg(&path).command();
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // Kept open, so that the command waits for more input.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        let expected = input.lines().count().min(4) as u64;
        until("messages are sent", || stat(&path)["backlog"]["messages"].as_u64() >= Some(expected));
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(stat(&path)["participants"].as_array().unwrap().len(), 0);
    }
}

/// `ringway recv | head`: no error message, and only messages that were written are lost.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    for kind in ["spsc", "mpmc"] {
        let path = place.create(kind, &["--kind", kind, "--ring-bytes", "8M"]);
        let input: String = (0..200_000).map(|number| format!("{number}\n")).collect();
        let consumer = ringway("recv").args(["--follow"]).arg(&path).command();
        let mut consumer = consumer_with_pipes(consumer);
        let mut first = [0; 2];
        let feeder = {
            let (path, input) = (path.clone(), input.clone());
            std::thread::spawn(move || ringway("send").args(["--timeout", "1"]).arg(&path).input(input).run())
        };
        let mut stdout = consumer.stdout.take().unwrap();
        stdout.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"0\n");
        drop(stdout);
        let mut complaints = String::new();
        consumer.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        assert_eq!((consumer.wait().unwrap().code(), complaints.as_str()), (Some(0), ""));
        let sent = feeder.join().unwrap().output.status.code();
        assert!(sent == Some(0) || sent == Some(4), "{sent:?}");
        let seen = stat(&path);
        assert_eq!(seen["backlog"]["held"], 0, "what was not written was put back");
    }
    // The same for a command that only inspects.
    let path = place.create("looked-at", &[]);
    ringway("send").arg(&path).input("line\n".repeat(50_000)).run().well();
    let command = ringway("peek").args(["-n", "50000"]).arg(&path).command();
    let mut child = consumer_with_pipes(command);
    drop(child.stdout.take().unwrap());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

fn consumer_with_pipes(mut command: std::process::Command) -> std::process::Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Several senders and receivers: every line arrives once.
#[test]
fn many_senders_and_receivers_share_a_queue() {
    let place = Place::new();
    let path = place.create("queue", &["-k", "mpmc"]);
    let consumers: Vec<_> = (0..2)
        .map(|_| consumer_with_pipes(ringway("recv").args(["--follow"]).arg(&path).command()))
        .collect();
    let pids: Vec<_> = consumers.iter().map(|child| Pid::from_raw(child.id() as i32)).collect();
    let readers: Vec<_> = consumers
        .into_iter()
        .map(|mut child| {
            std::thread::spawn(move || {
                let mut text = String::new();
                child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
                child.wait().unwrap();
                text
            })
        })
        .collect();
    let senders: Vec<_> = (0..3)
        .map(|sender| {
            let path = path.clone();
            let input: String = (0..5000).map(|number| format!("{sender} {number}\n")).collect();
            std::thread::spawn(move || drop(ringway("send").arg(&path).input(input).run().well()))
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    until("all is received", || {
        let seen = stat(&path);
        seen["backlog"]["messages"] == 0
            && seen["backlog"]["held"] == 0
            && seen["counters"]["received"] == 15_000
    });
    pids.iter().for_each(|pid| kill(*pid, Signal::SIGINT).unwrap());
    let texts: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    let mut lines: Vec<_> = texts.iter().flat_map(|text| text.lines()).collect();
    lines.sort_unstable();
    let mut expected: Vec<_> =
        (0..3).flat_map(|sender| (0..5000).map(move |number| format!("{sender} {number}"))).collect();
    expected.sort_unstable();
    assert!(lines == expected, "{} lines", lines.len());
}

/// Every inspecting command, in a loop beside traffic: it changes nothing, and reports no
/// corruption.
#[test]
fn inspection_does_not_disturb_traffic() {
    const LINES: usize = 400_000;
    let place = Place::new();
    for kind in ["spsc", "mpmc"] {
        let path = place.create(kind, &["--kind", kind, "--ring-bytes", "64K"]);
        let input: String = (0..LINES).map(|number| format!("line {number}\n")).collect();
        let count = LINES.to_string();
        let receiver = {
            let path = path.clone();
            std::thread::spawn(move || ringway("recv").args(["--follow", "-n", &count]).arg(&path).run())
        };
        let sender = {
            let (path, input) = (path.clone(), input.clone());
            std::thread::spawn(move || ringway("send").arg(&path).input(input).run())
        };
        let mut polls = 0;
        while !receiver.is_finished() || polls < 5 {
            assert_eq!(stat(&path)["corruption"].as_array().unwrap().len(), 0);
            for line in ringway("peek").args(["--json", "--held"]).arg(&path).run().code(0).json_lines() {
                let text = line["text"].as_str().unwrap_or_else(|| panic!("torn: {line}"));
                assert!(
                    text.strip_prefix("line ").is_some_and(|rest| rest.parse::<usize>().is_ok()),
                    "torn: {text}"
                );
            }
            let diagnosis = ringway("doctor").args(["--json"]).arg(&path).run().json();
            for finding in diagnosis["findings"].as_array().unwrap() {
                assert_ne!(finding["severity"], "error", "{finding}");
            }
            polls += 1;
        }
        sender.join().unwrap().well();
        assert!(receiver.join().unwrap().well().stdout() == input, "nothing is lost, doubled or reordered");
    }
}
