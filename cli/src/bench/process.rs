//! What worker processes do, and how they talk to the one that started them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::files::Files;
use super::plan::Case;
use super::{latency, limits, many, recovery, throughput};

/// The user pressed Ctrl-C, or somebody asked us to stop.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted; nothing was left behind")
    }
}

impl std::error::Error for Interrupted {}

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on SIGINT and SIGTERM end the measurement instead of the process, so that it can clean up.
pub(super) fn watch_for_interrupt() -> Result<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signal_hook::flag::register(signal as i32, Arc::clone(flag))
            .context("registering a signal handler")?;
    }
    Ok(())
}

pub(super) fn check_interrupted() -> Result<()> {
    let interrupted = INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed));
    if interrupted { Err(Interrupted.into()) } else { Ok(()) }
}

/// Which side a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Producer,
    Consumer,
}

/// What a worker does.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) role: Role,
    /// Which of those with its role it is.
    pub(super) index: usize,
    /// Producers' and consumers'.
    pub(super) cores: [usize; 2],
    pub(super) paths: Vec<PathBuf>,
    pub(super) work: Work,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Work {
    Throughput { case: Case, length: Duration },
    Many { case: Case, length: Duration },
    Latency { case: Case, round_trips: u64 },
    Pingpong { round_trips: u64 },
    Stream { length: Duration },
    Recovery(recovery::Plan),
    Victim(recovery::Victim),
}

impl Task {
    /// A producer and a consumer that do this.
    pub(super) fn pair(cores: [usize; 2], files: &Files, work: &Work) -> Vec<Self> {
        Self::crew(cores, files, work, 1, 1)
    }

    /// So many producers, then so many consumers, that do this.
    pub(super) fn crew(
        cores: [usize; 2],
        files: &Files,
        work: &Work,
        producers: usize,
        consumers: usize,
    ) -> Vec<Self> {
        let task = |role, index| Self { role, index, cores, paths: files.paths(), work: work.clone() };
        let producers = (0..producers).map(|index| task(Role::Producer, index));
        producers.chain((0..consumers).map(|index| task(Role::Consumer, index))).collect()
    }

    pub(super) fn core(&self) -> usize {
        match self.role {
            Role::Producer => self.cores[0],
            Role::Consumer => self.cores[1],
        }
    }

    /// Runs in the worker.
    pub(super) fn run(&self) -> Result<()> {
        match &self.work {
            Work::Throughput { case, length } => throughput::work(self, case, *length),
            Work::Many { case, length } => many::work(self, case, *length),
            Work::Latency { case, round_trips } => latency::work(self, case, *round_trips),
            Work::Pingpong { round_trips } => limits::work_pingpong(self, *round_trips),
            Work::Stream { length } => limits::work_stream(self, *length),
            Work::Recovery(plan) => recovery::work(self, plan),
            Work::Victim(victim) => victim.work(self),
        }
    }
}

/// Pins the worker and ties its life to that of its parent.
pub(super) fn prepare_worker(core: usize) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("asking to end with the parent")?;
    pin(core)
}

/// Keeps this thread on one core.
pub(super) fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    let pinned = cores.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores));
    pinned.with_context(|| format!("pinning to core {core}; choose others with --cores"))
}

/// Tells the parent that all is attached, and waits until the others are too.
pub(super) fn ready() -> Result<()> {
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("waiting for the start")?;
    if line.trim() == "go" { Ok(()) } else { bail!("the parent is gone") }
}

/// Hands the worker's result to the parent.
pub(super) fn answer(result: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}
