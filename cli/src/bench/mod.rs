//! `ringway bench`: two processes, one queue, every message checked; and the machine's limits beside it.
//!
//! ```text
//! bench (this process)   plans, starts workers, collects, reports          plan.rs  report.rs
//!   worker: producer     pinned to one core                                throughput.rs  latency.rs  limits.rs
//!   worker: consumer     pinned to the other; checks sequence and content
//! ```
//! Workers talk to this process over their standard input and output (process.rs). They are killed when it ends,
//! in whatever way, and the queue's file has lost its name before the measurement begins.

mod latency;
mod limits;
mod message;
mod plan;
mod process;
mod report;
mod statistics;
mod throughput;

pub(crate) use process::Interrupted;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use plan::{Case, Plan};
use process::{Files, Pair, Task};
use report::Report;
use statistics::{Percentiles, Spread};

/// What may be said on the command line.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Shorter runs: all of it within ten seconds
    #[arg(long)]
    quick: bool,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Runs of each case; the median is quoted
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// The two cores to use, for producer and consumer
    #[arg(long, default_value = "0,1", value_name = "A,B", value_parser = parse_cores)]
    cores: [usize; 2],
    /// Bytes of ring of every queue; the default is the library's
    #[arg(long, value_name = "BYTES")]
    capacity: Option<usize>,
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
    process::watch_for_interrupt()?;
    let plan = Plan::new(arguments.quick, arguments.runs, &arguments.only);
    anyhow::ensure!(!plan.is_empty(), "no case has a name that contains `{}`", arguments.only);
    let bench = Bench { cores: arguments.cores, capacity: arguments.capacity, plan };
    let report = bench.measure(&bench.progress_bar())?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    Ok(())
}

/// One side of one measurement, in a process of its own.
pub(crate) fn work(task: &str) -> Result<()> {
    let task: Task = serde_json::from_str(task).context("reading the task")?;
    process::prepare_worker(task.core())?;
    task.run()
}

struct Bench {
    cores: [usize; 2],
    capacity: Option<usize>,
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

    /// All measurements, interleaved: a disturbance of the machine hits every case alike.
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
        progress.finish_and_clear();
        let rates = rates.iter().map(|rates| Spread::of(rates)).collect();
        let round_trips = round_trips.iter().map(|runs| Percentiles::median_of(runs)).collect();
        let limits = report::Limits::new(&pingpong, &streams);
        Ok(Report::new(self.cores, &self.plan, limits, rates, round_trips))
    }

    /// Messages a second of one run.
    fn throughput(&self, case: &Case) -> Result<f64> {
        let files = Files::queue(case, self.capacity)?;
        let task = |role| Task::throughput(role, self.cores, &files, case, self.plan.run_length);
        let pair = Pair::start(task(process::Role::Producer), task(process::Role::Consumer), files)?;
        pair.finish().with_context(|| case.name())
    }

    fn latency(&self, case: &Case) -> Result<Percentiles> {
        let files = Files::two_queues(case, self.capacity)?;
        let task = |role| Task::latency(role, self.cores, &files, case, self.plan.round_trips);
        let pair = Pair::start(task(process::Role::Producer), task(process::Role::Consumer), files)?;
        pair.finish().with_context(|| case.name())
    }

    fn pingpong(&self) -> Result<Percentiles> {
        let files = Files::memory(limits::PINGPONG_BYTES)?;
        let task = |role| Task::pingpong(role, self.cores, &files, self.plan.round_trips);
        let pair = Pair::start(task(process::Role::Producer), task(process::Role::Consumer), files)?;
        pair.finish().context("cache-line ping-pong")
    }

    /// Bytes a second of one run.
    fn stream(&self) -> Result<f64> {
        let files = Files::memory(limits::STREAM_BYTES)?;
        let length = self.plan.run_length.max(Duration::from_millis(50));
        let task = |role| Task::stream(role, self.cores, &files, length);
        let pair = Pair::start(task(process::Role::Producer), task(process::Role::Consumer), files)?;
        pair.finish().context("streaming lines")
    }
}
