//! One measurement: the work of a process of its own that the program starts for it, and kills if
//! it takes too long.
//!
//! It creates the system, then starts the workers: threads, or children that it forks.

mod control;
mod crash;
mod crew;
mod latency;
mod limits;
mod throughput;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

pub(crate) use self::crash::Toll;
pub(crate) use self::crew::CAUGHT;
use crate::case::{CRASH_BYTES, Case, Shape};
use crate::systems::{Family, Setup, list};
use crate::wait::Way;

/// Bytes of messages that a queue has room for ...
const ROOM: usize = 1 << 20;
/// ... but at least this number of messages, however large ...
const MIN_MESSAGES: usize = 8;
/// ... and at most where there are many producers or consumers.
const MAX_MESSAGES: usize = 8192;
/// Messages sent or received in one call.
const BATCH: usize = 32;

/// Whether workers are threads or processes, or it is about the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    Threads,
    Processes,
    Limit,
}

impl Scope {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::Limit => "limit",
        }
    }
}

/// What to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) case: Case,
    pub(crate) system: String,
    pub(crate) scope: Scope,
    pub(crate) way: Way,
    /// The approximate duration.
    pub(crate) length: Duration,
    /// Producers' and consumers'.
    pub(crate) cores: [usize; 2],
    /// For files; removed by the process that requests this measurement.
    pub(crate) directory: PathBuf,
    /// Crash cases: the number of kills.
    pub(crate) trials: usize,
}

/// The result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// In the case's unit; of round trips the median, and the 99th percentile beside it.
    Figure { value: f64, p99: Option<f64> },
    /// Of a crash case.
    Toll(Toll),
    /// It could not be measured.
    Error(String),
}

impl Task {
    /// How a system is to be created for this.
    fn setup(&self, number: usize) -> Setup {
        let (shape, wants_batch, parked) = match self.case {
            Case::Throughput { shape, batch, .. } => (shape, batch, false),
            Case::Latency { parked, .. } => (Shape::PAIR, false, parked),
            Case::Crash(_) | Case::Limit(_) => (Shape::new(2, 2), false, false),
        };
        let bytes = self.case.bytes();
        let mut capacity = (ROOM / bytes).max(MIN_MESSAGES);
        if shape != Shape::PAIR || matches!(self.case, Case::Latency { .. }) {
            capacity = capacity.min(MAX_MESSAGES);
        }
        let batch = if wants_batch { BATCH.min(capacity / 4) } else { 1 };
        let directory = self.directory.clone();
        Setup { shape, bytes, capacity, batch, way: self.way, parked, directory, number }
    }
}

/// Measures, and writes the answer.
pub(crate) fn run(task: &Task) -> Result<Answer> {
    if let Case::Limit(limit) = task.case {
        return limits::run(task, limit);
    }
    (list::find(&task.system, task.scope)?.measure)(task)
}

/// Measures systems of one process: one family for one of each, another one (or the same) for more.
pub(crate) fn threads<P: Family, M: Family>(task: &Task) -> Result<Answer> {
    match task.case {
        Case::Throughput { shape: Shape::PAIR, .. } => throughput::<P>(task),
        Case::Throughput { .. } => throughput::<M>(task),
        Case::Latency { .. } => latency::<P>(task),
        Case::Crash(_) | Case::Limit(_) => bail!("`{}` is not for threads", task.case),
    }
}

/// Measures systems that live between processes, and so can lose one.
pub(crate) fn processes<P: Family, M: Family>(task: &Task) -> Result<Answer> {
    match task.case {
        Case::Crash(victim) => crash::run::<M::Small<{ CRASH_BYTES / 8 }>>(task, victim),
        _ => threads::<P, M>(task),
    }
}

fn throughput<F: Family>(task: &Task) -> Result<Answer> {
    match task.case.bytes() {
        8 => throughput::run::<F::Small<1>>(task),
        64 => throughput::run::<F::Small<8>>(task),
        256 => throughput::run::<F::Small<32>>(task),
        1024 => throughput::run::<F::Small<128>>(task),
        65_536 => throughput::run::<F::Large<8192>>(task),
        1_048_576 => throughput::run::<F::Large<131_072>>(task),
        other => bail!("there are no cases with messages of {other} bytes"),
    }
}

fn latency<F: Family>(task: &Task) -> Result<Answer> {
    match task.case.bytes() {
        8 => latency::run::<F::Small<1>>(task),
        64 => latency::run::<F::Small<8>>(task),
        1024 => latency::run::<F::Small<128>>(task),
        65_536 => latency::run::<F::Large<8192>>(task),
        other => bail!("there are no round trips of {other} bytes"),
    }
}
