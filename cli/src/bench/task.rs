//! The tasks of worker processes: types alone, shared by the code that plans, starts and does the
//! work.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{Case, RecoveryPlan};

/// The role of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Producer,
    Consumer,
}

/// The work of a worker.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) role: Role,
    /// The worker's index among those with its role.
    pub(super) index: usize,
    /// The cores of producers and consumers.
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
    /// One producer and one consumer with this work.
    pub(super) fn pair(cores: [usize; 2], paths: &[PathBuf], work: &Work) -> Vec<Self> {
        Self::workers(cores, paths, work, 1, 1)
    }

    /// `producers` producers, then `consumers` consumers, with this work.
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

/// What a process does until it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Victim {
    /// Sends, as fast as it can.
    Claimer,
    /// Sends too, but ends slowly: the kernel frees its memory before it releases the liveness
    /// lock.
    ClaimerOfMuchMemory,
    /// Holds a message.
    Holder,
}
