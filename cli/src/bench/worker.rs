//! A worker process: reads its task and does it.

use anyhow::{Context, Result};

use super::task::{Task, Work};
use super::{latency, limits, many, process, recovery, throughput};

/// One side of one measurement, in a process of its own.
pub(crate) fn work(task: &str) -> Result<()> {
    let task: Task = serde_json::from_str(task).context("reading the task")?;
    process::prepare_worker(task.core())?;
    match &task.work {
        Work::Throughput { case, length } => throughput::work(&task, case, *length),
        Work::Many { case, length } => many::work(&task, case, *length),
        Work::Latency { case, round_trips } => latency::work(&task, case, *round_trips),
        Work::Pingpong { round_trips } => limits::work_pingpong(&task, *round_trips),
        Work::Stream { length } => limits::work_stream(&task, *length),
        Work::Recovery(plan) => recovery::work(&task, plan),
        Work::Victim(victim) => recovery::work_until_killed(&task, *victim),
    }
}
