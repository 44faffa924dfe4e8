//! What a worker process is told to do: types alone, which everything that plans, starts or does
//! the work shares.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{Case, RecoveryPlan};

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
    /// Which of those with its role it is.
    pub(super) index: usize,
    /// Producers' and consumers'.
    pub(super) cores: [usize; 2],
    pub(super) paths: Vec<PathBuf>,
    pub(super) work: Work,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Work {
    Throughput { case: Case, length: Duration },
    Many { case: Case, length: Duration },
    Latency { case: Case, round_trips: u64 },
    Pingpong { round_trips: u64 },
    Stream { length: Duration },
    Recovery(RecoveryPlan),
    Victim(Victim),
}

impl Task {
    /// A producer and a consumer that do this.
    pub(super) fn pair(cores: [usize; 2], paths: &[PathBuf], work: &Work) -> Vec<Self> {
        Self::workers(cores, paths, work, 1, 1)
    }

    /// So many producers, then so many consumers, that do this.
    pub(super) fn workers(
        cores: [usize; 2],
        paths: &[PathBuf],
        work: &Work,
        producers: usize,
        consumers: usize,
    ) -> Vec<Self> {
        let task = |role, index| Self { role, index, cores, paths: paths.to_vec(), work: work.clone() };
        let producers = (0..producers).map(|index| task(Role::Producer, index));
        producers.chain((0..consumers).map(|index| task(Role::Consumer, index))).collect()
    }

    pub(super) fn core(&self) -> usize {
        match self.role {
            Role::Producer => self.cores[0],
            Role::Consumer => self.cores[1],
        }
    }
}

/// What a process does that is going to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Victim {
    /// Sends, as much as it can.
    Claimer,
    /// The same, but ends slowly: the kernel takes its memory from it before it gives up its lease.
    ClaimerOfMuchMemory,
    /// Holds a message.
    Holder,
}
