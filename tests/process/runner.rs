//! Runs tests one after another in the only thread there is, and gives them a directory.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use nix::libc;
use ringway::spsc::BytesQueue;
use ringway::{Options, mpmc};

use super::Random;

/// A test that makes no progress for so long hangs.
const PATIENCE_SECONDS: u32 = 60;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// `return Err` with a message, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}
pub(crate) use ensure;

pub(crate) struct Test {
    name: String,
    body: Box<dyn FnOnce() -> Outcome>,
}

impl Test {
    pub(crate) fn new(name: impl Into<String>, body: impl FnOnce() -> Outcome + 'static) -> Self {
        Self { name: name.into(), body: Box::new(body) }
    }
}

/// Runs the tests whose names contain one of the arguments, or all of them. The last line says how it went.
pub(crate) fn run(tests: Vec<Test>) -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    // Before any child: all of them draw from one seed.
    Random::new(0);
    let (mut passed, mut failed) = (0, 0);
    for Test { name, body } in tests {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        println!("test {name}");
        progress();
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err("it panicked".into()));
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                println!("     ok ({seconds:.1} s)");
                passed += 1;
            }
            Err(error) => {
                println!("     FAILED ({seconds:.1} s): {error}");
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says that the test has got further. If nothing says so for a minute, SIGALRM ends the test: nobody may ever wait
/// for the dead.
pub(crate) fn progress() {
    // SAFETY: sets this process's timer, nothing else.
    unsafe { libc::alarm(PATIENCE_SECONDS) };
}

/// A number from the environment.
pub(crate) fn number_from(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number"))
}

/// A directory in shared memory for one test and its queue.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix(&Self::prefix()).tempdir_in("/dev/shm")?;
        Ok(Self { directory })
    }

    /// What all directories of this process begin with.
    pub(crate) fn prefix() -> String {
        format!("ringway-test-{}-", std::process::id())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("queue")
    }

    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    pub(crate) fn create(&self, options: &Options) -> Outcome<BytesQueue> {
        // SAFETY: only this test and its children know the file.
        Ok(unsafe { BytesQueue::create_with(self.path(), options) }?)
    }

    pub(crate) fn open(&self) -> Outcome<BytesQueue> {
        // SAFETY: as above.
        Ok(unsafe { BytesQueue::open(self.path()) }?)
    }

    pub(crate) fn create_mpmc(&self, options: &Options) -> Outcome<mpmc::BytesQueue> {
        // SAFETY: as above.
        Ok(unsafe { mpmc::BytesQueue::create_with(self.path(), options) }?)
    }

    pub(crate) fn open_mpmc(&self) -> Outcome<mpmc::BytesQueue> {
        // SAFETY: as above.
        Ok(unsafe { mpmc::BytesQueue::open(self.path()) }?)
    }

    /// Unlinks the queue and that of its dead letters; nothing else may be there.
    pub(crate) fn leave(self) -> Outcome {
        ringway::unlink(self.path())?;
        let letters = self.directory().join("queue.dead");
        if letters.exists() {
            ringway::unlink(letters)?;
        }
        let left = std::fs::read_dir(self.directory())?.collect::<Result<Vec<_>, _>>()?;
        ensure!(left.is_empty(), "files were left behind: {left:?}");
        Ok(self.directory.close()?)
    }
}
