//! Runs tests one after another in the only thread there is, and gives them a directory.
//!
//! The command line is that of libtest (`--list`, `--exact`, `--skip`, `--ignored`, a filter):
//! `libtest-mimic` reads it. With one test thread it runs every test in the main thread and starts
//! no other, which its own `tests/threads.rs` checks: a process with threads must not fork without
//! exec.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use ringway::spsc::BytesQueue;
use ringway::{CreateOptions, mpmc};

use super::{Random, cause, watchdog};

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
    body: Box<dyn FnOnce() -> Outcome + Send>,
}

impl Test {
    pub(crate) fn new(name: impl Into<String>, body: impl FnOnce() -> Outcome + Send + 'static) -> Self {
        Self { name: name.into(), body: Box::new(body) }
    }

    /// Every test is bounded by the watchdog, and a failure is reported with the cause that a child
    /// gave.
    fn into_trial(self) -> Trial {
        let Self { name, body } = self;
        Trial::test(name.clone(), move || {
            cause::clear();
            watchdog::watch(&name);
            let outcome = catch_unwind(AssertUnwindSafe(body));
            watchdog::rest();
            let found = match outcome {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!("it panicked: {}", cause::text_of(&*panic)),
            };
            Err(Failed::from(cause::explain(&found)))
        })
    }
}

/// Runs the tests that the command line selects.
pub(crate) fn run(tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if !arguments.list {
        // It prints the seed, which a list must not have. Before any child: all of them draw from
        // one seed.
        Random::new(0);
    }
    // Before any child, too: all of them share the page.
    cause::prepare();
    watchdog::install();
    let trials = tests.into_iter().map(Test::into_trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A number from the environment.
pub(crate) fn number_from(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number"))
}

/// `short`, or `long` if `RINGWAY_LONG=1` selects the long form of the proofs, as `cargo xtask ci`
/// does.
pub(crate) fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var_os("RINGWAY_LONG").is_some_and(|value| value == "1") { long } else { short }
}

/// A directory in shared memory for one test and its queue.
pub(crate) struct TestDir {
    directory: tempfile::TempDir,
}

impl TestDir {
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

    pub(crate) fn create(&self, options: &CreateOptions) -> Outcome<BytesQueue> {
        // SAFETY: only this test and its children know the file.
        Ok(unsafe { BytesQueue::create_with(self.path(), options) }?)
    }

    pub(crate) fn open(&self) -> Outcome<BytesQueue> {
        // SAFETY: as above.
        Ok(unsafe { BytesQueue::open(self.path()) }?)
    }

    pub(crate) fn create_mpmc(&self, options: &CreateOptions) -> Outcome<mpmc::BytesQueue> {
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
