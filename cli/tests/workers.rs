//! `ringway recv --exec` and `--ack`: a message is released when its worker succeeds, and
//! redelivered if the worker fails or dies.

mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Place, Run, Running, ringway, stat, until};

/// `recv QUEUE options --exec sh -c script`, or with --ack.
fn worker(queue: &Path, options: &[&str], how: &str, script: &str) -> Run {
    ringway("recv").arg(queue).args(options).args([how, "sh", "-c", script])
}

/// Creates a queue with these messages, each of which becomes a dead letter after one redelivery.
fn with_messages(place: &Place, messages: &str) -> PathBuf {
    let path = place.create("queue", &["-k", "mpmc", "--max-redeliveries", "1"]);
    ringway("send").arg(&path).input(messages).run().well();
    path
}

fn quiet(run: Run) -> Running {
    let mut command = run.command();
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Running::start(command)
}

fn backlog(queue: &Path) -> (u64, u64) {
    let seen = stat(queue);
    (seen["backlog"]["messages"].as_u64().unwrap(), seen["backlog"]["held"].as_u64().unwrap())
}

fn redeliveries(queue: &Path) -> Vec<u64> {
    let peeked = ringway("peek").args(["--json", "-n", "100000", "--bytes", "0"]).arg(queue).run().code(0);
    peeked.json_lines().iter().map(|frame| frame["redeliveries"].as_u64().unwrap()).collect()
}

fn dead_letters(place: &Place) -> String {
    ringway("recv").arg(place.at("queue.dead")).run().well().stdout()
}

#[test]
fn a_command_runs_for_each_message() {
    let place = Place::new();
    for kind in ["spsc", "mpmc"] {
        let path = place.create(kind, &["--kind", kind]);
        ringway("send").args(["--format", "nul"]).arg(&path).input("one\0two\nlines\0\0").run().well();
        let script =
            r#"printf '[%s %s|' "$(basename "$RINGWAY_QUEUE")" "$RINGWAY_REDELIVERIES"; cat; printf ']'"#;
        let done = worker(&path, &[], "--exec", script).run().well();
        assert_eq!(done.stdout(), format!("[{kind} 0|one][{kind} 0|two\nlines][{kind} 0|]"));
        assert_eq!(backlog(&path), (0, 0));
        // The message is longer than a pipe, and the command does not read it.
        ringway("send").arg(&path).input("x".repeat(250_000)).run().well();
        ringway("recv").arg(&path).args(["--exec", "true"]).run().well();
        // Arguments with dashes belong to the command, and a `;` ends them.
        ringway("send").arg(&path).input("a\nb\nc\n").run().well();
        let done = ringway("recv").args(["--exec", "echo", "-n", "--count", ";", "-n", "2"]).arg(&path).run();
        assert_eq!(done.well().stdout(), "--count--count");
        assert_eq!(backlog(&path), (1, 0));
        let done = ringway("recv").args(["-n", "3", "--exec", "true"]).arg(&path).run();
        assert_eq!(done.output.status.code(), Some(2), "the queue is an argument of the command then");
        ringway("recv").arg(&path).args(["-n", "3", "--exec", "true"]).run().code(4);
    }
}

#[test]
fn positions_are_told() {
    let place = Place::new();
    let path = with_messages(&place, "a\nb\n");
    let done = worker(&path, &[], "--exec", "echo $RINGWAY_POSITION").run().well();
    assert_eq!(done.stdout(), "0\n1\n");
}

/// A message that fails, or kills its worker, becomes a dead letter, and no other message does.
#[test]
fn what_fails_comes_again_and_becomes_a_dead_letter() {
    for end in ["exit 3", "kill -9 $$"] {
        let place = Place::new();
        let path = with_messages(&place, "good\npoison\nfine\n");
        let log = place.at("log");
        let script = format!(
            "read -r line; echo $line $RINGWAY_REDELIVERIES >> '{}'; [ $line = poison ] && {end}; exit 0",
            log.display()
        );
        let done = worker(&path, &["--backoff", "0"], "--exec", &script).run().code(0);
        done.complains(&[
            path.to_str().unwrap(),
            "position 1",
            if end == "exit 3" { "exited with code 3" } else { "killed by SIGKILL" },
            "given back",
        ]);
        let log = std::fs::read_to_string(log).unwrap();
        assert_eq!(log, "good 0\npoison 0\npoison 1\nfine 0\n");
        assert_eq!((backlog(&path), dead_letters(&place)), ((0, 0), "poison\n".into()));
    }
}

#[test]
fn commands_run_side_by_side_if_asked_for() {
    let place = Place::new();
    for kind in ["spsc", "mpmc"] {
        let path = place.create(kind, &["--kind", kind]);
        ringway("send").arg(&path).input("1\n2\n").run().well();
        let meeting = place.at("meeting");
        std::fs::create_dir(&meeting).unwrap();
        // Each command waits until another one has started.
        let script = format!(
            "cd '{}'; touch $$; n=0; until [ $(ls | wc -l) -eq 2 ] || [ $n -gt 2000 ]; do n=$((n+1)); sleep 0.01; done; \
             [ $n -le 2000 ]",
            meeting.display()
        );
        worker(&path, &["--jobs", "2"], "--exec", &script).run().well();
        std::fs::remove_dir_all(meeting).unwrap();
        assert_eq!(backlog(&path), (0, 0));
    }
    // No more commands than that run at a time.
    let path = with_messages(&place, &"line\n".repeat(5));
    let mut recv = quiet(worker(&path, &["-j2"], "--exec", "sleep 100"));
    until("two are at work", || backlog(&path) == (3, 2));
    recv.signal(Signal::SIGINT);
    assert_eq!(recv.code(), Some(130));
    assert_eq!(redeliveries(&path).iter().sum::<u64>(), 2);
}

#[test]
fn a_command_that_cannot_be_run_costs_no_message_anything() {
    let place = Place::new();
    let path = with_messages(&place, "one\ntwo\n");
    for how in ["--exec", "--ack"] {
        for _ in 0..3 {
            let done = ringway("recv").arg(&path).args([how, "/no/such/command"]).run();
            done.fails(&["/no/such/command", "cannot be run", "No such file"]);
            assert_eq!(redeliveries(&path), [0, 0]);
        }
    }
}

/// A command that always fails is not run in a tight loop.
#[test]
fn failures_in_a_row_are_followed_by_pauses() {
    let place = Place::new();
    let path = place.create("queue", &["-k", "mpmc"]);
    ringway("send").arg(&path).arg("bad").run().well();
    let log = place.at("log");
    let start = Instant::now();
    let mut recv = quiet(worker(&path, &[], "--exec", &format!("echo >> '{}'; exit 1", log.display())));
    let runs = || std::fs::read_to_string(&log).map_or(0, |log| log.lines().count());
    until("it has failed three times", || runs() >= 3);
    // After the first failure 100 ms, after the second one 200 ms.
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    recv.signal(Signal::SIGTERM);
    assert_eq!(recv.code(), Some(130));
}

#[test]
fn signals_are_passed_on_and_what_was_not_done_comes_again() {
    for (how, script) in [
        (
            "--exec",
            "trap 'touch \"$RINGWAY_QUEUE.ended\"; exit 1' TERM; touch \"$RINGWAY_QUEUE.began\"; while :; do sleep 0.05; done",
        ),
        (
            "--ack",
            "trap 'touch \"$RINGWAY_QUEUE.ended\"; exit 1' TERM; read -r line; touch \"$RINGWAY_QUEUE.began\"; while :; do sleep 0.05; done",
        ),
    ] {
        let place = Place::new();
        let path = with_messages(&place, "one\ntwo\n");
        let mut recv = quiet(worker(&path, &["--follow"], how, script));
        until("it has begun", || place.at("queue.began").exists());
        recv.signal(Signal::SIGTERM);
        assert_eq!(recv.code(), Some(130));
        assert!(place.at("queue.ended").exists(), "{how}");
        assert_eq!((backlog(&path), redeliveries(&path)), ((2, 0), vec![1, 0]), "{how}");
    }
}

/// `kill -9` of recv: the kernel sends SIGTERM to the command, and the message goes to the next
/// consumer.
#[test]
fn commands_do_not_outlive_recv() {
    for how in ["--exec", "--ack"] {
        let place = Place::new();
        let path = with_messages(&place, "one\n");
        let script = "trap 'touch \"$RINGWAY_QUEUE.ended\"; exit 1' TERM; echo $$ > \"$RINGWAY_QUEUE.began\"; \
                      while :; do sleep 0.05; done";
        let mut recv = quiet(worker(&path, &["--follow"], how, script));
        until("it has begun", || place.at("queue.began").exists());
        recv.signal(Signal::SIGKILL);
        assert_eq!(recv.code(), None);
        until("the command is told", || place.at("queue.ended").exists());
        assert_eq!(ringway("recv").arg(&path).run().well().stdout(), "one\n");
    }
}

const ANSWER: &str = r#"while read -r line; do
    echo "$line" >> "$RINGWAY_QUEUE.log"
    case $line in
        reject) echo reject;;
        die) kill -9 $$;;
        leave) exit 0;;
        *) echo ok;;
    esac
done"#;

#[test]
fn a_worker_answers_each_message_with_a_line() {
    let place = Place::new();
    let path = with_messages(&place, "one\nreject\ntwo\n");
    worker(&path, &["--backoff", "0"], "--ack", ANSWER).run().well();
    assert_eq!((backlog(&path), dead_letters(&place)), ((0, 0), "reject\n".into()));
    let log = std::fs::read_to_string(place.at("queue.log")).unwrap();
    assert_eq!(log, "one\nreject\nreject\ntwo\n");
    // The worker gets as many messages as are requested.
    ringway("send").arg(&path).input("1\n2\n3\n").run().well();
    worker(&path, &["-n", "2", "--in-flight", "10"], "--ack", ANSWER).run().well();
    assert_eq!(backlog(&path), (1, 0));
    worker(&path, &["-n", "2"], "--ack", ANSWER).run().code(4);
    assert_eq!(backlog(&path), (0, 0));
}

/// Only the message that was in flight counts as redelivered, and another worker continues with the
/// others.
#[test]
fn a_worker_that_dies_is_started_again() {
    for (poison, says) in [("die", "killed by SIGKILL"), ("leave", "exited with code 0")] {
        let place = Place::new();
        let path = with_messages(&place, &format!("one\n{poison}\ntwo\n"));
        let done = worker(&path, &["--backoff", "0"], "--ack", ANSWER).run().code(0);
        done.complains(&[says, "1 message without an answer"]);
        assert_eq!((backlog(&path), dead_letters(&place)), ((0, 0), format!("{poison}\n")));
        let log = std::fs::read_to_string(place.at("queue.log")).unwrap();
        assert_eq!(log, format!("one\n{poison}\n{poison}\ntwo\n"));
    }
}

/// The worker's output stays open in a process that it started.
#[test]
fn a_worker_that_dies_is_noticed_though_its_pipe_is_open() {
    let place = Place::new();
    let path = with_messages(&place, "die\n");
    let script = format!("sleep 300 & echo $! >> \"$RINGWAY_QUEUE.left\"\n{ANSWER}");
    let start = Instant::now();
    let done = worker(&path, &["--backoff", "0"], "--ack", &script);
    let mut command = done.command();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert_eq!(command.status().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(60), "it waited for what was left behind");
    for pid in std::fs::read_to_string(place.at("queue.left")).unwrap().lines() {
        let _ = kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL);
    }
    assert_eq!((backlog(&path), dead_letters(&place)), ((0, 0), "die\n".into()));
}

#[test]
fn a_worker_that_has_enough_ends_recv() {
    let place = Place::new();
    // As many messages as the worker reads: a third one could be written just before the worker
    // ends, and would be redelivered to another worker.
    let path = with_messages(&place, "one\ntwo\n");
    let script = "read -r a; echo ok; read -r b; echo ok; exit 0";
    worker(&path, &["--follow"], "--ack", script).run().well();
    assert_eq!(backlog(&path), (0, 0));
    ringway("send").arg(&path).arg("three").run().well();
    let done = worker(&path, &[], "--ack", "read -r line; echo ok; cat > /dev/null; exit 7").run();
    done.fails(&["exited with code 7", "after it had answered all"]);
    assert_eq!(backlog(&path), (0, 0));
}

#[test]
fn answers_that_are_none_end_it_and_lose_nothing() {
    for (script, says) in [
        ("read -r line; echo 'what?'; cat > /dev/null", "`what?`"),
        ("echo ok; echo ok; cat > /dev/null", "no message to answer"),
        ("head -c 100000 /dev/zero; cat > /dev/null", "more than 64 bytes in a line"),
    ] {
        let place = Place::new();
        let path = with_messages(&place, "one\n");
        worker(&path, &["--follow"], "--ack", script).run().fails(&["sh", says]);
        assert!(backlog(&path) == (1, 0) || says.contains("no message"), "{script}");
    }
}

#[test]
fn no_more_than_so_many_are_in_flight() {
    let place = Place::new();
    let path = with_messages(&place, &"line\n".repeat(10));
    let mut recv = quiet(worker(&path, &["--in-flight", "3"], "--ack", "sleep 100"));
    until("three are in flight", || backlog(&path) == (7, 3));
    recv.signal(Signal::SIGINT);
    assert_eq!(recv.code(), Some(130));
    let mut counts = redeliveries(&path);
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1], "they were written, and may have been read");
}

/// A message that cannot have been read comes no nearer to being a dead letter.
#[test]
fn a_failed_write_counts_only_what_was_written() {
    let place = Place::new();
    let messages: String = (0..2000).map(|number| format!("{number}\n")).collect();
    for options in [&["-k", "mpmc"][..], &["-k", "mpmc", "--max-redeliveries", "1"]] {
        let path = place.create("queue", options);
        ringway("send").arg(&path).input(messages.clone()).run().well();
        for _ in 0..4 {
            let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
            let mut recv = ringway("recv").arg(&path).command();
            assert_eq!(recv.stdout(full).stderr(Stdio::null()).status().unwrap().code(), Some(1));
        }
        assert!(!place.at("queue.dead").exists());
        assert_eq!(redeliveries(&path), [0; 2000]);
        assert_eq!(ringway("recv").arg(&path).run().well().stdout().lines().count(), 2000);
        // If only a part of the batch was written, only that part counts.
        ringway("send").arg(&path).input(messages.clone()).run().well();
        let limited = format!(
            "ulimit -f 1; trap '' XFSZ; '{}' recv '{}' > '{}'",
            env!("CARGO_BIN_EXE_ringway"),
            path.display(),
            place.at("file").display()
        );
        let status = std::process::Command::new("bash").args(["-c", &limited]).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(1));
        let written = std::fs::read_to_string(place.at("file")).unwrap();
        let counted = redeliveries(&path).iter().filter(|count| **count > 0).count();
        // The last batch, whose end may be cut off; the batches before it are released.
        let left = redeliveries(&path).len();
        assert_eq!(
            2000 - left + counted,
            written.split_terminator('\n').count(),
            "{left} left, {counted} counted"
        );
        ringway::unlink(&path).unwrap();
    }
}
