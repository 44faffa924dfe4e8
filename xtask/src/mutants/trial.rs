//! One mutant: a copy of the sources with the mistake, and the models on it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::list::Mutant;
use crate::run::{Outcome, cargo, output, root, target};

/// The time limit of the models.
const LIMIT: Duration = Duration::from_secs(1200);

pub(super) enum Verdict {
    /// Noticed by this model.
    Caught(String),
    Missed,
    Undecided,
    Broken,
}

/// A copy of the sources; removed when dropped.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("ringway-mutant-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let copy = Self(path);
        let mut files = Command::new("git");
        files.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
        for file in output(files)?.split_terminator('\0') {
            let (from, to) = (root().join(file), copy.0.join(file));
            if !from.exists() {
                // It was removed and is still in the index.
                continue;
            }
            let folder = to.parent().unwrap_or(Path::new("/"));
            let copied = std::fs::create_dir_all(folder).and_then(|()| std::fs::copy(&from, &to));
            copied.map_err(|error| format!("copying {file}: {error}"))?;
        }
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the models until the first of them fails.
pub(super) fn run(mutant: &Mutant) -> Outcome<Verdict> {
    let copy = Copy::new()?;
    mutant.apply(&copy.0)?;
    let mut command = cargo(&["test", "-p", "ringway", "--profile", "optimized", "--lib", mutant.models()]);
    command.current_dir(&copy.0).env("CARGO_TARGET_DIR", target("loom")).env("RUSTFLAGS", "--cfg loom");
    // No backtraces: loom's stacks are too small for them, and a thread that overflows one keeps
    // the lock that the next one needs.
    command.env("RUST_BACKTRACE", "0");
    // A group of its own, so that the models end with cargo.
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("starting cargo: {error}"))?;
    let lines = lines_of(&mut child);
    let begun = Instant::now();
    let mut models = 0;
    let verdict = loop {
        match lines.recv_timeout(LIMIT.saturating_sub(begun.elapsed())) {
            Ok(line) => {
                models += usize::from(line.starts_with("test "));
                if let Some(model) =
                    line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
                {
                    break Verdict::Caught(model.trim().to_owned());
                }
            }
            Err(RecvTimeoutError::Timeout) => break Verdict::Undecided,
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait().map_err(|error| format!("waiting for cargo: {error}"))?;
                break if status.success() && models > 0 { Verdict::Missed } else { Verdict::Broken };
            }
        }
    };
    end(child)?;
    Ok(verdict)
}

/// What the child prints, line by line.
fn lines_of(child: &mut Child) -> std::sync::mpsc::Receiver<String> {
    let output = child.stdout.take().expect("a pipe");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Ends the child's whole group, if it has not ended.
fn end(mut child: Child) -> Outcome {
    if child.try_wait().is_ok_and(|status| status.is_none()) {
        let mut kill = Command::new("kill");
        kill.args(["-KILL", "--", &format!("-{}", child.id())]);
        output(kill)?;
    }
    child.wait().map(|_| ()).map_err(|error| format!("waiting for cargo: {error}"))
}
