//! The queue's name leads to another file while a command is attached or shows the queue: the
//! command reports it, or follows the name.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use support::{Place, Run, Running, ringway, stat, until};

fn start(run: Run) -> Running {
    let mut command = run.command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start(command)
}

fn complaint(running: &mut Running) -> String {
    let mut said = String::new();
    running.child().stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

fn messages(queue: &Path) -> u64 {
    stat(queue)["backlog"]["messages"].as_u64().unwrap_or(0)
}

#[test]
fn a_sender_does_not_go_on_into_a_file_without_a_name() {
    for is_new_one in [false, true] {
        let place = Place::new();
        let path = place.create("queue", &["--kind", "mpmc"]);
        let mut sender = start(ringway("send").arg(&path));
        let mut input = sender.child().stdin.take().unwrap();
        input.write_all(b"line 1\n").unwrap();
        until("the first line is sent", || messages(&path) == 1);
        std::fs::remove_file(&path).unwrap();
        if is_new_one {
            place.create("queue", &["--kind", "mpmc"]);
        }
        // It ends although its input is still open.
        until("it warnings", || {
            input.write_all(b"line\n").is_err() || sender.child().try_wait().unwrap().is_some()
        });
        assert_eq!(sender.code(), Some(1));
        let said = complaint(&mut sender);
        for text in [path.to_str().unwrap(), "cannot be sent", "no longer found by its name"] {
            assert!(said.contains(text), "{said}");
        }
        assert!(!is_new_one || messages(&path) == 0);
    }
}

#[test]
fn a_receiver_does_not_wait_for_ever_in_a_file_without_a_name() {
    for arguments in
        [&[][..], &["--exec", "cat"], &["--ack", "sh", "-c", "while read -r a; do echo ok; done"]]
    {
        let place = Place::new();
        let path = place.create("queue", &["--kind", "mpmc"]);
        let mut receiver = start(ringway("recv").arg(&path).arg("--follow").args(arguments));
        until("it attaches", || !stat(&path)["participants"].as_array().unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
        place.create("queue", &["--kind", "mpmc"]);
        assert_eq!(receiver.code(), Some(1));
        let said = complaint(&mut receiver);
        assert!(
            said.contains(path.to_str().unwrap()) && said.contains("no longer found by its name"),
            "{said}"
        );
    }
}

#[test]
fn tail_follows_the_file_or_the_name() {
    for (flag, follows) in [("-f", false), ("-F", true)] {
        let place = Place::new();
        let path = place.create("queue", &[]);
        ringway("send").arg(&path).args(["one", "two"]).run().well();
        let mut tail = start(ringway("tail").args([flag, "-n", "1", "--format", "text"]).arg(&path));
        let mut lines = BufReader::new(tail.child().stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "two");
        std::fs::remove_file(&path).unwrap();
        if !follows {
            assert_eq!(tail.code(), Some(1));
            assert!(complaint(&mut tail).contains("-F follows the name"));
            continue;
        }
        place.create("queue", &["--kind", "mpmc"]);
        ringway("send").arg(&path).args(["three", "four"]).run().well();
        for expected in ["three", "four"] {
            assert_eq!(lines.next().unwrap().unwrap(), expected, "all of what is new");
        }
        ringway("send").arg(&path).arg("five").run().well();
        assert_eq!(lines.next().unwrap().unwrap(), "five");
        tail.signal(Signal::SIGINT);
        assert_eq!(tail.code(), Some(130));
        assert!(complaint(&mut tail).contains("another file has the name"));
    }
}

/// A sender whose queue is full and has no consumer reports it once, whether or not standard error
/// is a terminal.
#[test]
fn a_full_queue_that_nothing_receives_from_is_mentioned() {
    let place = Place::new();
    let path = place.create("queue", &["--ring-bytes", "4K"]);
    let lines = "0123456789\n".repeat(1000);
    let done = ringway("send").args(["--timeout", "2"]).arg(&path).input(lines.clone()).run().code(4);
    let said = done.stderr();
    assert_eq!(said.matches("no consumer is attached").count(), 1, "{said}");
    assert!(said.contains(path.to_str().unwrap()) && said.contains("is full"), "{said}");
    let done =
        ringway("send").args(["--quiet", "--timeout", "1.5"]).arg(&path).input(lines.clone()).run().code(4);
    assert_eq!(done.stderr(), "");
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::spsc::BytesQueue::open(&path) }.unwrap();
    let _consumer = queue.consumer().unwrap();
    let done = ringway("send").args(["--timeout", "1.5"]).arg(&path).input(lines).run().code(4);
    assert!(!done.stderr().contains("no consumer is attached"), "one that is slow: {}", done.stderr());
}
