//! Ringway beside what users would pick instead, on the same work: `cargo run --release -p rivals`.
//! See README.md.

#![deny(unsafe_code)]

#[cfg(test)]
use ringway_bound as _;

mod case;
mod check;
mod conduct;
mod machine;
mod measure;
mod output;
mod record;
mod scratch;
mod shared;
mod systems;
mod wait;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use workload::interrupt;

use self::case::Case;
use self::conduct::Plan;
use self::measure::{Answer, CAUGHT, Scope, Task};
use self::record::Record;

/// Ringway beside what users would pick instead, on the same work.
#[derive(Parser)]
#[command(name = "rivals", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    run: Run,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Make tables and plots of an earlier run's lines of JSON.
    Report {
        /// What `--json` printed or `--save` wrote.
        lines: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// One measurement; started by the run.
    #[command(hide = true)]
    Measure {
        /// What to measure, as JSON.
        task: String,
    },
}

#[derive(Args)]
struct Run {
    /// Fewer sizes, one short run each: whether everything works.
    #[arg(long)]
    quick: bool,
    /// Only cases whose name contains one of these.
    #[arg(long, value_delimiter = ',')]
    case: Vec<String>,
    /// Only these systems, by their whole names.
    #[arg(long, value_delimiter = ',')]
    system: Vec<String>,
    /// Runs of each case, interleaved (default 5, with --quick 1).
    #[arg(long)]
    runs: Option<u64>,
    /// Milliseconds of a run (default 100, with --quick 20).
    #[arg(long)]
    millis: Option<u64>,
    /// Kills of each crash case (default 200, with --quick 10).
    #[arg(long)]
    trials: Option<u64>,
    /// The producers' core and the consumers'.
    #[arg(long, value_delimiter = ',', default_value = "0,1")]
    cores: Vec<usize>,
    /// Print lines of JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Write lines of JSON to this file as well.
    #[arg(long)]
    save: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Output {
    /// Write the results as tables in Markdown; between the lines `<!-- rivals -->` and `<!-- /rivals -->` of the file, if
    /// it has them.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Write plots (SVG) into this directory.
    #[arg(long)]
    plots: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Measure { task }) => return answer(&task),
        Some(Command::Report { lines, output }) => read(&lines).and_then(|records| output.write(&records)),
        None => cli.run.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rivals: {error:#}");
            if error.is::<interrupt::Interrupted>() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}

/// Measures in this process, and prints the result.
fn answer(task: &str) -> ExitCode {
    // The answer could not be read any more if the parent were gone.
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    // A worker or this thread that panics answers with that: the first answer counts.
    std::panic::set_hook(Box::new(|info| {
        if !CAUGHT.load(Ordering::Relaxed) {
            let text = info.payload_as_str().unwrap_or("it panicked");
            print(&Answer::Error(text.to_owned()));
            std::process::exit(101);
        }
    }));
    let task = serde_json::from_str::<Task>(task).context("reading the task");
    let answer = task.and_then(|task| measure::run(&task));
    print(&answer.unwrap_or_else(|error| Answer::Error(format!("{error:#}"))));
    ExitCode::SUCCESS
}

fn print(answer: &Answer) {
    let line = serde_json::to_string(answer).unwrap_or_default();
    // If the reader is gone, the answer is not needed.
    let _ = writeln!(std::io::stdout(), "{line}");
}

impl Run {
    fn plan(&self) -> Result<Plan> {
        let [producers, consumers] = self.cores[..] else {
            bail!("--cores takes two numbers: the producers' core and the consumers'");
        };
        ensure!(self.runs != Some(0) && self.trials != Some(0), "at least one run and one trial are needed");
        let known = |system: &String| systems::list::ALL.iter().any(|rival| rival.name == *system);
        if let Some(unknown) = self.system.iter().find(|system| !known(system)) {
            let mut names: Vec<_> = systems::list::ALL.iter().map(|rival| rival.name).collect();
            names.dedup();
            bail!("there is no system called `{unknown}`; there are {}", names.join(", "));
        }
        let mut cases = Case::all(self.quick);
        if !self.case.is_empty() {
            cases.retain(|case| self.case.iter().any(|part| case.to_string().contains(part)));
            ensure!(!cases.is_empty(), "no case's name contains `{}`", self.case.join("` or `"));
        }
        let [runs, trials, millis, seconds] = if self.quick { [1, 10, 20, 5] } else { [5, 200, 100, 30] };
        Ok(Plan {
            cases,
            systems: self.system.clone(),
            runs: self.runs.unwrap_or(runs) as usize,
            length: Duration::from_millis(self.millis.unwrap_or(millis)),
            trials: self.trials.unwrap_or(trials) as usize,
            trials_length: Duration::from_secs(seconds),
            cores: [producers, consumers],
        })
    }

    fn run(&self) -> Result<()> {
        let plan = self.plan()?;
        interrupt::watch()?;
        let mut save = self.save.as_ref().map(|path| create(path)).transpose()?;
        let mut all = Vec::new();
        for case in &plan.cases {
            let records = plan.run(*case)?;
            for record in &records {
                let line = serde_json::to_string(record)?;
                if let Some(file) = &mut save {
                    writeln!(file, "{line}").context("saving a line")?;
                }
                if self.json {
                    println!("{line}");
                }
            }
            if !self.json {
                output::table::print(*case, &records);
            }
            all.extend(records);
        }
        self.output.write(&all)
    }
}

impl Output {
    fn write(&self, records: &[Record]) -> Result<()> {
        let plots = match &self.plots {
            Some(directory) => output::plots::write(directory, records)?,
            None => Vec::new(),
        };
        match &self.markdown {
            Some(path) => output::markdown::write(path, records, &plots),
            None => Ok(()),
        }
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("creating {}", path.display()))
}

fn read(path: &Path) -> Result<Vec<Record>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let lines = BufReader::new(file).lines().enumerate();
    lines
        .map(|(number, line)| {
            let at = || format!("{}, line {}", path.display(), number + 1);
            serde_json::from_str(&line.with_context(at)?).with_context(at)
        })
        .collect()
}

/// Limits first, then processes, then threads.
fn scope_rank(scope: Scope) -> u8 {
    match scope {
        Scope::Limit => 0,
        Scope::Processes => 1,
        Scope::Threads => 2,
    }
}
