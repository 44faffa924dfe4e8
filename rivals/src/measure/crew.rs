//! The workers: threads, or children.
#![allow(unsafe_code, reason = "forks")]

use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::Scope;

/// A panic is caught where it happens, and is no answer.
pub(crate) static CAUGHT: AtomicBool = AtomicBool::new(false);

/// Some systems hand messages of a MiB over by value.
const STACK: usize = 64 << 20;

/// Keeps the calling thread on that core.
pub(super) fn pin(core: usize) {
    let mut cores = CpuSet::new();
    let pinned = cores.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores));
    pinned.unwrap_or_else(|error| {
        panic!("pinning to core {core} failed ({error}); choose others with --cores")
    });
}

/// Runs workers `0..count` during `conduct`, and waits for all of them.
pub(super) fn run(
    scope: Scope,
    count: usize,
    work: impl Fn(usize) -> Result<()> + Sync,
    conduct: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if scope == Scope::Processes {
        let children = (0..count).map(|worker| child(|| work(worker))).collect::<Result<Vec<_>>>()?;
        conduct()?;
        return wait_for(&children);
    }
    std::thread::scope(|threads| {
        for worker in 0..count {
            let work = &work;
            // What fails in a worker ends the process, as a panic does.
            let builder = std::thread::Builder::new().stack_size(STACK);
            builder.spawn_scoped(threads, move || succeed(work(worker))).context("starting a thread")?;
        }
        conduct()
    })
}

fn succeed(result: Result<()>) {
    if let Err(error) = result {
        panic!("{error:#}");
    }
}

/// Forks a child that works and ends.
pub(super) fn child(work: impl FnOnce() -> Result<()> + Send) -> Result<Pid> {
    // SAFETY: this process has one thread here.
    match unsafe { fork() }.context("forking a worker")? {
        ForkResult::Child => {
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            std::thread::scope(|threads| {
                let builder = std::thread::Builder::new().stack_size(STACK);
                let worker = builder.spawn_scoped(threads, || succeed(work()));
                drop(worker.expect("a thread of the worker's own").join());
            });
            std::process::exit(0);
        }
        ForkResult::Parent { child } => Ok(child),
    }
}

/// Waits for the children, whichever ends first; one that fails takes the others with it.
fn wait_for(children: &[Pid]) -> Result<()> {
    for _ in children {
        match waitpid(None, None).context("waiting for the workers")? {
            WaitStatus::Exited(_, 0) => {}
            other => {
                for child in children {
                    let _ = kill(*child, Signal::SIGKILL);
                }
                bail!("a worker ended: {other:?}");
            }
        }
    }
    Ok(())
}
