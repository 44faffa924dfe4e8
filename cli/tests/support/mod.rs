//! Runs the command and checks its output.
#![allow(dead_code, reason = "each test file uses its own part of this")]

#[path = "../../../tests/common/bound.rs"]
mod bound;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Far more than any step here takes: reaching it means that something hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

/// A directory for queues; removed when dropped.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("ringway-cli-").tempdir_in("/dev/shm").unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in the directory.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Creates a queue of bytes in the directory, by the command.
    pub(crate) fn create(&self, name: &str, options: &[&str]) -> PathBuf {
        let path = self.at(name);
        ringway("create").args(options).arg(&path).run().well();
        path
    }
}

/// A command, before its arguments and input are complete.
pub(crate) struct Run {
    command: Command,
    input: Vec<u8>,
}

pub(crate) fn ringway(command: &str) -> Run {
    let mut run = Command::new(env!("CARGO_BIN_EXE_ringway"));
    run.arg(command).env_remove("NO_COLOR").stdin(Stdio::null());
    Run { command: run, input: Vec::new() }
}

impl Run {
    pub(crate) fn args<A: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// The command, for a test that runs it in another way.
    pub(crate) fn command(self) -> Command {
        self.command
    }

    #[track_caller]
    pub(crate) fn run(mut self) -> Done {
        let about = format!("{:?}", self.command);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(self.command);
        let child = running.child();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = self.input;
        let writer = std::thread::spawn(move || drop(stdin.unwrap().write_all(&input)));
        let (stdout, stderr) = (all_of(stdout.unwrap()), all_of(stderr.unwrap()));
        // Killed if it hangs, which ends the threads.
        let status = running.status_of(&about);
        writer.join().unwrap();
        let output = Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() };
        Done { output, about }
    }
}

/// A running command; killed if a test fails before it ends.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    /// Waits for the end, and returns the status.
    #[track_caller]
    pub(crate) fn status(&mut self) -> ExitStatus {
        self.status_of("a command")
    }

    #[track_caller]
    fn status_of(&mut self, about: &str) -> ExitStatus {
        let mut status = None;
        until(&format!("the end of {about}"), || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn code(&mut self) -> Option<i32> {
        self.status().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads to the end in another thread.
fn all_of(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// The status and the output of a command.
pub(crate) struct Done {
    pub(crate) output: Output,
    about: String,
}

impl Done {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        let found = self.output.status.code();
        assert_eq!(found, Some(code), "{}\n{}\n{}", self.about, self.stdout(), self.stderr());
        self
    }

    /// Asserts success, without anything on standard error.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        let done = self.code(0);
        assert_eq!(done.stderr(), "", "{}", done.about);
        done
    }

    /// Asserts failure, with an error that contains all of these words.
    #[track_caller]
    pub(crate) fn fails(self, says: &[&str]) -> Self {
        let done = self.code(1);
        done.complains(says)
    }

    /// Asserts that standard error contains all of these words.
    #[track_caller]
    pub(crate) fn complains(self, says: &[&str]) -> Self {
        let stderr = self.stderr();
        for text in says {
            assert!(stderr.contains(text), "{}\nexpected {text:?} in: {stderr}", self.about);
        }
        self
    }

    /// Asserts that standard output contains all of these words.
    #[track_caller]
    pub(crate) fn says(self, says: &[&str]) -> Self {
        let stdout = self.stdout();
        for text in says {
            assert!(stdout.contains(text), "{}\nexpected {text:?} in: {stdout}", self.about);
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.output.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.about, self.stdout()))
    }

    /// Parses the output as one object per line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Waits until `ready` returns true.
#[track_caller]
pub(crate) fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < HANGS, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The output of `stat --json`.
#[track_caller]
pub(crate) fn stat(queue: &Path) -> Value {
    ringway("stat").arg("--json").arg(queue).run().well().json()
}

/// Overwrites bytes of a file.
pub(crate) fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}
