//! Names of files, types and processes, and messages, come from other users: none of them affects a
//! terminal, and none forges a line.

mod support;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::Stdio;

use support::{Done, Place, Run, Running, overwrite, ringway, stat, until};

/// Clears the screen, sets a title, forges a line, turns text around, and is not UTF-8.
const NAMES: &[&[u8]] = &[
    b"evil\x1b[2J\x1b]0;title\x07",
    b"two\nremoved  passwd: queue",
    b"back\x08\x08\x7f\r\tend",
    "c1\u{9b}31m\u{85}next".as_bytes(),
    "bidi\u{202e}gpj.\u{2066}x\u{200f}\u{2028}".as_bytes(),
    b"bytes\xff\xfe\x80\x9b2J",
    b"sgr\x1b[31mred\x1b[0m",
];

/// Whether a terminal would obey or hide the character.
fn is_wild(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[track_caller]
fn assert_tame(text: &[u8], about: &str) {
    let text = std::str::from_utf8(text).unwrap_or_else(|error| panic!("{about}: {error}\n{text:?}"));
    if let Some(wild) = text.chars().find(|character| *character != '\n' && is_wild(*character)) {
        panic!("{about}: {wild:?} in {text:?}");
    }
}

#[track_caller]
fn run_tame(run: Run, about: &str) -> Done {
    let done = run.run();
    assert!(done.output.status.code().is_some(), "{about}: {:?}", done.output.status);
    assert_tame(&done.output.stdout, about);
    assert_tame(&done.output.stderr, about);
    done
}

/// Creates a queue with each of these names: SPSC and MPMC in turn, with a message that is as
/// hostile.
fn evil_place() -> (Place, Vec<PathBuf>) {
    let place = Place::new();
    let mut paths = Vec::new();
    for (at, name) in NAMES.iter().enumerate() {
        let path = place.path().join(OsString::from_vec(name.to_vec()));
        let kind = if at % 2 == 0 { "mpmc" } else { "spsc" };
        run_tame(ringway("create").args(["--kind", kind]).arg(&path), "create");
        run_tame(ringway("send").args(["--format", "nul"]).arg(&path).input(*name), "send");
        paths.push(path);
    }
    (place, paths)
}

#[test]
fn names_of_queues() {
    let (place, paths) = evil_place();
    for path in &paths {
        for arguments in [
            &["stat"][..],
            &["stat", "--json"],
            &["stat", "--prometheus"],
            &["stat", "--interval", "1ms", "--count", "1"],
            &["peek"],
            &["peek", "--json"],
            &["peek", "--format", "text"],
            &["tail"],
            &["schema"],
            &["schema", "--json"],
            &["doctor"],
            &["doctor", "--json"],
            &["create"],
            &["create", "--if-missing"],
            &["create", "--if-missing", "--json", "--kind", "mpmc"],
            &["create", "--max-messages", "3"],
            &["gc"],
            &["sync"],
            &["top"],
        ] {
            run_tame(ringway(arguments[0]).args(&arguments[1..]).arg(path), &arguments.join(" "));
        }
        // Paths below which there is no queue.
        let below = path.join("below");
        for command in
            ["stat", "send", "recv", "peek", "tail", "schema", "doctor", "create", "gc", "sync", "top"]
        {
            run_tame(ringway(command).arg(&below), command);
        }
    }
    for arguments in [&["doctor"][..], &["doctor", "--json"], &["gc"], &["gc", "--json"]] {
        run_tame(ringway(arguments[0]).args(&arguments[1..]).arg(place.path()), &arguments.join(" "));
    }
    let listed = run_tame(ringway("gc").arg(place.path()), "gc").stdout();
    assert_eq!(listed.lines().count(), paths.len() + 1, "a name forges a line: {listed}");
    let removed = run_tame(ringway("gc").arg("--remove").arg(place.path()), "gc --remove").stdout();
    assert_eq!(removed.lines().count(), paths.len(), "a name forges a line: {removed}");
    assert!(place.path().read_dir().unwrap().next().is_none());
}

#[test]
fn failures_of_commands_that_take_part() {
    let (_place, paths) = evil_place();
    for path in &paths {
        run_tame(ringway("send").arg(path).input("x".repeat(2_000_000)), "send too large");
        run_tame(ringway("recv").arg(path).args(["--exec", "/no/\x1b[2J\ncommand"]), "recv --exec");
        run_tame(ringway("recv").arg(path).args(["--ack", "echo", "\x1b[2J\u{202e}"]), "recv --ack");
        let failing = ["--timeout", "10ms", "-n", "1", "--exec", "sh", "-c", "exit 3"];
        let mut run = ringway("recv").arg(path).args(failing).command();
        run.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running::start(run);
        let mut said = running.child().stderr.take().unwrap();
        let mut first = [0; 1024];
        let read = std::io::Read::read(&mut said, &mut first).unwrap();
        assert_tame(&first[..read], "recv --exec that fails");
        drop(running);
        run_tame(
            ringway("recv").arg(path).args(["-n", "9"]).arg("--quiet").args([
                "--ack",
                "sh",
                "-c",
                "while read -r a; do echo ok; done",
            ]),
            "recv",
        );
        // First `head` is far beyond `tail`, then the header is corrupted.
        overwrite(path, 0x580, &(1_u64 << 50).to_ne_bytes());
        for command in ["stat", "doctor", "peek", "recv", "send"] {
            run_tame(ringway(command).arg(path).input("x\n"), command);
        }
        overwrite(path, 0x38, &[0xff]);
        for command in ["stat", "doctor", "peek", "recv", "send", "schema"] {
            run_tame(ringway(command).arg(path), command);
        }
    }
}

/// Changes the name of the message type in the file.
#[test]
fn names_of_types() {
    let place = Place::new();
    for kind in ["spsc", "mpmc"] {
        let path = place.create(kind, &["--kind", kind]);
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes[..4096].windows(5).position(|window| window == b"bytes").unwrap();
        for name in [b"\x1b[2J\n", b"a\xe2\x80\xaeb", b"\x9b\xff\x00\x07x"] {
            overwrite(&path, at as u64, name);
            for arguments in [
                &["stat"][..],
                &["stat", "--json"],
                &["schema"],
                &["schema", "--json"],
                &["doctor"],
                &["peek"],
                &["send"],
                &["recv"],
                &["top"],
            ] {
                run_tame(ringway(arguments[0]).args(&arguments[1..]).arg(&path), &arguments.join(" "));
            }
            run_tame(ringway("create").args(["--if-missing", "--kind", kind]).arg(&path), "create");
            run_tame(ringway("doctor").arg(place.path()), "doctor");
        }
    }
}

/// A process can choose its own name.
#[test]
fn names_of_processes() {
    let place = Place::new();
    let path = place.create("queue", &["-k", "mpmc"]);
    let program = place.at("x\x1b[2J\ny\u{202e}");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ringway"), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command.args(["recv", "--follow"]).arg(&path).stdout(Stdio::null());
    let running = Running::start(command);
    until("it attaches", || !stat(&path)["participants"].as_array().unwrap().is_empty());
    let done =
        run_tame(ringway("stat").arg(&path), "stat").says(&[&running.pid().to_string(), "x\\u{1b}[2J\\ny"]);
    assert_eq!(
        done.stdout().lines().filter(|line| line.contains("consumer")).count(),
        1,
        "{}",
        done.stdout()
    );
    assert!(!done.stdout().lines().any(|line| line.trim_start().starts_with("y")), "{}", done.stdout());
    run_tame(ringway("doctor").arg(&path), "doctor");
}

#[test]
fn arguments_that_are_refused() {
    for evil in NAMES {
        let evil = OsString::from_vec(evil.to_vec());
        for arguments in [
            vec![evil.clone()],
            vec!["stat".into(), evil.clone(), "--count".into(), evil.clone()],
            vec!["send".into(), "q".into(), "--timeout".into(), evil.clone()],
            vec!["send".into(), "q".into(), "--format".into(), evil.clone()],
            vec!["recv".into(), "q".into(), "--count".into(), evil.clone()],
            vec!["create".into(), "q".into(), "--ring-bytes".into(), evil.clone()],
            vec!["create".into(), "q".into(), "--kind".into(), evil.clone()],
            vec!["schema".into(), "q".into(), evil.clone()],
            vec!["completions".into(), evil.clone()],
            vec!["bench".into(), "--cores".into(), evil.clone()],
        ] {
            let (first, rest) = arguments.split_first().unwrap();
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ringway"));
            let output = command.arg(first).args(rest).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert_tame(&output.stderr, &format!("{arguments:?}"));
            assert!(!output.stderr.is_empty() && output.stdout.is_empty());
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(
                !said.lines().any(|line| line.starts_with("removed")),
                "{arguments:?} forges a line: {said}"
            );
        }
    }
}

/// Colours come from this command only, also where names contain escape sequences.
#[test]
fn colours_stay_and_those_of_names_go() {
    let (place, paths) = evil_place();
    let plain = |text: String| {
        ["0", "1", "2", "31", "32", "33"]
            .iter()
            .fold(text, |text, code| text.replace(&format!("\x1b[{code}m"), ""))
    };
    for command in ["stat", "peek", "doctor", "schema"] {
        for path in
            paths.iter().chain(std::iter::once(&place.path().join(".")).filter(|_| command == "doctor"))
        {
            let done = ringway(command).args(["--color", "always"]).arg(path).run();
            let said = done.stdout();
            assert!(said.contains("\x1b[1m"), "{command}: {said:?}");
            assert!(
                !said.contains("\\u{1b}[1m") && !said.contains("\\u{1b}[2m"),
                "our own are escaped: {said:?}"
            );
            assert_tame(plain(said.clone()).as_bytes(), command);
            if command != "peek" && path.to_string_lossy().contains("sgr") {
                assert!(said.contains("sgr\\u{1b}[31mred"), "{command}: {said:?}");
            }
        }
    }
}
