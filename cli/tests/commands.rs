//! The successful case of every command.

mod support;

use support::{Place, ringway, stat};

#[test]
fn create_makes_what_is_asked_for() {
    let place = Place::new();
    let path = place.at("spsc");
    let name = path.to_str().unwrap();
    ringway("create").arg(&path).run().well().says(&[name, "created", "SPSC queue of `bytes`", "1.0 MiB"]);
    let made = stat(&path);
    assert_eq!(
        (made["kind"].as_str(), made["geometry"]["framing"].as_str()),
        (Some("spsc"), Some("variable"))
    );
    assert_eq!(made["geometry"]["ring_bytes"], 1 << 20);

    ringway("create").arg(&path).run().fails(&[name, "exists"]);
    ringway("create").args(["--if-missing", name]).run().well().says(&["exists"]);
    assert_eq!(stat(&path)["uuid"], made["uuid"], "the same queue as before");
    ringway("create").args(["--if-missing", "-k", "mpmc", name]).run().fails(&[name, "SPSC", "another name"]);

    let path = place.create("fixed", &["--fixed", "24", "--ring-bytes", "64K", "--align", "8"]);
    let made = stat(&path);
    assert_eq!(
        (made["geometry"]["message_bytes"].as_u64(), made["geometry"]["align"].as_u64()),
        (Some(24), Some(8))
    );

    let path = place.at("mpmc");
    let options =
        ["-k", "mpmc", "--max-messages", "100", "--participants", "5", "--max-redeliveries", "3", "--json"];
    let made = ringway("create").args(options).arg(&path).run().well().json();
    assert_eq!(made["geometry"]["max_messages"], 100);
    assert_eq!(made["geometry"]["max_participants"], 5);
    assert_eq!(made["geometry"]["max_redeliveries"], 3);
    let path = place.create("once", &["-k", "mpmc", "--at-most-once", "--quiet"]);
    assert_eq!(stat(&path)["geometry"]["delivery"], "at-most-once");

    let path = place.at("wrong");
    let done =
        ringway("create").args(["--max-messages", "100"]).arg(&path).run().fails(&["max_messages", "MPMC"]);
    assert!(!path.exists() && done.stdout().is_empty());
    ringway("create").args(["--align", "3"]).arg(&path).run().fails(&["alignment", "power of two"]);
    let nowhere = place.at("no/such/directory");
    ringway("create").arg(&nowhere).run().fails(&[
        nowhere.to_str().unwrap(),
        "does not exist",
        "create it first",
    ]);
}

#[test]
fn stat_shows_backlog_and_participants() {
    let place = Place::new();
    let path = place.create("queue", &["-k", "mpmc", "--participants", "4"]);
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::mpmc::BytesQueue::open(&path) }.unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_many(&[b"one", b"two"]).unwrap();
    let consumer = queue.consumer().unwrap();
    let held = consumer.recv().unwrap();

    let seen = stat(&path);
    assert_eq!((seen["backlog"]["messages"].as_u64(), seen["backlog"]["held"].as_u64()), (Some(1), Some(1)));
    assert_eq!(seen["counters"]["sent"], 2);
    assert_eq!(seen["held"][0]["position"], 0);
    assert!(seen["held"][0]["at_most_s"].as_f64().unwrap() > 0.0);
    let participants = seen["participants"].as_array().unwrap();
    assert_eq!(participants.len(), 2);
    for one in participants {
        assert_eq!(
            (one["liveness"].as_str(), one["pid"].as_u64()),
            (Some("alive"), Some(std::process::id().into()))
        );
    }
    let human = ringway("stat").arg(&path).run().well();
    let human = human.says(&["MPMC queue", "1 waiting", "1 in flight", "producer", "consumer", "alive"]);
    assert!(!human.stdout().contains('\x1b'), "no colours into a pipe");
    ringway("stat").args(["--color", "always"]).arg(&path).run().well().says(&["\x1b[1m"]);

    let metrics = ringway("stat").arg("--prometheus").arg(&path).run().well().stdout();
    let labels = format!("{{queue=\"{}\",kind=\"mpmc\"}}", path.display());
    for line in [
        format!("ringway_messages{labels} 1"),
        format!("ringway_messages_held{labels} 1"),
        format!("ringway_sent_total{labels} 2"),
        "# TYPE ringway_sent_total counter".into(),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("role=\"consumer\",liveness=\"alive\"} 1"), "{metrics}");
    drop(held);
}

#[test]
fn stat_takes_a_directory() {
    let place = Place::new();
    let (one, two) = (place.create("one", &[]), place.create("two", &["-k", "mpmc"]));
    std::fs::write(place.at("notes.txt"), "not a queue at all").unwrap();
    let names = [one.to_str().unwrap(), two.to_str().unwrap()];
    ringway("stat").arg(place.path()).run().well().says(&names);
    let all = ringway("stat").arg("--json").arg(place.path()).run().well().json_lines();
    assert_eq!(all.iter().map(|queue| queue["path"].as_str().unwrap()).collect::<Vec<_>>(), names);
    ringway("stat").args(["--prometheus"]).arg(place.path()).run().well().says(&names);
    let rates = ringway("stat").args(["-i", "1ms", "-n", "2", "--json"]).arg(place.path()).run().well();
    assert_eq!(rates.json_lines().len(), 4);
    // A broken file does not hide the others.
    std::fs::write(place.at("broken"), b"RINGWAY\x1abut no more").unwrap();
    let done = ringway("stat").arg(place.path()).run().fails(&["broken", "1 file cannot be looked into"]);
    done.says(&names);
    let empty = Place::new();
    assert_eq!(ringway("stat").arg(empty.path()).run().well().stdout(), "");
}

#[test]
fn stat_tells_rates_over_an_interval() {
    let place = Place::new();
    let (one, two) = (place.create("one", &[]), place.create("two", &["-k", "mpmc"]));
    let samples =
        ringway("stat").args(["--json", "--interval", "20ms", "--count", "3"]).args([&one, &two]).run();
    let samples = samples.well().json_lines();
    assert_eq!(samples.len(), 6);
    for sample in &samples {
        assert_eq!(sample["rates"]["sent_per_s"], 0.0);
        assert!(sample["rates"]["over_s"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(
        (&samples[0]["rates"]["unit"], &samples[1]["rates"]["unit"]),
        (&"ring bytes".into(), &"messages".into())
    );
    ringway("stat").args(["-i", "1ms", "-n", "1"]).arg(&one).run().well().says(&["rates"]);
}

#[test]
fn peek_and_tail_show_messages_and_consume_none() {
    let place = Place::new();
    for kind in ["spsc", "mpmc"] {
        let path = place.create(kind, &["--kind", kind]);
        ringway("peek").arg(&path).run().code(0).complains(&["no message waits", path.to_str().unwrap()]);
        ringway("send").arg(&path).input("one\ntwo\nthree \x1b[2J\n").run().well();
        let oldest = ringway("peek").args(["-n", "2"]).arg(&path).run().well();
        oldest.says(&["position 0, 3 bytes, waiting", "6f 6e 65", "|one|", "|two|"]);
        let newest = ringway("tail").args(["-n", "1", "--format", "text"]).arg(&path).run().well();
        assert_eq!(newest.stdout(), "three \\u{1b}[2J\n");
        let all = ringway("peek").args(["--json", "--bytes", "2"]).arg(&path).run().well().json_lines();
        let texts: Vec<_> = all.iter().map(|frame| frame["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["on", "tw", "th"]);
        assert_eq!((all[2]["bytes"].as_u64(), all[2]["payload_hex"].as_str()), (Some(10), Some("7468")));
        ringway("peek").args(["--bytes", "1"]).arg(&path).run().well().says(&["and 2 bytes"]);
        assert_eq!(stat(&path)["backlog"]["messages"], 3);
        ringway("recv").arg(&path).run().well().says(&["one\ntwo\nthree"]);
    }
}

#[test]
fn schema_says_what_messages_are() {
    let place = Place::new();
    let path = place.create("bytes", &["--fixed", "16"]);
    let name = path.to_str().unwrap();
    ringway("schema").arg(&path).run().well().says(&[name, "`bytes`", "no archive", "16 bytes each"]);
    let schema = ringway("schema").arg("--json").arg(&path).run().well().json();
    assert_eq!((schema["name"].as_str(), schema["size"].as_u64()), (Some("bytes"), Some(0)));
    assert!(schema["fingerprint"].is_null());
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let commands =
        ["create", "stat", "top", "send", "recv", "peek", "tail", "schema", "doctor", "gc", "bench"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        ringway("completions").arg(shell).run().well().says(&commands);
    }
    ringway("man").run().well().says(&[".TH ringway 1", "Exit codes", "130"]);
    let place = Place::new();
    ringway("man").arg("--out").arg(place.path()).run().well();
    for command in commands {
        let page = std::fs::read_to_string(place.at(&format!("ringway-{command}.1"))).unwrap();
        assert!(page.contains(&format!(".TH ringway\\-{command} 1")) || page.contains(".TH"), "{page}");
    }
    assert!(!place.names().iter().any(|name| name.contains("worker")), "{:?}", place.names());
    let nowhere = place.at("no/such");
    ringway("man").arg("--out").arg(&nowhere).run().fails(&[nowhere.to_str().unwrap(), "directory"]);
}

#[test]
fn help_documents_the_exit_codes() {
    ringway("--help").run().well().says(&["Exit codes:", "130", "interrupted", "create", "doctor"]);
    ringway("--version").run().well().says(&["ringway "]);
}

#[test]
fn top_needs_a_terminal() {
    let place = Place::new();
    place.create("orders", &[]);
    ringway("top").arg(place.path()).run().fails(&["needs a terminal", "stat --json"]);
}

/// Runs a command in a pseudoterminal, presses `key` when the screen shows `text`, and returns the
/// exit code and the output.
fn on_terminal(command: support::Run, text: &str, key: &[u8]) -> (Option<i32>, String) {
    use std::io::{Read, Write};
    use std::process::Stdio;
    let size = nix::pty::Winsize { ws_row: 30, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(&size, None).unwrap();
    let mut command = command.env("TERM", "xterm").command();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    // From now on the terminal is closed when the child has ended.
    drop((command, pty.slave));
    let mut terminal = std::fs::File::from(pty.master);
    let mut screen = String::new();
    let mut is_pressed = false;
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = terminal.read(&mut piece) {
        screen.push_str(&String::from_utf8_lossy(&piece[..read]));
        if !is_pressed && screen.contains(text) {
            terminal.write_all(key).unwrap();
            is_pressed = true;
        }
    }
    (child.wait().unwrap().code(), screen)
}

fn top_until(place: &Place, arguments: &[&str], text: &str, key: &[u8]) -> (Option<i32>, String) {
    on_terminal(ringway("top").args(arguments).arg(place.path()), text, key)
}

#[test]
fn colours_are_for_terminals_whose_user_wants_them() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    let on = |run: support::Run| on_terminal(run.arg(&path), "never shown", b"").1;
    for command in ["stat", "doctor", "schema"] {
        assert!(on(ringway(command)).contains("\x1b["), "{command}: colours on a terminal");
        for plain in [ringway(command).env("NO_COLOR", "1"), ringway(command).args(["--color", "never"])] {
            assert!(!on(plain).contains('\x1b'), "{command}: no colours if they are not wanted");
        }
        assert!(
            on(ringway(command).env("NO_COLOR", "")).contains("\x1b["),
            "{command}: an empty NO_COLOR is none"
        );
    }
}

#[test]
fn top_draws_the_queues_of_a_directory_until_a_key_is_pressed() {
    let place = Place::new();
    let path = place.create("orders", &["-k", "mpmc"]);
    ringway("send").arg(&path).args(["one", "two"]).run().well();
    for key in [b"q".as_slice(), b"\x1b[Bjks\x03"] {
        let (code, screen) = top_until(&place, &["--interval", "50ms"], "orders", key);
        assert_eq!(code, Some(0), "{screen}");
        assert!(
            screen.contains("MPMC") && screen.contains("\x1b[?1049l"),
            "the screen is given back: {screen}"
        );
    }
    for arguments in [&["--count", "1", "--color", "never"][..], &["--count", "1", "--interval", "1e19"]] {
        let (code, screen) = top_until(&place, arguments, "no such text", b"");
        assert_eq!(code, Some(0), "{screen}");
    }
}

#[test]
fn dead_letters_are_counted_in_the_source_queue() {
    let place = Place::new();
    let path = place.create("queue", &["-k", "mpmc", "--max-redeliveries", "1"]);
    ringway("send").arg(&path).arg("bad").run().well();
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::mpmc::BytesQueue::open(&path) }.unwrap();
    let consumer = queue.consumer().unwrap();
    while let Ok(frame) = consumer.try_recv() {
        frame.reject();
    }
    let seen = stat(&path);
    assert_eq!(
        (seen["counters"]["dead_letters"].as_u64(), seen["dead_letters"]["messages"].as_u64()),
        (Some(1), Some(1))
    );
    ringway("stat").arg(&path).run().well().says(&["1 waiting in", "queue.dead"]);
    ringway("doctor").arg(&path).run().well().says(&["dead letters wait", "queue.dead: 1 message"]);
    ringway("peek").arg(place.at("queue.dead")).run().well().says(&["dead letter: position 0 of", "|bad|"]);
    let letter = queue.uuid().to_string();
    ringway("peek").arg(place.at("queue.dead")).run().well().says(&[&letter, "last held by process"]);
    // A queue that is created anew, with the dead letters of the earlier one.
    drop(consumer);
    ringway::unlink(&path).unwrap();
    place.create("queue", &["-k", "mpmc", "--max-redeliveries", "1"]);
    assert_eq!(stat(&path)["dead_letters"]["of_earlier_queues"].as_u64(), Some(1));
    ringway("stat").arg(&path).run().well().says(&["1 of them of an earlier queue"]);
    ringway("doctor").arg(&path).run().well().says(&["1 message of an earlier queue of this name"]);
}

#[test]
fn what_cannot_be_the_dead_letter_queue_is_found() {
    let place = Place::new();
    let path = place.create("queue", &["-k", "mpmc", "--max-redeliveries", "1"]);
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::mpmc::BytesQueue::open(&path) }.unwrap();
    let consumer = queue.consumer().unwrap();
    std::fs::write(place.at("queue.dead"), "something else").unwrap();
    ringway("send").arg(&path).arg("bad").run().well();
    (0..3).for_each(|_| consumer.try_recv().unwrap().reject());
    ringway("doctor").arg(&path).run().code(3).says(&["cannot be the dead-letter queue", "the last time"]);
    ringway("stat")
        .arg(&path)
        .run()
        .well()
        .says(&["the last letter that failed", "no MPMC queue of messages"]);
    let failure = &stat(&path)["counters"]["dead_letter_failure"];
    assert!(failure["reason"].as_str().unwrap().contains("no MPMC queue"), "{failure}");
    ringway("recv").arg(&path).run().fails(&["cannot be the dead-letter queue of"]);
}
