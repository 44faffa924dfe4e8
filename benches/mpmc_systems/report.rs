//! Tables and JSON.

use super::{Contestant, Family};
use crate::common::statistics::Spread;

/// A contestant's figures.
struct Row {
    name: &'static str,
    family: Family,
    /// Messages a second.
    rate: Spread,
}

/// All figures of a case.
pub(crate) struct Case {
    name: String,
    capacity: usize,
    rows: Vec<Row>,
}

impl Case {
    pub(crate) fn new(name: String, capacity: usize, contestants: &[Contestant], rates: &[Vec<f64>]) -> Self {
        let row = |(contestant, rates): (&Contestant, &Vec<f64>)| Row {
            name: contestant.name,
            family: contestant.family,
            rate: Spread::of(rates),
        };
        Self { name, capacity, rows: contestants.iter().zip(rates).map(row).collect() }
    }

    /// The best median of a rival, whose ways of waiting compete.
    fn best(&self, family: Family) -> Option<f64> {
        let of_family = self.rows.iter().filter(|row| row.family == family);
        of_family.map(|row| row.rate.median).max_by(f64::total_cmp)
    }

    /// The median of the row of this name.
    fn median(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.name == name).map(|row| row.rate.median)
    }

    /// What a row is compared with: names and medians.
    fn yardsticks(&self, row: &Row) -> Vec<(&'static str, f64)> {
        let with = |name, median: Option<f64>| median.map(|median| (name, median));
        let floor = with("floor", self.best(Family::Floor));
        let array_queue = with("array_queue", self.best(Family::ArrayQueue));
        let kanal = with("kanal", self.best(Family::Kanal));
        let no_idle = row.name.strip_suffix("64_idle").map(|start| format!("{start}no_idle"));
        let no_idle = no_idle.and_then(|name| with("no_idle", self.median(&name)));
        let all = match row.family {
            Family::Ringway => [array_queue, kanal, floor, no_idle],
            Family::ArrayQueue | Family::Kanal => [floor, None, None, None],
            Family::Floor => [None; 4],
        };
        all.into_iter().flatten().collect()
    }

    pub(crate) fn print(&self) {
        println!("\n{}, {} messages", self.name, self.capacity);
        for row in &self.rows {
            let Spread { median, min, max } = row.rate;
            print!("  {:26} {:7.1} [{:7.1} - {:7.1}]", row.name, median / 1e6, min / 1e6, max / 1e6);
            for (name, yardstick) in self.yardsticks(row) {
                print!("  {:5.2}x {name}", median / yardstick);
            }
            println!();
        }
    }

    pub(crate) fn to_json(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(|row| self.row_to_json(row)).collect();
        let Self { name, capacity, .. } = self;
        format!(r#"{{"name":"{name}","capacity":{capacity},"systems":[{}]}}"#, rows.join(","))
    }

    fn row_to_json(&self, row: &Row) -> String {
        let Spread { median, min, max } = row.rate;
        let ratios = self.yardsticks(row).into_iter();
        let ratios: Vec<_> =
            ratios.map(|(name, other)| format!(r#""{name}":{:.3}"#, median / other)).collect();
        format!(
            r#"{{"name":"{}","msgs_per_s":{{"median":{median:.0},"min":{min:.0},"max":{max:.0}}},"ratio_to":{{{}}}}}"#,
            row.name,
            ratios.join(",")
        )
    }
}
