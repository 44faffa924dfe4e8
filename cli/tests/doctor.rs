//! `ringway doctor` and `ringway gc`: what they find, and that they do only what is safe.

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::{Place, overwrite, ringway, stat, until};

/// A process that is attached to a queue; killed when dropped.
struct Participant(Child);

impl Participant {
    /// A consumer that waits, or holds messages that it cannot write.
    fn consumer(queue: &Path) -> Self {
        let mut command: Command = ringway("recv").arg("--follow").arg(queue).command();
        // The pipe has no reader: once it is full, the consumer holds its messages.
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    fn pid(&self) -> u64 {
        self.0.id().into()
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        std::mem::forget(self);
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn alive(queue: &Path) -> usize {
    let seen = stat(queue);
    let is_alive = |one: &&Value| one["liveness"] == "alive";
    seen["participants"].as_array().unwrap().iter().filter(is_alive).count()
}

fn held(queue: &Path) -> u64 {
    stat(queue)["backlog"]["held"].as_u64().unwrap_or(0)
}

/// A queue whose only consumer holds messages; together they are larger than a pipe.
fn with_holder(place: &Place, kind: &str) -> (std::path::PathBuf, Participant) {
    let path = place.create("queue", &["--kind", kind, "--ring-bytes", "8M"]);
    let consumer = Participant::consumer(&path);
    until("the consumer attaches", || alive(&path) == 1);
    let line = "x".repeat(100_000) + "\n";
    ringway("send").arg(&path).input(line.repeat(20)).run().well();
    until("the consumer holds messages", || held(&path) > 0);
    (path, consumer)
}

#[test]
fn a_healthy_queue_is_well() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    ringway("doctor").arg(&path).run().well().says(&[path.to_str().unwrap(), "well"]);
    ringway("doctor").arg(place.path()).run().well().says(&["well"]);
    let diagnosis = ringway("doctor").arg("--json").arg(&path).run().well().json();
    assert_eq!((diagnosis["healthy"].as_bool(), diagnosis["findings"][0].is_null()), (Some(true), true));
    assert_eq!(ringway("doctor").arg("--quiet").arg(place.path()).run().well().stdout(), "");
    let other = Place::new();
    ringway("doctor").arg(other.path()).run().well().says(&["no queues"]);
}

#[test]
fn the_dead_are_found_and_recovered() {
    let place = Place::new();
    let (path, consumer) = with_holder(&place, "mpmc");
    let holds = held(&path);
    let pid = consumer.pid().to_string();
    consumer.kill();
    ringway("stat").arg(&path).run().well().says(&["DEAD"]);
    let found = ringway("doctor").arg(&path).run().code(3);
    found.says(&["consumer", "died", &pid, &format!("held {holds} message"), "--repair"]);
    let json = ringway("doctor").arg("--json").arg(&path).run().code(3).json();
    let finding = &json["findings"][0];
    assert_eq!(
        (finding["severity"].as_str(), finding["remedy"].as_str()),
        (Some("warning"), Some("recover"))
    );
    assert_eq!(held(&path), holds, "looking changes nothing");

    ringway("doctor").arg("--repair").arg(&path).run().well().says(&["repaired: recovered: 1 dead"]);
    let seen = stat(&path);
    assert_eq!(
        (seen["backlog"]["held"].as_u64(), seen["backlog"]["redeliveries"].as_u64()),
        (Some(0), Some(holds))
    );
    ringway("doctor").arg(&path).run().well();
    let all = ringway("recv").arg(&path).run().well().stdout();
    assert_eq!(all.lines().count(), 20, "nothing is lost");
}

#[test]
fn the_stopped_are_named() {
    let place = Place::new();
    let (path, consumer) = with_holder(&place, "mpmc");
    consumer.signal(Signal::SIGSTOP);
    let pid = consumer.pid().to_string();
    until("the process is stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.starts_with(" T")
    });
    ringway("doctor").arg(&path).run().code(3).says(&["is stopped", &pid, "SIGCONT"]);
    // Messages that a living participant holds stay with it.
    let holds = held(&path);
    ringway("doctor").arg("--repair").arg(&path).run().code(3);
    assert_eq!(held(&path), holds);
}

#[test]
fn a_full_queue_is_said_to_be_full() {
    let place = Place::new();
    let path = place.create("queue", &["--ring-bytes", "4K"]);
    let done = ringway("send").args(["--timeout", "0"]).arg(&path).input("0123456789\n".repeat(1000)).run();
    done.code(4).complains(&[path.to_str().unwrap(), "no room", "consumer"]);
    ringway("doctor").arg(&path).run().code(3).says(&["it is full", "no consumer"]);
}

#[test]
fn a_file_that_others_may_write_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.create("queue", &[]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    ringway("doctor").arg(&path).run().code(3).says(&["others may write", "0666"]);
}

#[test]
fn a_file_with_holes_is_a_warning() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    let copy = place.at("copy");
    let file = std::fs::File::create(&copy).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    overwrite(&copy, 0, &bytes[..0x2000]);
    ringway("doctor").arg(&copy).run().code(3).says(&["holes", "SIGBUS"]);
}

#[test]
fn what_was_unlinked_is_removed_by_the_repair() {
    let place = Place::new();
    let path = place.create("queue", &[]);
    let second = place.at("second");
    std::fs::hard_link(&path, &second).unwrap();
    ringway::unlink(&path).unwrap();
    ringway("doctor").arg(&second).run().code(3).says(&["unlinked"]);
    ringway("doctor").arg("--repair").arg(&second).run().well().says(&["repaired: removed"]);
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn gc_lists_and_removes_unused_queues() {
    let place = Place::new();
    let used = place.create("used", &[]);
    let consumer = Participant::consumer(&used);
    until("the consumer attaches", || alive(&used) == 1);
    let unused = place.create("unused", &["-k", "mpmc"]);
    ringway("send").arg(&unused).arg("message").run().well();
    place.create("empty", &[]);
    std::fs::write(place.at("notes.txt"), "not a queue at all").unwrap();
    std::fs::write(place.at("broken"), b"RINGWAY\x1abut no more").unwrap();

    let listed = ringway("gc").arg(place.path()).run().well();
    let listed = listed.says(&["unused", "1 message", "empty", "nothing was removed", "--remove"]);
    assert!(!listed.stdout().contains(&format!("{}:", used.display())), "{}", listed.stdout());
    assert_eq!(place.names().len(), 5, "a dry run removes nothing");

    let removed =
        ringway("gc").args(["--remove", "--empty", "--json"]).arg(place.path()).run().well().json_lines();
    assert_eq!(removed.len(), 1);
    assert_eq!((removed[0]["removed"].as_bool(), removed[0]["messages"].as_u64()), (Some(true), Some(0)));
    ringway("gc")
        .args(["--remove", "--min-age", "1h"])
        .arg(place.path())
        .run()
        .well()
        .says(&["nothing to remove"]);
    ringway("gc").arg("--yes").arg(place.path()).run().well().says(&["removed", "1 message"]);
    assert_eq!(place.names(), ["broken", "notes.txt", "used"]);
    drop(consumer);
    ringway("gc").arg("--remove").arg(place.path()).run().well();
    assert_eq!(place.names(), ["broken", "notes.txt"]);
    let nowhere = place.at("nowhere");
    ringway("gc").arg(&nowhere).run().fails(&[nowhere.to_str().unwrap(), "cannot be read"]);
}

/// Holds the lock of a file's creator as long as the result lives.
fn at_work_on(path: &Path) -> std::fs::File {
    use nix::fcntl::{FcntlArg, fcntl};
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let lock = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        // See docs/format.md: the byte that the creator of a temporary file holds.
        l_start: (1 << 62) - 2,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    file
}

/// A file is left over only if its name is exactly the library's and no creator holds its lock, at
/// any age.
#[test]
fn gc_removes_what_killed_creators_left_and_nothing_else() {
    let place = Place::new();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    let make = |name: &str| {
        let path = place.at(name);
        std::fs::write(&path, b"notes").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        path
    };
    let foreign = [
        ".ringway-0011223344556677.tmp.bak",
        ".ringway-001122334455667.tmp",
        ".ringway-00112233445566778.tmp",
        ".ringway-0011223344556G77.tmp",
        ".ringway-AABBCCDDEEFF0011.tmp",
        ".ringway-my-notes.tmp",
    ];
    foreign.iter().for_each(|name| drop(make(name)));
    let (left, fresh, at_work) = (
        make(".ringway-0011223344556677.tmp"),
        place.at(".ringway-8899aabbccddeeff.tmp"),
        make(".ringway-fedcba9876543210.tmp"),
    );
    std::fs::write(&fresh, b"half").unwrap();
    let creator = at_work_on(&at_work);

    let listed = ringway("gc").arg(place.path()).run().well().stdout();
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.contains(left.to_str().unwrap()) && listed.contains(fresh.to_str().unwrap()), "{listed}");
    assert!(listed.contains("unfinished file"), "{listed}");
    // Younger files stay if a minimum age is given.
    ringway("gc").args(["--remove", "--min-age", "1h"]).arg(place.path()).run().well().says(&["removed"]);
    assert!(!left.exists() && fresh.exists());
    ringway("gc").arg("--remove").arg(place.path()).run().well().says(&["removed"]);
    let mut stay: Vec<&str> = foreign.into_iter().chain([".ringway-fedcba9876543210.tmp"]).collect();
    stay.sort_unstable();
    assert_eq!(place.names(), stay);
    drop(creator);
    ringway("gc").arg("--remove").arg(place.path()).run().well().says(&["removed"]);
    assert!(!at_work.exists());
}

/// For `xargs -0`: unescaped names, each followed by a zero byte.
#[test]
fn gc_gives_names_to_machines() {
    use std::os::unix::ffi::OsStringExt;
    let place = Place::new();
    let name = std::ffi::OsString::from_vec(b"new\nline \xff".to_vec());
    let path = place.path().join(name);
    ringway("create").arg(&path).run().code(0);
    let done = ringway("gc").arg("--null").arg(place.path()).run().well();
    let mut expected = path.clone().into_os_string().into_vec();
    expected.push(0);
    assert_eq!(done.output.stdout, expected);
    let listed = ringway("gc").arg("--json").arg(place.path()).run().well().json_lines();
    assert_eq!(listed[0]["path_hex"].as_str().unwrap().len(), 2 * (expected.len() - 1));
    // The names of removed files, not of all that were found.
    let done = ringway("gc").args(["-0", "--remove"]).arg(place.path()).run().well();
    assert_eq!(done.output.stdout, expected);
    assert!(ringway("gc").args(["-0", "--remove"]).arg(place.path()).run().well().output.stdout.is_empty());
}
