//! What every worker process does besides its work: it stays on one core, ends with its parent, and
//! talks to it.

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::Serialize;

/// Pins the worker, and makes it end with its parent.
pub(super) fn prepare_worker(core: usize) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("asking to end with the parent")?;
    pin(core)
}

/// Pins this thread to one core.
pub(super) fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    let pinned = cores.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores));
    pinned.with_context(|| format!("pinning to core {core}; choose others with --cores"))
}

/// Tells the parent that this worker is attached, and waits until the others are.
pub(super) fn ready() -> Result<()> {
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("waiting for the start")?;
    if line.trim() == "go" { Ok(()) } else { bail!("the parent is gone") }
}

/// Sends the worker's result to the parent.
pub(super) fn answer(result: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}
