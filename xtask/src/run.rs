//! Running commands: what is run is printed, every command has a bound, and the first failure ends
//! everything.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::jobs::Job;

pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member of the workspace").to_path_buf()
}

/// `cargo` with these arguments: the one in the path, so that `+nightly` works.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    command
}

/// Like [`cargo`], of another toolchain. The toolchain that runs this program must not be forced
/// upon it.
pub(crate) fn nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly").args(arguments).current_dir(root());
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command
}

/// Whether a nightly toolchain is there.
pub(crate) fn has_nightly() -> bool {
    let found = nightly(&["--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// A folder for another kind of build, so that it does not overwrite the results of other builds.
pub(crate) fn target(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(name)
}

/// How long a command may take: much longer than any of CI takes on a busy machine, so that only
/// what hangs is ended. Test programs have a bound of their own, which is shorter and says more.
/// `RINGWAY_COMMAND_SECONDS` sets another one; 0: none.
const SECONDS: u64 = 2400;

/// Runs the command.
///
/// # Errors
/// If it cannot be started, fails, or takes too long; then all that it started is killed.
pub(crate) fn run(command: Command) -> Outcome {
    let seconds = std::env::var("RINGWAY_COMMAND_SECONDS").ok().and_then(|text| text.parse().ok());
    match seconds.unwrap_or(SECONDS) {
        0 => run_within(command, None),
        seconds => run_within(command, Some(Duration::from_secs(seconds))),
    }
}

/// Runs a command that may take as long as its user has asked for.
///
/// # Errors
/// See [`run`].
pub(crate) fn run_unbounded(command: Command) -> Outcome {
    run_within(command, None)
}

fn run_within(mut command: Command, bound: Option<Duration>) -> Outcome {
    let line = line_of(&command);
    println!("$ {line}");
    let job = Job::mark(&mut command);
    let mut child = command.spawn().map_err(|error| format!("starting {line}: {error}"))?;
    let status = wait(&mut child, &job, bound).map_err(|error| format!("{line} {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{line} failed: {status}")) }
}

/// Runs the command, with the bound of [`run`]; returns its output.
///
/// # Errors
/// See [`run`].
pub(crate) fn output(mut command: Command) -> Outcome<String> {
    let line = line_of(&command);
    let job = Job::mark(&mut command);
    let started = command.stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| format!("starting {line}: {error}"))?;
    let mut stdout = child.stdout.take().expect("it is a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        stdout.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let ended = wait(&mut child, &job, Some(Duration::from_secs(SECONDS)));
    let text = reader.join().expect("reading does not panic").map_err(|error| format!("{line}: {error}"))?;
    let status = ended.map_err(|error| format!("{line} {error}"))?;
    if status.success() { Ok(text) } else { Err(format!("{line} failed: {status}\n{text}")) }
}

/// Waits for the child; kills the whole job when the bound has passed.
fn wait(child: &mut Child, job: &Job, bound: Option<Duration>) -> Outcome<ExitStatus> {
    let start = Instant::now();
    loop {
        let ended = child.try_wait().map_err(|error| format!("cannot be waited for: {error}"))?;
        if let Some(status) = ended {
            return Ok(status);
        }
        if bound.is_some_and(|bound| start.elapsed() >= bound) {
            let running = job.describe();
            job.kill();
            let _ = child.wait();
            return Err(format!(
                "HANGS: it was ended after {} s. What ran:\n{running}",
                start.elapsed().as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn line_of(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let set = set.map(|(name, value)| format!("{}={:?}", name.display(), value.display().to_string()));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    set.chain(words.map(|word| word.display().to_string())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// Whether a process with this in its command line lives.
    fn lives(words: &str) -> bool {
        let entries = std::fs::read_dir("/proc").expect("there is /proc");
        entries.flatten().any(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ").trim_end() == words
        })
    }

    #[test]
    fn a_command_that_hangs_ends_with_all_that_it_started() {
        // A child that waits for ever, an orphan, and one in a session of its own.
        let script = "sleep 98761 & (sleep 98762 &) ; setsid sleep 98763 & wait";
        let error = run_within(shell(script), Some(Duration::from_secs(1))).unwrap_err();
        for number in [98761, 98762, 98763] {
            assert!(error.contains(&format!("sleep {number}")), "{error}");
            assert!(!lives(&format!("sleep {number}")), "sleep {number} lives");
        }
        assert!(error.contains("HANGS"), "{error}");
    }

    #[test]
    fn the_first_failure_is_told_with_the_command() {
        let error = run_within(shell("exit 3"), None).unwrap_err();
        assert!(error.contains("sh -c exit 3 failed: exit status: 3"), "{error}");
        assert_eq!(output(shell("echo well")), Ok("well\n".into()));
        assert!(output(shell("echo text; exit 1")).unwrap_err().ends_with("text\n"));
    }
}
