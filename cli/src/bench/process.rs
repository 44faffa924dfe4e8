//! Worker processes: starting, pinning, talking, and leaving nothing behind.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use ringway::Options;
use ringway::spsc::BytesQueue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::plan::{Case, Framing};
use super::{latency, limits, throughput};

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

fn check_interrupted() -> Result<()> {
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
    core: usize,
    pub(super) paths: Vec<PathBuf>,
    work: Work,
}

#[derive(Serialize, Deserialize)]
enum Work {
    Throughput { case: Case, length: Duration },
    Latency { case: Case, round_trips: u64 },
    Pingpong { round_trips: u64 },
    Stream { length: Duration },
}

impl Task {
    fn new(role: Role, cores: [usize; 2], files: &Files, work: Work) -> Self {
        let core = match role {
            Role::Producer => cores[0],
            Role::Consumer => cores[1],
        };
        Self { role, core, paths: files.paths.clone(), work }
    }

    pub(super) fn throughput(
        role: Role,
        cores: [usize; 2],
        files: &Files,
        case: &Case,
        length: Duration,
    ) -> Self {
        Self::new(role, cores, files, Work::Throughput { case: case.clone(), length })
    }

    pub(super) fn latency(
        role: Role,
        cores: [usize; 2],
        files: &Files,
        case: &Case,
        round_trips: u64,
    ) -> Self {
        Self::new(role, cores, files, Work::Latency { case: case.clone(), round_trips })
    }

    pub(super) fn pingpong(role: Role, cores: [usize; 2], files: &Files, round_trips: u64) -> Self {
        Self::new(role, cores, files, Work::Pingpong { round_trips })
    }

    pub(super) fn stream(role: Role, cores: [usize; 2], files: &Files, length: Duration) -> Self {
        Self::new(role, cores, files, Work::Stream { length })
    }

    pub(super) fn core(&self) -> usize {
        self.core
    }

    /// Runs in the worker.
    pub(super) fn run(&self) -> Result<()> {
        match &self.work {
            Work::Throughput { case, length } => throughput::work(self, case, *length),
            Work::Latency { case, round_trips } => latency::work(self, case, *round_trips),
            Work::Pingpong { round_trips } => limits::work_pingpong(self, *round_trips),
            Work::Stream { length } => limits::work_stream(self, *length),
        }
    }
}

/// Pins the worker and ties its life to that of its parent.
pub(super) fn prepare_worker(core: usize) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("asking to end with the parent")?;
    let mut cores = CpuSet::new();
    let pinned = cores.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores));
    pinned.with_context(|| format!("pinning to core {core}; choose others with --cores"))
}

/// Tells the parent that all is attached, and waits until the other side is too.
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

/// Files that a measurement needs; removed when dropped.
pub(super) struct Files {
    paths: Vec<PathBuf>,
}

impl Files {
    fn fresh(count: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = |_| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            PathBuf::from(format!("/dev/shm/ringway-bench-{}-{number}", std::process::id()))
        };
        Self { paths: (0..count).map(path).collect() }
    }

    pub(super) fn queue(case: &Case, capacity: Option<usize>) -> Result<Self> {
        let files = Self::fresh(1);
        create_queue(&files.paths[0], case, capacity)?;
        Ok(files)
    }

    pub(super) fn two_queues(case: &Case, capacity: Option<usize>) -> Result<Self> {
        let files = Self::fresh(2);
        for path in &files.paths {
            create_queue(path, case, capacity)?;
        }
        Ok(files)
    }

    /// A file of zeros to map.
    pub(super) fn memory(bytes: u64) -> Result<Self> {
        let files = Self::fresh(1);
        let create = || File::create_new(&files.paths[0])?.set_len(bytes);
        create().with_context(|| format!("creating {}", files.paths[0].display()))?;
        Ok(files)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.paths {
            // It may be gone already; nothing more can be done about any other failure here.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn create_queue(path: &Path, case: &Case, capacity: Option<usize>) -> Result<()> {
    let mut options = Options::new();
    if let Some(capacity) = capacity {
        options = options.capacity(capacity);
    }
    match case.framing {
        Framing::Fixed => create_bytes(path, &options.fixed_len(case.bytes)),
        Framing::Variable => create_bytes(path, &options),
        Framing::Typed => throughput::create_typed(path, case.bytes, &options.fixed_size()),
    }
}

#[allow(unsafe_code, reason = "the file is ours alone")]
fn create_bytes(path: &Path, options: &Options) -> Result<()> {
    // SAFETY: only this benchmark's own processes know the file.
    unsafe { BytesQueue::create_with(path, options) }?;
    Ok(())
}

/// A running worker; killed when dropped.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn start(task: &Task) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program's file")?;
        let mut child = Command::new(program)
            .arg("bench-worker")
            .arg(serde_json::to_string(task)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a worker process")?;
        let input = child.stdin.take().context("the worker's standard input")?;
        let output = BufReader::new(child.stdout.take().context("the worker's standard output")?);
        Ok(Self { child, input, output })
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("listening to a worker process")?;
        check_interrupted()?;
        if line.is_empty() {
            bail!("a worker process ended early ({})", self.child.wait()?);
        }
        Ok(line)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A worker that has answered is about to end; one that has not is not needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two workers on the two sides of one measurement.
pub(super) struct Pair {
    producer: Worker,
    consumer: Worker,
    /// Kept until both are done, although the names are gone before they start.
    _files: Files,
}

impl Pair {
    pub(super) fn start(producer: Task, consumer: Task, files: Files) -> Result<Self> {
        let mut pair =
            Self { producer: Worker::start(&producer)?, consumer: Worker::start(&consumer)?, _files: files };
        for worker in [&mut pair.producer, &mut pair.consumer] {
            let line = worker.read_line()?;
            anyhow::ensure!(line.trim() == "ready", "a worker process said `{}`", line.trim());
        }
        // Both have the files open: without a name, they cannot outlive us, however we end.
        for path in &pair._files.paths {
            std::fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
        }
        for worker in [&mut pair.consumer, &mut pair.producer] {
            worker.input.write_all(b"go\n").context("starting the measurement")?;
        }
        Ok(pair)
    }

    /// The consumer's result, once both are done. If either fails, the other may wait for it for ever: so this listens to
    /// both at once.
    pub(super) fn finish<R: DeserializeOwned>(mut self) -> Result<R> {
        let mut sent = None;
        let mut received = None;
        loop {
            let waiting =
                [sent.is_none().then_some(&self.producer), received.is_none().then_some(&self.consumer)];
            let [from_producer, from_consumer] = have_spoken(waiting)?;
            if from_producer {
                sent = Some(self.producer.read_line()?);
            }
            if from_consumer {
                received = Some(self.consumer.read_line()?);
            }
            if let (Some(_), Some(line)) = (&sent, &received) {
                return serde_json::from_str(line).context("reading a worker's result");
            }
        }
    }
}

/// Waits until one of these workers says something or ends; which of them did.
fn have_spoken(workers: [Option<&Worker>; 2]) -> Result<[bool; 2]> {
    loop {
        let mut polled: Vec<PollFd<'_>> = Vec::new();
        let places = workers.map(|worker| {
            worker.map(|worker| {
                polled.push(PollFd::new(worker.output.get_ref().as_fd(), PollFlags::POLLIN));
                polled.len() - 1
            })
        });
        let spoken = match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) => places.map(|place| place.is_some_and(|place| polled[place].any().unwrap_or(false))),
            Err(Errno::EINTR) => [false; 2],
            Err(error) => return Err(error).context("listening to the worker processes"),
        };
        check_interrupted()?;
        if spoken.contains(&true) {
            return Ok(spoken);
        }
    }
}
