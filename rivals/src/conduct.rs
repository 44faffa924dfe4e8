//! The run: case by case, round by round, each measurement in a process of its own that is killed
//! if it takes too long.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use workload::interrupt;

use crate::case::{Case, Limit};
use crate::measure::{Answer, Scope, Task};
use crate::record::{Record, median};
use crate::scratch::Scratch;
use crate::systems::list::{self, Rival};
use crate::wait::Way;

/// The additional time that a measurement may take; after that it is stuck.
const TIME_LIMIT: Duration = Duration::from_secs(12);
/// Between two checks whether the user has interrupted the run.
const SLICE: Duration = Duration::from_millis(100);
/// Large messages get this many times as long: the first round through their memory takes more of
/// it.
const LARGE: u32 = 3;
/// ... and those that rest between messages, this many.
const PARKED: u32 = 6;
const PINGPONG: Duration = Duration::from_millis(20);

/// How much is measured, and which part of it.
pub(crate) struct Plan {
    pub(crate) cases: Vec<Case>,
    /// Parts of names of systems; all if there are none.
    pub(crate) systems: Vec<String>,
    pub(crate) runs: usize,
    pub(crate) length: Duration,
    pub(crate) trials: usize,
    /// For all trials of one system.
    pub(crate) trials_length: Duration,
    pub(crate) cores: [usize; 2],
}

/// A system and a way of waiting, with the results so far.
struct Contestant<'r> {
    rival: &'r Rival,
    way: Way,
    figures: Vec<f64>,
    p99s: Vec<f64>,
    error: Option<String>,
}

impl Plan {
    fn wants(&self, system: &str) -> bool {
        self.systems.is_empty() || self.systems.iter().any(|part| part == system)
    }

    fn task(&self, case: Case, system: &str, scope: Scope, way: Way) -> Task {
        let length = match case {
            Case::Crash(_) => self.trials_length,
            Case::Throughput { bytes: 65_536.., .. } => LARGE * self.length,
            Case::Latency { parked: true, .. } => PARKED * self.length,
            _ => self.length,
        };
        Task {
            case,
            system: system.to_owned(),
            scope,
            way,
            length,
            cores: self.cores,
            directory: Default::default(),
            trials: self.trials,
        }
    }

    /// All records of a case.
    pub(crate) fn run(&self, case: Case) -> Result<Vec<Record>> {
        match case {
            Case::Limit(limit) => self.limit(case, limit),
            Case::Crash(_) => self.crashes(case),
            _ => self.rounds(case),
        }
    }

    fn limit(&self, case: Case, limit: Limit) -> Result<Vec<Record>> {
        let system = match limit {
            Limit::Pingpong => "pingpong",
            Limit::Stream => "stream",
            Limit::Memcpy { .. } => "memcpy",
        };
        let (mut figures, mut p99s) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            match measure(self.task(case, system, Scope::Limit, Way::Own))? {
                Answer::Figure { value, p99 } => {
                    figures.push(value);
                    p99s.extend(p99);
                }
                Answer::Error(error) => return Ok(vec![Record::error(case, system, Scope::Limit, &error)]),
                Answer::Toll(_) => {}
            }
        }
        let mut record = Record::figures(case, system, Scope::Limit, &figures);
        record.p99 = sorted_median(p99s);
        record.machine = (limit == Limit::Pingpong).then(crate::machine::describe);
        Ok(vec![record])
    }

    fn crashes(&self, case: Case) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for rival in
            list::ALL.iter().filter(|rival| self.wants(rival.name) && rival.scope == Scope::Processes)
        {
            let (name, scope) = (rival.name, rival.scope);
            eprintln!("{case}: {name}");
            records.push(match rival.ways(case) {
                Err(reason) => Record::error(case, name, scope, reason),
                Ok(ways) => match measure(self.task(case, name, scope, ways[0]))? {
                    Answer::Toll(toll) => Record::toll(case, name, scope, &toll),
                    Answer::Error(error) => Record::error(case, name, scope, &error),
                    Answer::Figure { .. } => Record::error(case, name, scope, "answered something else"),
                },
            });
        }
        Ok(records)
    }

    /// Rounds over all systems and their ways, so that a drift of the machine hits all.
    fn rounds(&self, case: Case) -> Result<Vec<Record>> {
        let mut contestants = Vec::new();
        for rival in list::ALL.iter().filter(|rival| self.wants(rival.name)) {
            for way in rival.ways(case).unwrap_or_default() {
                let (figures, p99s) = (Vec::new(), Vec::new());
                contestants.push(Contestant { rival, way, figures, p99s, error: None });
            }
        }
        for round in 0..self.runs {
            self.show_pingpong(case, round)?;
            for contestant in contestants.iter_mut().filter(|contestant| contestant.error.is_none()) {
                let Rival { name, scope, .. } = *contestant.rival;
                match measure(self.task(case, name, scope, contestant.way))? {
                    Answer::Figure { value, p99 } => {
                        contestant.figures.push(value);
                        contestant.p99s.extend(p99);
                    }
                    Answer::Error(error) => contestant.error = Some(error),
                    Answer::Toll(_) => contestant.error = Some("answered something else".into()),
                }
            }
        }
        let wanted = list::ALL.iter().filter(|rival| self.wants(rival.name));
        Ok(wanted.map(|rival| sum_up(case, rival, &contestants)).collect())
    }

    fn show_pingpong(&self, case: Case, round: usize) -> Result<()> {
        let mut task = self.task(Case::Limit(Limit::Pingpong), "pingpong", Scope::Limit, Way::Own);
        task.length = PINGPONG;
        let says = match measure(task)? {
            Answer::Figure { value, .. } => format!("{value:.0} ns"),
            _ => "failed".into(),
        };
        eprintln!("{case}: round {} of {}; ping-pong of one line: {says}", round + 1, self.runs);
        Ok(())
    }
}

fn sorted_median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    median(&figures)
}

/// The best of a system's ways; if one failed, that is noted beside it.
fn sum_up(case: Case, rival: &Rival, contestants: &[Contestant<'_>]) -> Record {
    let (name, scope) = (rival.name, rival.scope);
    if let Err(reason) = rival.ways(case) {
        return Record::error(case, name, scope, reason);
    }
    let ours = || contestants.iter().filter(|contestant| std::ptr::eq(contestant.rival, rival));
    let score = |contestant: &Contestant<'_>| {
        let median = sorted_median(contestant.figures.clone()).unwrap_or_default();
        if case.unit() == "ns" { -median } else { median }
    };
    let whole = ours().filter(|contestant| contestant.error.is_none() && !contestant.figures.is_empty());
    let failures: Vec<_> = ours()
        .filter_map(|contestant| Some(format!("{}: {}", contestant.way.name(), contestant.error.as_ref()?)))
        .collect();
    let Some(best) = whole.max_by(|one, other| score(one).total_cmp(&score(other))) else {
        let reason = ours().find_map(|contestant| contestant.error.as_deref());
        return Record::error(case, name, scope, reason.unwrap_or("was not measured"));
    };
    let mut record = Record::figures(case, name, scope, &best.figures);
    record.way = Some(best.way.name().to_owned());
    record.p99 = sorted_median(best.p99s.clone());
    record.note = Some(failures.join("; ")).filter(|failures| !failures.is_empty());
    record
}

/// A process and all that it starts, ended when dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // It made a group of its own; all may have ended already.
        let _ = killpg(Pid::from_raw(self.0.id() as i32), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Measures in a process of its own; returns its output, or that it takes too long.
fn measure(mut task: Task) -> Result<Answer> {
    let scratch = Scratch::new()?;
    task.directory = scratch.path().to_owned();
    let program = std::env::current_exe().context("finding this program's file")?;
    let mut command = Command::new(program);
    command.arg("measure").arg(serde_json::to_string(&task)?);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut group = Group(command.spawn().context("starting a process that measures")?);
    let output = group.0.stdout.take().context("the process's standard output")?;
    let (said, hears) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Other code may print there as well.
            if let Ok(answer) = serde_json::from_str::<Answer>(&line) {
                let _ = said.send(answer);
                return;
            }
        }
    });
    let start = Instant::now();
    let answer = loop {
        interrupt::check()?;
        match hears.recv_timeout(SLICE) {
            Ok(answer) => break answer,
            Err(mpsc::RecvTimeoutError::Timeout) if start.elapsed() < task.length + TIME_LIMIT => {}
            Err(mpsc::RecvTimeoutError::Timeout) => {
                break Answer::Error(format!(
                    "stuck: not done {} s after the time was up",
                    TIME_LIMIT.as_secs()
                ));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                break Answer::Error(format!("the process that measured ended: {}", group.0.wait()?));
            }
        }
    };
    drop(group);
    let _ = listener.join();
    Ok(answer)
}
