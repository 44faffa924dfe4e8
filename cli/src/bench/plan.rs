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

/// One thing to measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Case {
    pub(super) framing: Framing,
    pub(super) bytes: usize,
    /// Messages per commit; 1: one by one.
    pub(super) batch: usize,
}

impl Case {
    /// The name under which results are reported, such as `spsc/fixed/64/single`.
    pub(super) fn name(&self) -> String {
        let framing = match self.framing {
            Framing::Fixed => "fixed",
            Framing::Variable => "variable",
            Framing::Typed => "typed",
        };
        format!("spsc/{framing}/{}/{}", self.bytes, if self.batch == 1 { "single" } else { "batch" })
    }
}

const SIZES: [usize; 5] = [8, 64, 256, 1024, 65_536];
const TYPED_SIZES: [usize; 2] = [64, 1024];
const BATCH: usize = 32;
/// Of large messages fewer fit into a ring.
const LARGE: usize = 16 * 1024;
const LARGE_BATCH: usize = 2;
const LATENCY_BYTES: usize = 64;

/// All that is to be measured.
pub(super) struct Plan {
    pub(super) runs: u32,
    /// How long a producer sends in one run.
    pub(super) run_length: Duration,
    /// Round trips in one run.
    pub(super) round_trips: u64,
    pub(super) throughput: Vec<Case>,
    pub(super) latency: Vec<Case>,
}

impl Plan {
    pub(super) fn new(quick: bool, runs: u32, only: &str) -> Self {
        let chosen = |case: &Case| case.name().contains(only);
        let mut throughput = Vec::new();
        for bytes in SIZES {
            for framing in [Framing::Fixed, Framing::Variable, Framing::Typed] {
                if framing == Framing::Typed && !TYPED_SIZES.contains(&bytes) {
                    continue;
                }
                let batch = if bytes >= LARGE { LARGE_BATCH } else { BATCH };
                throughput.push(Case { framing, bytes, batch: 1 });
                throughput.push(Case { framing, bytes, batch });
            }
        }
        let latency = [Framing::Fixed, Framing::Variable]
            .map(|framing| Case { framing, bytes: LATENCY_BYTES, batch: 1 })
            .into_iter()
            .filter(chosen)
            .collect();
        throughput.retain(chosen);
        Self {
            runs,
            run_length: Duration::from_millis(if quick { 25 } else { 150 }),
            round_trips: if quick { 40_000 } else { 200_000 },
            throughput,
            latency,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.throughput.is_empty() && self.latency.is_empty()
    }

    /// How many measurements there are.
    pub(super) fn steps(&self) -> u64 {
        u64::from(self.runs) * (2 + self.throughput.len() + self.latency.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_have_the_documented_names() {
        let plan = Plan::new(true, 5, "");
        let names: Vec<_> = plan.throughput.iter().map(Case::name).collect();
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
        let plan = Plan::new(true, 5, "variable/64/");
        assert!(plan.throughput.iter().all(|case| case.framing == Framing::Variable && case.bytes == 64));
        assert_eq!((plan.throughput.len(), plan.latency.len()), (2, 1));
        assert!(Plan::new(true, 5, "nothing like this").is_empty());
    }
}
