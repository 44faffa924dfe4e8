//! `ringway bench`: measures queues between processes, checks every message, and compares with the
//! machine's limits.
//!
//! ```text
//! bench (this process)   plans, starts workers, collects, reports          plan.rs  workers.rs  report.rs
//!   task                 what a worker is told to do: types alone          task.rs
//!   worker               reads its task and does it                        worker.rs
//!     producer           pinned to one core                                throughput.rs  latency.rs  limits.rs
//!     consumer           pinned to the other; checks sequence and content  many.rs (MPMC)  check.rs
//!     survivor           kills others and takes the time                   recovery/
//! ```
//! Workers talk to this process over their standard input and output (workers.rs, process.rs). They
//! are killed when it ends, however it ends. The queue's file is unlinked before the measurement
//! begins; only the recovery measurement keeps the name until it is over, because victims are
//! started during it.

mod check;
mod files;
mod latency;
mod limits;
mod many;
mod memory;
mod plan;
mod process;
mod recovery;
mod report;
mod statistics;
mod task;
mod throughput;
mod words;
mod worker;
mod workers;

pub(crate) use worker::work;
pub(crate) use workload::interrupt::Interrupted;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::de::DeserializeOwned;
use workload::interrupt;

use files::Files;
use plan::{Case, Plan, Scale};
use report::Report;
use statistics::{Percentiles, Spread};
use task::{Task, Work};
use workers::WorkerSet;

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only whether everything works: all of it within some ten seconds
    #[arg(long)]
    quick: bool,
    /// Longer runs and more kills, for numbers to publish: some five minutes
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Runs of each case; the median is quoted
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Kills that count for the recovery time, as far as time allows; 0: none. The default is 500;
    /// with --quick 100, with --full 10000
    #[arg(long, value_name = "N")]
    recovery_trials: Option<u64>,
    /// The two cores to use, for producers and consumers
    #[arg(long, default_value = "0,1", value_name = "A,B", value_parser = parse_cores)]
    cores: [usize; 2],
    /// Bytes of the ring of every queue; the default is the library's
    #[arg(long, value_name = "BYTES")]
    ring_bytes: Option<usize>,
    /// Only the cases whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

fn parse_cores(text: &str) -> Result<[usize; 2], String> {
    let cores: Option<Vec<usize>> = text.split(',').map(|core| core.trim().parse().ok()).collect();
    match cores.as_deref() {
        Some([producer, consumer]) => Ok([*producer, *consumer]),
        _ => Err("expected two core numbers, such as 0,1".into()),
    }
}

/// Runs the whole benchmark and prints its report.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::watch().context("registering a signal handler")?;
    let scale = match (arguments.quick, arguments.full) {
        (true, _) => Scale::Quick,
        (_, true) => Scale::Full,
        _ => Scale::Usual,
    };
    let plan = Plan::new(scale, arguments.runs, arguments.recovery_trials, &arguments.only);
    anyhow::ensure!(!plan.is_empty(), "no case has a name that contains `{}`", arguments.only);
    let bench = Bench { cores: arguments.cores, ring_bytes: arguments.ring_bytes, plan };
    let report = bench.measure(&bench.progress_bar())?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    Ok(())
}

struct Bench {
    cores: [usize; 2],
    ring_bytes: Option<usize>,
    plan: Plan,
}

impl Bench {
    fn progress_bar(&self) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}").expect("a valid template");
        ProgressBar::new(self.plan.steps()).with_style(style)
    }

    /// Runs all measurements, interleaved: a disturbance of the machine affects every case alike.
    fn measure(&self, progress: &ProgressBar) -> Result<Report> {
        let mut rates = vec![Vec::new(); self.plan.throughput.len()];
        let mut pingpong = Vec::new();
        let mut streams = Vec::new();
        let mut round_trips = vec![Vec::new(); self.plan.latency.len()];
        for _ in 0..self.plan.runs {
            progress.set_message("limits: cache-line ping-pong");
            pingpong.push(self.pingpong()?);
            progress.inc(1);
            progress.set_message("limits: streaming lines");
            streams.push(self.stream()?);
            progress.inc(1);
            for (case, rates) in self.plan.throughput.iter().zip(&mut rates) {
                progress.set_message(case.name());
                rates.push(self.throughput(case)?);
                progress.inc(1);
            }
            for (case, round_trips) in self.plan.latency.iter().zip(&mut round_trips) {
                progress.set_message(format!("{} round trip", case.name()));
                round_trips.push(self.latency(case)?);
                progress.inc(1);
            }
        }
        progress.set_message("recovery after kill -9");
        let recovery = self.plan.recovery.as_ref().map(|plan| self.recovery(plan)).transpose()?;
        progress.finish_and_clear();
        let rates = rates.iter().map(|rates| Spread::of(rates)).collect();
        let round_trips = round_trips.iter().map(|runs| Percentiles::median_of(runs)).collect();
        let limits = report::Limits::new(&pingpong, &streams);
        Ok(Report::new(self.cores, &self.plan, limits, rates, round_trips, recovery))
    }

    /// Messages per second of one run.
    fn throughput(&self, case: &Case) -> Result<f64> {
        let length = self.plan.run_length;
        let run = || match case.shape {
            None => {
                let files = Files::queue(case, self.ring_bytes)?;
                self.pair(files, &Work::Throughput { case: case.clone(), length })
            }
            Some(shape) => {
                let files = many::files(self.ring_bytes)?;
                let work = Work::Many { case: case.clone(), length };
                let tasks =
                    Task::workers(self.cores, &files.paths(), &work, shape.producers, shape.consumers);
                many::rate(&WorkerSet::start(&tasks, files)?.finish_all()?, shape)
            }
        };
        run().with_context(|| case.name())
    }

    fn latency(&self, case: &Case) -> Result<Percentiles> {
        let files = Files::two_queues(case, self.ring_bytes)?;
        let work = Work::Latency { case: case.clone(), round_trips: self.plan.round_trips };
        self.pair(files, &work).with_context(|| case.name())
    }

    fn pingpong(&self) -> Result<Percentiles> {
        let files = Files::memory(limits::PINGPONG_BYTES)?;
        let work = Work::Pingpong { round_trips: self.plan.round_trips };
        self.pair(files, &work).context("cache-line ping-pong")
    }

    /// Bytes per second of one run.
    fn stream(&self) -> Result<f64> {
        let files = Files::memory(limits::STREAM_BYTES)?;
        let length = self.plan.run_length.max(Duration::from_millis(50));
        self.pair(files, &Work::Stream { length }).context("streaming lines")
    }

    fn recovery(&self, plan: &plan::RecoveryPlan) -> Result<recovery::Recovery> {
        let files = Files::mpmc_with_name()?;
        let work = Work::Recovery(plan.clone());
        let tasks = Task::workers(self.cores, &files.paths(), &work, 0, 1);
        WorkerSet::start(&tasks, files)?.finish().context(plan::RECOVERY)
    }

    /// The result of a pair's consumer.
    fn pair<R: DeserializeOwned>(&self, files: Files, work: &Work) -> Result<R> {
        WorkerSet::start(&Task::pair(self.cores, &files.paths(), work), files)?.finish()
    }
}
