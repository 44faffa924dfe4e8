//! Measures how long other participants are blocked when a participant of an MPMC queue is killed.
//!
//! The survivor sends a message to itself and receives until it arrives, repeatedly. Meanwhile, on
//! the other core, a victim claims positions in the queue's order, or holds a message. The survivor
//! kills the victim and measures the time.

mod survivor;
mod victim;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::plan::{RecoveryPlan, Trials};
use super::process;
use super::task::{Task, Victim};
use survivor::Survivor;
pub(super) use victim::work_until_killed;

/// The result.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Recovery {
    /// From the kill of a participant that had claimed positions and not committed all of them, to
    /// the first message after them.
    pub(super) p50_ns: u64,
    pub(super) p99_ns: u64,
    pub(super) max_ns: u64,
    pub(super) trials: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) aside: Option<Aside>,
}

/// The results that the quick measurement leaves out.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Aside {
    /// From the kill of a consumer until another consumer gets the message that the first one held.
    pub(super) holder_p50_ns: u64,
    pub(super) holder_p99_ns: u64,
    pub(super) holder_max_ns: u64,
    pub(super) holder_trials: u64,
    /// As `p50_ns`, for a dead participant with much memory, which the kernel frees first.
    pub(super) touched_256mib_p50_ns: u64,
    pub(super) touched_256mib_trials: u64,
}

/// The survivor's process.
pub(super) fn work(task: &Task, plan: &RecoveryPlan) -> Result<()> {
    let mut survivor = Survivor::new(task)?;
    process::ready()?;
    let claimers = repeat(plan.claimers, || survivor.kill_claimer(Victim::Claimer))?;
    let aside = if plan.holders.count > 0 {
        let touched = repeat(plan.touched, || survivor.kill_claimer(Victim::ClaimerOfMuchMemory))?;
        let holders = repeat(plan.holders, || survivor.kill_holder().map(Some))?;
        Some(Aside {
            holder_p50_ns: quantile(&holders, 0.5),
            holder_p99_ns: quantile(&holders, 0.99),
            holder_max_ns: quantile(&holders, 1.0),
            holder_trials: holders.len() as u64,
            touched_256mib_p50_ns: quantile(&touched, 0.5),
            touched_256mib_trials: touched.len() as u64,
        })
    } else {
        None
    };
    process::answer(&Recovery {
        p50_ns: quantile(&claimers, 0.5),
        p99_ns: quantile(&claimers, 0.99),
        max_ns: quantile(&claimers, 1.0),
        trials: claimers.len() as u64,
        aside,
    })
}

/// The results of trials that count, sorted.
fn repeat(trials: Trials, mut trial: impl FnMut() -> Result<Option<Duration>>) -> Result<Vec<u64>> {
    let Trials { count, limit } = trials;
    let start = Instant::now();
    let mut results = Vec::new();
    while results.is_empty() || ((results.len() as u64) < count && start.elapsed() < limit) {
        ensure!(start.elapsed() < 10 * limit, "no kill hit a participant between claim and commit");
        results.extend(trial()?.map(|result| result.as_nanos() as u64));
    }
    results.sort_unstable();
    Ok(results)
}

fn quantile(sorted: &[u64], quantile: f64) -> u64 {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|q| quantile(&hundred, q)), [1, 50, 99, 100]);
        assert_eq!([0.5, 0.99].map(|q| quantile(&[7], q)), [7, 7]);
    }
}
