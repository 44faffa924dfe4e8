//! What several test files need: directories, images of queue files, and processes.
#![allow(dead_code, reason = "each test file uses its own part of this")]

mod bound;
pub(crate) mod ends;
pub(crate) mod old_kernel;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Far above what anything here takes: reaching it means that a test hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

/// An empty directory where queues live by default.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("ringway-test-").tempdir_in("/dev/shm").unwrap()
}

/// Writes a file that no other user can write to, whatever the umask is: files that others can
/// write to are refused.
pub(crate) fn write_own(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
}

/// The names in a directory, hidden ones included, in order.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Offsets of the header's fields and shared words. They are the format: `src/layout` has them too,
/// and a test that took them from there could not notice a change.
pub(crate) mod at {
    pub(crate) const MAGIC: usize = 0x000;
    pub(crate) const VERSION: usize = 0x008;
    pub(crate) const ENDIAN: usize = 0x00c;
    pub(crate) const COMPAT: usize = 0x010;
    pub(crate) const INCOMPAT: usize = 0x018;
    pub(crate) const KIND: usize = 0x020;
    pub(crate) const FRAMING: usize = 0x024;
    pub(crate) const FIXED_LEN: usize = 0x028;
    pub(crate) const ALIGN: usize = 0x030;
    pub(crate) const CAPACITY: usize = 0x038;
    pub(crate) const STRIDE: usize = 0x040;
    pub(crate) const MAX_PAYLOAD: usize = 0x048;
    pub(crate) const LANE_OFFSET: usize = 0x050;
    pub(crate) const LANE_LEN: usize = 0x058;
    pub(crate) const RKYV_FORMAT: usize = 0x078;
    pub(crate) const TYPE_SIZE: usize = 0x080;
    pub(crate) const FINGERPRINT: usize = 0x090;
    pub(crate) const NAME_LEN: usize = 0x0b0;
    pub(crate) const NAME: usize = 0x0b8;
    pub(crate) const TYPE_VERSION: usize = 0x1c0;
    pub(crate) const DESCRIPTION_OFFSET: usize = 0x1c8;
    pub(crate) const DESCRIPTION_LEN: usize = 0x1d0;
    pub(crate) const CHECKSUM: usize = 0x3f0;
    pub(crate) const READY: usize = 0x3f8;
    pub(crate) const PREAMBLE_END: usize = 0x400;
    pub(crate) const TAIL: usize = 0x500;
    pub(crate) const HEAD: usize = 0x580;
    pub(crate) const SKIPPED: usize = 0x4e8;
    pub(crate) const RELEASED: usize = 0x600;
    /// MPMC.
    pub(crate) const DONE: usize = 0x600;
    pub(crate) const TAKEN: usize = 0x608;
    pub(crate) const REDELIVERED_UNTIL: usize = 0x610;
    pub(crate) const REDELIVERY_COUNT: usize = 0x618;
    pub(crate) const REGISTRY: usize = 0x1000;
    pub(crate) const ENTRY_LEN: usize = 0x100;
    /// The description starts here in every SPSC file: after a registry of two.
    pub(crate) const DESCRIPTION: usize = REGISTRY + 2 * ENTRY_LEN;
    /// The lane starts here in every SPSC file whose description is shorter than 3.5 KiB.
    pub(crate) const LANE: usize = 0x2000;
    /// The commit word of the frame at index 0: the last eight of the 128 bytes before the ring.
    pub(crate) const FIRST_WORD: usize = LANE + 128 - 8;
}

/// The bytes of a queue file, to be changed and written elsewhere.
#[derive(Clone)]
pub(crate) struct Image(pub(crate) Vec<u8>);

impl Image {
    pub(crate) fn of(path: &Path) -> Self {
        Self(std::fs::read(path).unwrap())
    }

    pub(crate) fn write(&self, path: &Path) {
        write_own(path, &self.0);
    }

    pub(crate) fn u64_at(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.0[at..at + 8].try_into().unwrap())
    }

    pub(crate) fn u32_at(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.0[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn put_u64(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_ne_bytes());
    }

    pub(crate) fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_ne_bytes());
    }

    /// Makes the checksum fit the header again, so that the words after it are examined.
    pub(crate) fn seal(&mut self) {
        let sum = self.0[..at::CHECKSUM].iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        self.put_u64(at::CHECKSUM, sum);
    }
}

/// A running process whose standard output is read line by line. It is killed if it is dropped
/// before its end.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    errors: Option<JoinHandle<String>>,
}

/// How a process ended, and its output.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut errors = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The test may have ended; then the line is not needed any more.
                let _ = sender.send(line);
            }
        });
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            // Whatever could be read is better than nothing: this is for messages of failed tests.
            let _ = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, lines, seen: Vec::new(), errors: Some(errors) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that contains `text`.
    pub(crate) fn wait_for_line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + HANGS;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no line {text:?} came; so far: {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the process ended without a line {text:?}; it said: {:#?}", self.seen)
                }
            }
        }
    }

    /// Kills the process, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Closes the process's standard input and waits for its end.
    pub(crate) fn finish(mut self) -> Finished {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + HANGS;
        loop {
            // Output ends when the process does, or before.
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the process hangs; so far: {:#?}", self.seen),
            }
        }
        let status = self.child.wait().unwrap();
        let errors = self.errors.take().map(|thread| thread.join().unwrap()).unwrap_or_default();
        Finished { status, output: self.seen.join("\n"), errors }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Fails the test, with all output of the process, unless it ended well.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert!(
            self.status.success(),
            "the process ended with {}\n--- output\n{}\n--- errors\n{}",
            self.status,
            self.output,
            self.errors
        );
        self.output
    }
}

const CHILD: &str = "RINGWAY_TEST_CHILD";
const CHILD_ARGUMENT: &str = "RINGWAY_TEST_ARGUMENT";

/// What [`child_of`] passed to this process, if it is that test's child.
pub(crate) fn child_argument(test: &str) -> Option<PathBuf> {
    let is_child = std::env::var_os(CHILD).is_some_and(|name| name == test);
    is_child.then(|| PathBuf::from(std::env::var_os(CHILD_ARGUMENT).expect("given to every child")))
}

/// A command that runs only `test` of this test binary, in a process of its own: for what a process
/// can do to itself only as a whole, and for what needs two of them. A fresh process instead of a
/// fork, because the test runner has threads, and a forked child may not even allocate.
pub(crate) fn child_of(test: &str, argument: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(CHILD, test).env(CHILD_ARGUMENT, argument);
    command
}

/// Runs `body` in a process of its own; `test` is the name of the calling test. Returns the child's
/// output, or `None` in the child itself.
pub(crate) fn in_child(test: &str, body: impl FnOnce()) -> Option<String> {
    if child_argument(test).is_some() {
        body();
        return None;
    }
    let output = Running::start(&mut child_of(test, Path::new("."))).finish().succeeded();
    // Otherwise a renamed test would run nothing and succeed.
    assert!(output.contains("1 passed"), "the child ran no test named {test}:\n{output}");
    Some(output)
}
