//! Medians over runs, percentiles within a run.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Median and extremes of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// # Panics
    /// If there are no runs.
    pub(super) fn of(runs: &[f64]) -> Self {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self { median: median(&sorted), min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// Percentiles of one run's round trips, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Percentiles {
    pub(super) p50_ns: u64,
    pub(super) p90_ns: u64,
    pub(super) p99_ns: u64,
    pub(super) p999_ns: u64,
    pub(super) max_ns: u64,
}

impl Percentiles {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: histogram.max(),
        }
    }

    /// The median of each percentile over the runs; of the maxima, the largest.
    pub(super) fn median_of(runs: &[Self]) -> Self {
        let over = |field: fn(&Self) -> u64| {
            let mut values: Vec<u64> = runs.iter().map(field).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        Self {
            p50_ns: over(|run| run.p50_ns),
            p90_ns: over(|run| run.p90_ns),
            p99_ns: over(|run| run.p99_ns),
            p999_ns: over(|run| run.p999_ns),
            max_ns: runs.iter().map(|run| run.max_ns).max().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0]).median, 2.5);
    }

    #[test]
    fn percentiles_are_taken_over_runs() {
        let run = |base| Percentiles {
            p50_ns: base,
            p90_ns: base + 1,
            p99_ns: base + 2,
            p999_ns: base + 3,
            max_ns: base * 10,
        };
        let all = Percentiles::median_of(&[run(5), run(900), run(7)]);
        assert_eq!(all, Percentiles { p50_ns: 7, p90_ns: 8, p99_ns: 9, p999_ns: 10, max_ns: 9000 });
    }
}
