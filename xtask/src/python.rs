//! The Python package: its wheel, in a new environment, with all its tests.
//!
//! It is no member of the workspace, since it needs a Python. Nothing is left out without a word: a
//! machine without what it needs fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{Outcome, cargo, root, run, target};

/// What the tests use besides the wheel.
const TOOLS: [&str; 7] = ["maturin", "pytest", "numpy", "pyarrow", "uvloop", "mypy", "ruff"];

/// Builds the wheel, installs it into a new environment, and runs the tests.
pub(crate) fn python() -> Outcome {
    let interpreter = interpreter()?;
    code()?;
    let venv = target("python/venv");
    run(command(&interpreter, &["-m", "venv", "--clear", &venv.display().to_string()]))?;
    let bin = venv.join("bin");
    let mut install =
        command(&bin.join("python"), &["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.args(TOOLS);
    run(install).map_err(|error| {
        format!("{error}\npip needs a package index, or a proxy of one, to install {TOOLS:?}")
    })?;
    let wheels = target("python/wheels");
    let _ = std::fs::remove_dir_all(&wheels);
    let mut build = command(&bin.join("maturin"), &["build", "--quiet", "--profile", "optimized", "--out"]);
    build.arg(&wheels).arg("--interpreter").arg(bin.join("python"));
    run(in_target(build))?;
    let mut install =
        command(&bin.join("python"), &["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.arg(wheel(&wheels)?);
    run(install)?;
    run(cargo(&["build", "--quiet", "--example", "ticks_producer"]))?;
    // Not `python -m pytest`: that would import the sources beside, which have no native part.
    let mut tests = command(&bin.join("pytest"), &["--quiet", "tests"]);
    tests.env("RINGWAY_EXAMPLES", target("debug/examples"));
    run(tests)
}

/// The form and the lints of the native part.
fn code() -> Outcome {
    run(command(Path::new("cargo"), &["fmt", "--check"]))?;
    run(in_target(command(Path::new("cargo"), &["clippy", "--quiet", "--locked", "--", "-D", "warnings"])))
}

/// The first Python that can: `RINGWAY_PYTHON`, or one in the path.
fn interpreter() -> Outcome<PathBuf> {
    let named = std::env::var("RINGWAY_PYTHON").ok();
    let usual = ["python3", "python3.13", "python3.12", "python3.11", "python3.14"];
    let candidates: Vec<&str> = named.as_deref().map_or(usual.to_vec(), |name| vec![name]);
    let asks = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    let found = candidates.iter().find(|name| {
        let mut asked = Command::new(name);
        asked.args(["-c", asks]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    });
    found.map(PathBuf::from).ok_or_else(|| {
        format!(
            "the Python package needs CPython 3.11 or newer with the modules venv and ensurepip (pip), and none of \
             {candidates:?} is one: install one (apt install python3 python3-venv), or name it in RINGWAY_PYTHON"
        )
    })
}

/// A command in the package's folder.
fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root().join("python"));
    command
}

/// With the results of building beside those of the workspace.
fn in_target(mut command: Command) -> Command {
    command.env("CARGO_TARGET_DIR", target("python/cargo"));
    command
}

fn wheel(folder: &Path) -> Outcome<PathBuf> {
    let listed = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut wheels = listed
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "whl"));
    wheels.next().ok_or_else(|| format!("maturin left no wheel in {}", folder.display()))
}
