//! Which cases are measured, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a case's messages are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Framing {
    /// A bytes queue of one message size, written in place.
    Fixed,
    /// A bytes queue of any message size, written in place.
    Variable,
    /// A typed queue of one message size: values serialised by rkyv, validated by bytecheck.
    Typed,
}

/// How many processes send and receive in an MPMC case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape {
    pub(super) producers: usize,
    pub(super) consumers: usize,
}

/// The maximum number of producers of a shape.
pub(super) const MAX_PRODUCERS: usize = 4;
const SHAPES: [Shape; 5] = [
    Shape { producers: 1, consumers: 1 },
    Shape { producers: 2, consumers: 1 },
    Shape { producers: 1, consumers: 2 },
    Shape { producers: 2, consumers: 2 },
    Shape { producers: MAX_PRODUCERS, consumers: 4 },
];

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Case {
    /// `None`: SPSC.
    pub(super) shape: Option<Shape>,
    pub(super) framing: Framing,
    pub(super) bytes: usize,
    /// Messages per commit; 1: one by one.
    pub(super) batch: usize,
}

impl Case {
    /// The name under which results are reported, such as `spsc/fixed/64/single` or `mpmc/2p2c/64/single`.
    pub(super) fn name(&self) -> String {
        let batch = if self.batch == 1 { "single" } else { "batch" };
        if let Some(Shape { producers, consumers }) = self.shape {
            return format!("mpmc/{producers}p{consumers}c/{}/{batch}", self.bytes);
        }
        let framing = match self.framing {
            Framing::Fixed => "fixed",
            Framing::Variable => "variable",
            Framing::Typed => "typed",
        };
        format!("spsc/{framing}/{}/{batch}", self.bytes)
    }
}

const SIZES: [usize; 5] = [8, 64, 256, 1024, 65_536];
const TYPED_SIZES: [usize; 2] = [64, 1024];
const MPMC_SIZES: [usize; 3] = [64, 256, 1024];
pub(super) const BATCH: usize = 32;
/// Fewer large messages fit into a ring.
const LARGE: usize = 16 * 1024;
const LARGE_BATCH: usize = 2;
const LATENCY_BYTES: usize = 64;

/// How long the benchmark may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scale {
    /// Seconds: checks whether everything works.
    Quick,
    /// Under a minute: reliable medians.
    Usual,
    /// Minutes: the published numbers.
    Full,
}

/// All measurements.
pub(super) struct Plan {
    pub(super) scale: Scale,
    pub(super) runs: u32,
    /// How long a producer sends in one run.
    pub(super) run_length: Duration,
    /// Round trips in one run.
    pub(super) round_trips: u64,
    pub(super) throughput: Vec<Case>,
    pub(super) latency: Vec<Case>,
    pub(super) recovery: Option<RecoveryPlan>,
}

/// The name of the recovery measurement among the cases.
pub(super) const RECOVERY: &str = "mpmc/recovery";

impl Plan {
    pub(super) fn new(scale: Scale, runs: u32, recovery_trials: Option<u64>, only: &str) -> Self {
        let chosen = |case: &Case| case.name().contains(only);
        let mut throughput = Vec::new();
        for bytes in SIZES {
            for framing in [Framing::Fixed, Framing::Variable, Framing::Typed] {
                if framing == Framing::Typed && !TYPED_SIZES.contains(&bytes) {
                    continue;
                }
                let batch = if bytes >= LARGE { LARGE_BATCH } else { BATCH };
                throughput.push(Case { shape: None, framing, bytes, batch: 1 });
                throughput.push(Case { shape: None, framing, bytes, batch });
            }
        }
        throughput.extend(mpmc_cases(scale));
        let latency = [Framing::Fixed, Framing::Variable]
            .map(|framing| Case { shape: None, framing, bytes: LATENCY_BYTES, batch: 1 })
            .into_iter()
            .filter(chosen)
            .collect();
        throughput.retain(chosen);
        let (run_millis, round_trips) = match scale {
            Scale::Quick => (25, 40_000),
            Scale::Usual => (50, 100_000),
            Scale::Full => (150, 200_000),
        };
        Self {
            scale,
            runs,
            run_length: Duration::from_millis(run_millis),
            round_trips,
            throughput,
            latency,
            recovery: (RECOVERY.contains(only) && recovery_trials != Some(0))
                .then(|| RecoveryPlan::new(scale, recovery_trials)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.throughput.is_empty() && self.latency.is_empty() && self.recovery.is_none()
    }

    /// The number of measurements.
    pub(super) fn steps(&self) -> u64 {
        let in_each_run = 2 + self.throughput.len() + self.latency.len();
        u64::from(self.runs) * in_each_run as u64 + u64::from(self.recovery.is_some())
    }
}

/// The number of trials of the recovery measurement.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RecoveryPlan {
    /// Kills of a participant between claim and commit.
    pub(super) claimers: Trials,
    /// Kills of a participant that holds a message.
    pub(super) holders: Trials,
    /// Kills of a claimer with much memory.
    pub(super) touched: Trials,
}

/// This many trials that count; fewer if they take longer than the limit, but at least one.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Trials {
    pub(super) count: u64,
    pub(super) limit: Duration,
}

impl RecoveryPlan {
    /// As many trials as requested; by default, as many as the scale has time for.
    fn new(scale: Scale, asked: Option<u64>) -> Self {
        let [claimers, holders, touched] = match scale {
            Scale::Quick => [(100, 4), (0, 0), (0, 0)],
            Scale::Usual => [(500, 10), (200, 4), (10, 4)],
            Scale::Full => [(10_000, 240), (1000, 30), (20, 30)],
        };
        let trials = |(count, seconds): (u64, u64)| {
            let count = asked.map_or(count, |asked| if count > 0 { asked.min(count) } else { 0 });
            Trials { count, limit: Duration::from_secs(seconds) }
        };
        let claimers = match asked {
            Some(count) => Trials { count, limit: Duration::from_secs(240) },
            None => trials(claimers),
        };
        Self { claimers, holders: trials(holders), touched: trials(touched) }
    }
}

/// An MPMC case.
fn mpmc_cases(scale: Scale) -> impl Iterator<Item = Case> {
    let is_measured = move |shape: Shape, bytes| {
        scale != Scale::Quick || bytes == MPMC_SIZES[0] || (bytes == MPMC_SIZES[1] && shape == SHAPES[3])
    };
    let sizes = MPMC_SIZES.into_iter().flat_map(|bytes| SHAPES.map(|shape| (shape, bytes)));
    sizes.filter(move |(shape, bytes)| is_measured(*shape, *bytes)).flat_map(|(shape, bytes)| {
        [1, BATCH].map(|batch| Case { shape: Some(shape), framing: Framing::Variable, bytes, batch })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_have_the_documented_names() {
        let plan = Plan::new(Scale::Usual, 5, None, "");
        let names: Vec<_> = plan.throughput.iter().map(Case::name).collect();
        for shape in ["1p1c", "2p1c", "1p2c", "2p2c", "4p4c"] {
            for bytes in MPMC_SIZES {
                for kind in ["single", "batch"] {
                    let name = format!("mpmc/{shape}/{bytes}/{kind}");
                    assert_eq!(names.iter().filter(|other| **other == name).count(), 1, "{name}");
                }
            }
        }
        for bytes in SIZES {
            for framing in ["fixed", "variable"] {
                for kind in ["single", "batch"] {
                    let name = format!("spsc/{framing}/{bytes}/{kind}");
                    assert_eq!(names.iter().filter(|other| **other == name).count(), 1, "{name}");
                }
            }
        }
    }

    #[test]
    fn a_filter_leaves_what_it_names() {
        let plan = Plan::new(Scale::Quick, 5, None, "variable/64/");
        assert!(plan.throughput.iter().all(|case| case.framing == Framing::Variable && case.bytes == 64));
        assert_eq!((plan.throughput.len(), plan.latency.len()), (2, 1));
        assert!(Plan::new(Scale::Quick, 5, None, "nothing like this").is_empty());
    }
}
