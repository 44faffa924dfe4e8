//! Broadcast queues by the command: every message to every reader.

mod support;

use std::path::Path;

use ringway::CreateOptions;
use ringway::broadcast::{BytesQueue, Subscribe};
use support::{Place, ringway, stat};

fn open(path: &Path) -> BytesQueue {
    // SAFETY: only these tests, and the command, use the file.
    unsafe { BytesQueue::open(path) }.unwrap()
}

/// A queue of eight messages.
fn small(place: &Place) -> std::path::PathBuf {
    place.create(
        "queue",
        &["-k", "broadcast", "--max-messages", "8", "--participants", "6", "--producers", "2"],
    )
}

#[test]
fn create_makes_what_is_asked_for() {
    let place = Place::new();
    let path = place.at("queue");
    let options = ["-k", "broadcast", "--producers", "1", "--no-gating"];
    ringway("create").args(options).arg(&path).run().well().says(&[
        "broadcast queue",
        "1 producer",
        "no gating",
    ]);
    let made = stat(&path);
    assert_eq!(made["kind"], "broadcast");
    assert_eq!((&made["geometry"]["max_producers"], &made["geometry"]["gating"]), (&1.into(), &false.into()));
    ringway("create").args(["--if-missing", "-k", "broadcast"]).arg(&path).run().well().says(&["exists"]);
    ringway("create").args(["--if-missing", "-k", "mpmc"]).arg(&path).run().fails(&["broadcast"]);

    for (kind, option, named) in [
        ("mpmc", &["--producers", "2"][..], "max_producers"),
        ("spsc", &["--no-gating"], "gating"),
        ("broadcast", &["--at-most-once"], "delivery"),
        ("broadcast", &["--max-redeliveries", "2"], "max_redeliveries"),
        ("broadcast", &["--checksums"], "--checksums"),
    ] {
        let path = place.at("wrong");
        let run = ringway("create").args(["-k", kind]).args(option).arg(&path).run();
        run.fails(&[named, kind.to_uppercase().replace("BROADCAST", "broadcast").as_str()]);
        assert!(!path.exists());
    }
}

#[test]
fn every_reader_gets_every_message() {
    let place = Place::new();
    let path = place.create("queue", &["-k", "broadcast"]);
    ringway("send").arg(&path).input("one\ntwo\nthree\n").run().well();
    for _ in 0..2 {
        assert_eq!(ringway("recv").arg(&path).run().well().stdout(), "one\ntwo\nthree\n");
        assert_eq!(ringway("recv").arg("--lossy").arg(&path).run().well().stdout(), "one\ntwo\nthree\n");
    }
    for (from, found) in [
        ("oldest", "one\ntwo\nthree\n"),
        ("newest", ""),
        ("last:1", "three\n"),
        ("last:100", "one\ntwo\nthree\n"),
        ("at:1", "two\nthree\n"),
    ] {
        let done = ringway("recv").args(["--from", from]).arg(&path).run().well();
        assert_eq!((done.stdout().as_str(), done.stderr().as_str()), (found, ""), "{from}");
    }
    ringway("recv").args(["--from", "at:4"]).arg(&path).run().fails(&["position 4", "3"]);
    for wrong in ["first", "last:x", "at:", "last"] {
        ringway("recv").args(["--from", wrong]).arg(&path).run().code(2);
    }
    // A message is given back to the same process.
    let script = r#"test "$RINGWAY_REDELIVERIES" = 1 && cat"#;
    let run = ringway("recv").args(["--from", "last:1", "-n", "1", "--backoff", "0s"]).arg(&path);
    let run = run.args(["--exec", "sh", "-c", script]).run().code(0);
    assert_eq!(run.complains(&["given back"]).stdout(), "three");
}

#[test]
fn options_for_broadcast_are_refused_elsewhere() {
    let place = Place::new();
    for kind in ["spsc", "mpmc"] {
        let path = place.create(kind, &["-k", kind]);
        let name = kind.to_uppercase();
        ringway("recv").arg("--lossy").arg(&path).run().fails(&["--lossy", "broadcast", &name]);
        ringway("recv").args(["--from", "oldest"]).arg(&path).run().fails(&["--from", "broadcast", &name]);
    }
    let path = place.create("open", &["-k", "broadcast", "--no-gating"]);
    ringway("recv").arg(&path).run().fails(&["--lossy"]);
    ringway("recv").arg("--lossy").arg(&path).run().well();
}

#[test]
fn what_is_missed_is_told() {
    let place = Place::new();
    let path = small(&place);
    let numbers: String = (0..30).map(|number| format!("{number}\n")).collect();
    ringway("send").arg(&path).input(numbers).run().well();
    let oldest = stat(&path)["cursors"]["floor"].as_u64().unwrap();
    let rest: String = (oldest..30).map(|number| format!("{number}\n")).collect();
    for mode in [&["--lossy"][..], &[]] {
        let run = ringway("recv").args(mode).args(["--from", "at:3"]).arg(&path).run().code(0);
        let missed = format!("missed {} messages", oldest - 3);
        assert_eq!(run.stdout(), rest);
        assert!(run.stderr().contains(&missed) && run.stderr().lines().count() == 1, "{}", run.stderr());
    }
    let quiet = ringway("recv").args(["--lossy", "--quiet", "--from", "at:3"]).arg(&path).run().well();
    assert_eq!((quiet.stdout(), quiet.stderr()), (rest, String::new()));
}

#[test]
fn stat_top_and_doctor_say_who_holds_the_floor() {
    let place = Place::new();
    let path = small(&place);
    let queue = open(&path);
    let mut producer = queue.producer().unwrap();
    let reliable = queue.consumer().unwrap();
    let lossy = queue.consumer_with(&Subscribe::lossy()).unwrap();
    for _ in 0..8 {
        producer.send(b"tick").unwrap();
    }
    drop(reliable.recv().unwrap());
    let seen = stat(&path);
    let entry = seen["floor_holder"].as_u64().unwrap();
    let reader = |mode: &str| {
        let all = seen["participants"].as_array().unwrap();
        all.iter().find(|one| one["reading"]["mode"] == mode).unwrap().clone()
    };
    let holder = reader("reliable");
    assert_eq!((holder["entry"].as_u64(), holder["reading"]["holds_from"].as_u64()), (Some(entry), Some(1)));
    assert_eq!(holder["reading"]["lag"], 7);
    assert_eq!(reader("lossy")["reading"]["holds_from"], serde_json::Value::Null);
    assert_eq!((seen["backlog"]["messages"].as_u64(), seen["backlog"]["used"].as_u64()), (Some(8), Some(7)));
    assert_eq!(seen["corruption"].as_array().unwrap().len(), 0);

    let pid = std::process::id().to_string();
    let whom = format!("held by the consumer in entry {entry}");
    let human = ringway("stat").arg(&path).run().well();
    human.says(&[&whom, &pid, "8 retained", "7 kept", "reliable", "lossy", "at position 1"]);
    let metrics = ringway("stat").arg("--prometheus").arg(&path).run().well().stdout();
    let labels = format!("queue=\"{}\",kind=\"broadcast\"", path.display());
    for line in [
        format!("ringway_messages{{{labels}}} 8"),
        format!("ringway_lagged_total{{{labels}}} 0"),
        format!("ringway_consumer_lag{{{labels},entry=\"{entry}\",mode=\"reliable\"}} 7"),
        format!("ringway_consumer_holds_from{{{labels},entry=\"{entry}\",mode=\"reliable\"}} 1"),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }

    // Room for one is no full queue; none is.
    ringway("doctor").arg(&path).run().well().says(&["well", &whom, "at position 1", "7 messages are kept"]);
    producer.send(b"tick").unwrap();
    let done = ringway("doctor").arg(&path).run().code(3);
    done.says(&["producers wait", &whom, &pid, "at position 1"]);
    let full = ringway("send").args(["-t", "10ms"]).arg(&path).arg("late").run();
    full.code(4).complains(&[&format!("process {pid}"), "position 1"]);

    ringway("peek").args(["-n", "1", "--format", "text"]).arg(&path).run().well().says(&["tick"]);
    drop((reliable, lossy, producer));
    let seen = stat(&path);
    assert_eq!((&seen["floor_holder"], &seen["backlog"]["used"]), (&serde_json::Value::Null, &0.into()));
    ringway("stat").arg(&path).run().well().says(&["held by no consumer"]);
    ringway("doctor").arg(&path).run().well().says(&["well"]);
}

#[test]
fn a_consumer_that_died_is_named_and_recovered() {
    let place = Place::new();
    let path = place.at("queue");
    let options = CreateOptions::new().max_messages(8).max_participants(6).ring_bytes(4096);
    // SAFETY: only this test, and the command, use the file.
    let queue = unsafe { BytesQueue::create_with(&path, &options) }.unwrap();
    let mut reader = {
        let command = ringway("recv").args(["-f", "--exec", "sleep", "60", ";"]).arg(&path).command();
        support::Running::start(command)
    };
    let mut producer = queue.producer().unwrap();
    support::until("a consumer reads", || !queue.stats().consumers.is_empty());
    (0..8).for_each(|_| producer.send(b"tick").unwrap());
    let pid = reader.pid().to_string();
    reader.child().kill().unwrap();
    reader.child().wait().unwrap();
    let done = ringway("doctor").arg(&path).run().code(3);
    done.says(&["died", &pid, "which died", "at position 0"]);
    ringway("doctor").arg("--repair").arg(&path).run().well().says(&["recovered: 1 dead"]);
    producer.try_send(b"tock").unwrap();
}
