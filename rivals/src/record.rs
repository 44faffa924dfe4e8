//! Results as they are written and read: a line of JSON each.

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::measure::{Scope, Toll};

/// The result of one case for one system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) case: Case,
    pub(crate) system: String,
    pub(crate) scope: Scope,
    pub(crate) unit: String,
    /// Of the runs; none if there is an error.
    pub(crate) median: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) runs: usize,
    /// The way of waiting that was best.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) way: Option<String>,
    /// Round trips: the median of the runs' 99th percentiles.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) p99: Option<f64>,
    /// Crashes: `goes on`, `stuck`, `lost` or `torn`, the worst that happened ...
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) outcome: Option<String>,
    /// ... and how many times each happened.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
    pub(crate) toll: Option<Counts>,
    /// Why there is no figure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) error: Option<String>,
    /// Further remarks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) note: Option<String>,
    /// The machine of the run, in one of the records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) machine: Option<String>,
}

/// Of a crash case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) trials: usize,
    pub(crate) stuck: usize,
    pub(crate) torn: usize,
    pub(crate) lost: usize,
    pub(crate) lost_messages: u64,
    pub(crate) again: u64,
}

impl Record {
    fn empty(case: Case, system: &str, scope: Scope) -> Self {
        Self {
            case,
            system: system.to_owned(),
            scope,
            unit: case.unit().to_owned(),
            median: None,
            min: None,
            max: None,
            runs: 0,
            way: None,
            p99: None,
            outcome: None,
            toll: None,
            error: None,
            note: None,
            machine: None,
        }
    }

    pub(crate) fn error(case: Case, system: &str, scope: Scope, error: &str) -> Self {
        Self { error: Some(error.to_owned()), ..Self::empty(case, system, scope) }
    }

    /// Of the figures of at least one run.
    pub(crate) fn figures(case: Case, system: &str, scope: Scope, figures: &[f64]) -> Self {
        let mut record = Self::empty(case, system, scope);
        record.set(figures);
        record.runs = figures.len();
        record
    }

    pub(crate) fn toll(case: Case, system: &str, scope: Scope, toll: &Toll) -> Self {
        let mut record = Self::empty(case, system, scope);
        record.set(&toll.times_ns);
        record.runs = toll.trials;
        record.outcome = Some(toll.outcome().to_owned());
        record.toll = Some(Counts {
            trials: toll.trials,
            stuck: toll.stuck,
            torn: toll.torn,
            lost: toll.lost,
            lost_messages: toll.lost_messages,
            again: toll.again,
        });
        record.note = toll.last_words.as_ref().map(|words| format!("a survivor ended: {words}"));
        record
    }

    fn set(&mut self, figures: &[f64]) {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        self.min = sorted.first().copied();
        self.max = sorted.last().copied();
        self.median = median(&sorted);
    }
}

/// Of sorted figures.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        Some(sorted[middle])
    } else {
        Some((sorted.get(middle.checked_sub(1)?)? + sorted[middle]) / 2.0)
    }
}

/// A figure in human-readable form: millions of messages, or nanoseconds and more.
pub(crate) fn readable(unit: &str, figure: f64) -> String {
    let (scaled, unit) = match unit {
        "msg/s" if figure >= 1e6 => (figure / 1e6, "M/s"),
        "msg/s" if figure >= 1e3 => (figure / 1e3, "k/s"),
        "msg/s" => (figure, "/s"),
        _ if figure >= 1e6 => (figure / 1e6, "ms"),
        _ if figure >= 1e4 => (figure / 1e3, "µs"),
        _ => (figure, "ns"),
    };
    let digits = match scaled {
        100.0.. => 0,
        10.0.. => 1,
        _ if unit == "ns" => 0,
        _ => 2,
    };
    format!("{scaled:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_up() {
        let case: Case = "spsc/64/single".parse().unwrap();
        let record = Record::figures(case, "pipe", Scope::Processes, &[3e6, 1e6, 2e6, 9e6]);
        assert_eq!(
            (record.median, record.min, record.max, record.runs),
            (Some(2.5e6), Some(1e6), Some(9e6), 4)
        );
        let line = serde_json::to_string(&record).unwrap();
        let start = r#"{"case":"spsc/64/single","system":"pipe","scope":"processes","unit":"msg/s","median":2500000.0,"#;
        assert!(line.starts_with(start), "{line}");
        assert!(!line.contains("error") && !line.contains("trials"), "{line}");
        let back: Record = serde_json::from_str(&line).unwrap();
        assert_eq!((back.case, back.median, back.toll), (case, record.median, None));
    }

    #[test]
    fn what_could_not_be_measured_says_why() {
        let case: Case = "crash/producer".parse().unwrap();
        let record = Record::error(case, "rtrb", Scope::Threads, "threads of one process die together");
        let line = serde_json::to_string(&record).unwrap();
        assert!(line.contains(r#""median":null"#) && line.contains(r#""error":"threads of"#), "{line}");
        let toll = Toll {
            trials: 3,
            stuck: 1,
            lost: 1,
            lost_messages: 7,
            times_ns: vec![5.0, 4.0],
            ..Toll::default()
        };
        let record = Record::toll(case, "shaq", Scope::Processes, &toll);
        assert_eq!((record.outcome.as_deref(), record.median), (Some("stuck"), Some(4.5)));
        let back: Record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        assert_eq!(back.toll, record.toll);
    }

    #[test]
    fn figures_are_readable() {
        let all = [
            ("msg/s", 123_456_789.0, "123 M/s"),
            ("msg/s", 1.5e6, "1.50 M/s"),
            ("msg/s", 5600.0, "5.60 k/s"),
        ];
        for (unit, figure, text) in
            all.into_iter().chain([("ns", 213.4, "213 ns"), ("ns", 64_000.0, "64.0 µs")])
        {
            assert_eq!(readable(unit, figure), text);
        }
    }
}
