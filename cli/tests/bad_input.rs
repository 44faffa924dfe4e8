//! Files that are no queue, or no longer one: every command says which file, what it is and what to
//! do, and does not change it.

mod support;

use std::path::Path;

use support::{Place, overwrite, ringway};

/// Every command that takes a queue, and the arguments that it needs besides.
const COMMANDS: [(&str, &[&str]); 8] = [
    ("stat", &[]),
    ("stat", &["--json"]),
    ("send", &["--timeout", "0"]),
    ("recv", &[]),
    ("peek", &[]),
    ("tail", &[]),
    ("schema", &[]),
    ("doctor", &[]),
];

/// All of these commands fail on the file, and print these words.
#[track_caller]
fn all_fail(path: &Path, code_of_doctor: i32, says: &[&str]) {
    for (command, arguments) in COMMANDS {
        let done = ringway(command).args(arguments).arg(path).input("message\n").run();
        let name = path.to_str().unwrap();
        if command == "doctor" && code_of_doctor == 3 {
            done.code(3).says(&[name]).says(says);
        } else {
            let done = done.fails(&[name]).complains(says);
            assert!(done.output.stdout.is_empty(), "{command}: {}", done.stdout());
        }
    }
}

#[test]
fn a_file_that_is_not_there() {
    let place = Place::new();
    all_fail(&place.at("missing"), 1, &["no such file", "create the queue first"]);
    all_fail(&place.at("no/such/directory"), 1, &["no such file"]);
    assert!(place.names().is_empty());
}

#[test]
fn a_file_that_is_something_else() {
    let place = Place::new();
    let path = place.at("text");
    std::fs::write(&path, "just some text, long enough").unwrap();
    all_fail(&path, 1, &["not a ringway queue", "choose another name"]);
    assert_eq!(std::fs::read(&path).unwrap(), b"just some text, long enough");
    let link = place.at("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    all_fail(&link, 1, &["a symbolic link"]);
    // `doctor` and `stat` accept a directory: they search it.
    for (command, arguments) in COMMANDS.iter().filter(|(command, _)| !["doctor", "stat"].contains(command)) {
        let done = ringway(command).args(*arguments).arg(place.path()).run();
        done.fails(&["a directory", place.path().to_str().unwrap()]);
    }
}

#[test]
fn a_queue_that_was_cut_off() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    for len in [8, 5000, 100_000] {
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100_000.min(len)).unwrap();
        all_fail(&path, 3, &["truncated", "create it anew"]);
        std::fs::remove_file(&path).unwrap();
        place.create("queue", &[]);
    }
    let empty = place.at("empty");
    std::fs::write(&empty, b"").unwrap();
    all_fail(&empty, 3, &["truncated"]);
}

#[test]
fn a_queue_whose_header_is_damaged() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    overwrite(&path, 0x38, &[0xff]);
    all_fail(&path, 3, &["the header is corrupted", "create it anew"]);
    let path = place.create("version", &[]);
    overwrite(&path, 0x08, &[9]);
    all_fail(&path, 3, &["version 9", "version 3"]);
    let path = place.create("unfinished", &[]);
    overwrite(&path, 0x3f8, &[0; 8]);
    all_fail(&path, 3, &["never completed"]);
}

#[test]
fn a_queue_whose_words_are_damaged() {
    let place = Place::new();
    for kind in ["spsc", "mpmc"] {
        let path = place.create(kind, &["--kind", kind]);
        ringway("send").arg(&path).args(["one", "two"]).run().well();
        // `head`, far beyond `tail`.
        overwrite(&path, 0x580, &(1_u64 << 50).to_ne_bytes());
        ringway("stat").arg(&path).run().well().says(&["corrupted", "head", path.to_str().unwrap()]);
        ringway("doctor").arg(&path).run().code(3).says(&["error", "corrupted", "create it anew"]);
        let repaired = ringway("doctor").arg("--repair").arg(&path).run().code(3);
        assert!(repaired.stdout().contains("corrupted") && path.exists());
        assert!(
            !repaired.stdout().contains("repaired"),
            "no repair of what is corrupted: {}",
            repaired.stdout()
        );
        if kind == "spsc" {
            ringway("peek").arg(&path).run().fails(&["corrupted", path.to_str().unwrap()]);
        } else {
            // (An SPSC consumer stores `head` anew when it attaches.)
            ringway("recv").arg(&path).run().fails(&["corrupted", path.to_str().unwrap()]);
        }
    }
}

#[test]
fn a_typed_queue_can_be_inspected_but_not_attached() {
    let place = Place::new();
    let path = place.at("typed");
    // SAFETY: only this test knows the file.
    let queue = unsafe { ringway::spsc::Queue::<(u32, String)>::create(&path) }.unwrap();
    queue.producer().unwrap().send(&(7, "seven".into())).unwrap();
    for command in ["send", "recv"] {
        ringway(command).arg(&path).run().fails(&[path.to_str().unwrap(), "queues of bytes", "ringway peek"]);
    }
    ringway("peek").arg(&path).run().well().says(&["position 0"]);
    ringway("schema").arg(&path).run().well().says(&["(u32, String)", "rkyv, little-endian", "alignment 4"]);
}

#[test]
fn a_file_without_permission() {
    if nix::unistd::geteuid().is_root() {
        // Root may read everything; `others_may_not_read` checks the text of this error.
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.create("queue", &[]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    all_fail(&path, 1, &["no permission", "run as its owner"]);
}

/// The same check for root, which runs the commands as another user.
#[test]
fn others_may_not_read() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = place.create("queue", &[]);
    // In a place where another user can run it.
    let copy = place.at("ringway");
    std::fs::copy(env!("CARGO_BIN_EXE_ringway"), &copy).unwrap();
    for (command, arguments) in COMMANDS {
        let mut run = std::process::Command::new(&copy);
        let output = run.arg(command).args(arguments).arg(&path).uid(65534).gid(65534).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {stderr}");
        assert!(stderr.contains(path.to_str().unwrap()) && stderr.contains("no permission"), "{stderr}");
        assert!(stderr.contains("run as its owner"), "{stderr}");
    }
    let mut run = std::process::Command::new(&copy);
    let output = run.arg("create").arg(place.at("new")).uid(65534).gid(65534).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("no permission to create") && stderr.contains("new"), "{stderr}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn arguments_that_make_no_sense() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    let path = path.to_str().unwrap();
    for arguments in [
        &["stat"][..],
        &["stat", path, "--interval", "soon"],
        &["stat", path, "--json", "--prometheus"],
        &["stat", path, "--count", "3"],
        &["send", path, "--format", "xml"],
        &["recv", path, "--count", "-1"],
        &["recv", path, "--timeout", "x"],
        &["peek", path, "--bytes", "10x"],
        &["create", path, "--kind", "both"],
        &["create", path, "--kind", "mpmc", "--at-most-once", "--max-redeliveries", "3"],
        &["create", path, "--ring-bytes", "1.5M"],
        &["gc", "--min-age", "yesterday"],
        &["top", "--interval", "0"],
        &["completions", "cmd"],
        &["no-such-command"],
        &["stat", path, "--color", "maybe"],
    ] {
        let done = ringway(arguments[0]).args(&arguments[1..]).run().code(2);
        assert!(
            done.stderr().contains("error:") && done.stdout().is_empty(),
            "{arguments:?}: {}",
            done.stderr()
        );
    }
}
