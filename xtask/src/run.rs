//! Running commands: what is run is printed, and the first failure ends everything.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

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

/// Prints the next step, and how long everything before has taken.
pub(crate) fn step(what: &str) {
    static START: OnceLock<Instant> = OnceLock::new();
    println!("\n==> {what} ({} s so far)", START.get_or_init(Instant::now).elapsed().as_secs());
}

/// Runs the command.
///
/// # Errors
/// If it cannot be started or fails.
pub(crate) fn run(mut command: Command) -> Outcome {
    println!("$ {}", line_of(&command));
    let status = command.status().map_err(|error| format!("starting {}: {error}", line_of(&command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed: {status}", line_of(&command))) }
}

/// Runs the command; returns its output.
///
/// # Errors
/// See [`run`].
pub(crate) fn output(mut command: Command) -> Outcome<String> {
    let line = line_of(&command);
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|error| format!("starting {line}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{line} failed: {}\n{text}", output.status)) }
}

fn line_of(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let set = set.map(|(name, value)| format!("{}={:?}", name.display(), value.display().to_string()));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    set.chain(words.map(|word| word.display().to_string())).collect::<Vec<_>>().join(" ")
}

/// Other commands of this program that run at the same time: where one alone would leave a core
/// idle, or all would wait for the last crate of a compiler.
pub(crate) struct Beside {
    name: String,
    child: Option<Child>,
    log: PathBuf,
}

impl Beside {
    /// Starts `cargo xtask` with these arguments. Its output goes to a file until it is joined.
    pub(crate) fn start(arguments: &[&str]) -> Outcome<Self> {
        let name = arguments.join(" ");
        let log = target("").join(format!("beside-{}.log", name.replace(' ', "-")));
        let started = (|| {
            std::fs::create_dir_all(target(""))?;
            let file = File::create(&log)?;
            let mut command = Command::new(std::env::current_exe()?);
            command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
            command.spawn()
        })();
        let child = started.map_err(|error| format!("starting {name}: {error}"))?;
        Ok(Self { name, child: Some(child), log })
    }

    /// Waits for it, and prints its output.
    ///
    /// # Errors
    /// If it failed.
    pub(crate) fn join(mut self) -> Outcome {
        let mut child = self.child.take().expect("it is joined once");
        let status = child.wait().map_err(|error| format!("waiting for {}: {error}", self.name))?;
        step(&format!("{}, which ran beside that: {status}", self.name));
        print!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        if status.success() { Ok(()) } else { Err(format!("{} failed: {status}", self.name)) }
    }
}

impl Drop for Beside {
    /// A command that runs beside one that failed is waited for: it must not go on building after
    /// this program has ended.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            eprintln!("waiting for {}, which runs beside that", self.name);
            let _ = child.wait();
        }
    }
}
