//! BENCHMARKS.md's tables.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::groups::{self, Group, Row, size_name};
use super::table::remarks;
use crate::case::{Case, Limit};
use crate::measure::Scope;
use crate::record::{Record, readable};

/// Everything between these lines of a file is replaced.
const BEGIN: &str = "<!-- rivals -->";
const END: &str = "<!-- /rivals -->";

/// Writes tables, and plots as pictures, into the file; `plots` are paths as seen from here.
pub(crate) fn write(path: &Path, records: &[Record], plots: &[PathBuf]) -> Result<()> {
    let old = std::fs::read_to_string(path).unwrap_or_default();
    let text = insert(&old, &render(records, &links(path, plots)));
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// The file with these tables instead of those that it had.
fn insert(old: &str, tables: &str) -> String {
    let begin = old.find(BEGIN).map(|at| at + BEGIN.len());
    let end = old.find(END);
    match (begin, end) {
        (Some(begin), Some(end)) if begin <= end => format!("{}\n{tables}{}", &old[..begin], &old[end..]),
        _ => format!("{BEGIN}\n{tables}{END}\n"),
    }
}

/// The plots' names and their paths from the file's directory.
fn links(path: &Path, plots: &[PathBuf]) -> Vec<(String, String)> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let link = |plot: &PathBuf| {
        let name = plot.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        (name, plot.strip_prefix(directory).unwrap_or(plot).to_string_lossy().into_owned())
    };
    plots.iter().map(link).collect()
}

fn render(records: &[Record], plots: &[(String, String)]) -> String {
    let mut text = String::new();
    if let Some(machine) = records.iter().find_map(|record| record.machine.as_ref()) {
        text += &format!("Machine: {machine}.\n\n");
    }
    text += &limits(records);
    let groups = groups::of(records);
    text += &standing(&groups);
    for group in &groups {
        text += &section(group);
        for (name, link) in plots.iter().filter(|(name, _)| name.starts_with(&group.name.replace('/', "-"))) {
            let _ = writeln!(text, "![{name}]({link})\n");
        }
    }
    text += &crashes(records);
    text
}

fn limits(records: &[Record]) -> String {
    let limits = records.iter().filter(|record| record.scope == Scope::Limit && record.median.is_some());
    let mut rows = String::new();
    for record in limits {
        let (Some(median), Some(min), Some(max)) = (record.median, record.min, record.max) else { continue };
        let what = match record.case {
            Case::Limit(Limit::Pingpong) => "one cache line there and back, between two processes".to_owned(),
            Case::Limit(Limit::Stream) => {
                "lines of 64 bytes streamed through 1 MiB of shared memory, a second".to_owned()
            }
            Case::Limit(Limit::Memcpy { bytes }) => {
                format!("memcpy of {} within one core's memory, a second", size_name(bytes))
            }
            _ => continue,
        };
        let [median, min, max] = [median, min, max].map(|figure| readable(&record.unit, figure));
        let _ = writeln!(rows, "| {what} | {median} | {min} – {max} |");
    }
    if rows.is_empty() {
        rows
    } else {
        format!("### limits\n\n| limit | median | least – most |\n|---|---|---|\n{rows}\n")
    }
}

/// In which cases ringway is first, and how far it is from the best system where it is not.
fn standing(groups: &[Group<'_>]) -> String {
    let mut rows = String::new();
    for group in groups {
        for (index, size) in group.sizes.iter().enumerate() {
            for row in group.rows.iter().filter(|row| row.system == "ringway") {
                let Some(ours) = row.medians().nth(index).flatten() else { continue };
                let Some((rival, theirs)) = best_other(group, row.scope, index) else { continue };
                let ratio = if group.is_latency() { theirs / ours } else { ours / theirs };
                let mark = if ratio >= 1.0 { "" } else { "**" };
                let unit = if group.is_latency() { "ns" } else { "msg/s" };
                let [ours, theirs] = [ours, theirs].map(|figure| readable(unit, figure));
                let _ = writeln!(
                    rows,
                    "| {} | {} | {} | {ours} | {rival} {theirs} | {mark}{ratio:.2}{mark} |",
                    group.name,
                    size_name(*size),
                    row.scope.name()
                );
            }
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "### ringway beside the best of the others\n\nWithin each scope. A ratio above 1 means that ringway is first.\n\n\
         | case | size | scope | ringway | best other | ratio |\n|---|---|---|---|---|---|\n{rows}\n"
    )
}

fn best_other<'g>(group: &'g Group<'_>, scope: Scope, index: usize) -> Option<(&'g str, f64)> {
    let others = group.rows.iter().filter(|row| row.scope == scope && row.system != "ringway");
    let medians = others.filter_map(|row| Some((row.system, row.medians().nth(index)??)));
    let order = |one: &(&str, f64), other: &(&str, f64)| one.1.total_cmp(&other.1);
    if group.is_latency() { medians.min_by(order) } else { medians.max_by(order) }
}

fn section(group: &Group<'_>) -> String {
    let what = if group.is_latency() {
        "round trip, median (99th percentile) in ns"
    } else {
        "million messages a second, median (least – most)"
    };
    let mut text = format!("### {}\n\n| {what} |", group.name);
    group.sizes.iter().for_each(|size| text += &format!(" {} |", size_name(*size)));
    text += "\n|---|";
    group.sizes.iter().for_each(|_| text += "---|");
    text += "\n";
    let has_figures = |row: &&Row<'_>| row.medians().flatten().count() > 0;
    for row in group.rows.iter().filter(has_figures) {
        let _ = write!(text, "| {} |", row.label());
        for (index, record) in row.records.iter().enumerate() {
            let best = group.best(row.scope, index);
            let _ = write!(text, " {} |", record.map_or("–".into(), |record| cell(record, best)));
        }
        text += "\n";
    }
    text += "\n";
    text += &missing(group);
    text
}

fn cell(record: &Record, best: Option<f64>) -> String {
    let (Some(median), Some(min), Some(max)) = (record.median, record.min, record.max) else {
        return "–".into();
    };
    let mark = if best == Some(median) { "**" } else { "" };
    if record.unit == "ns" {
        let p99 = record.p99.map_or(String::new(), |p99| format!(" ({p99:.0})"));
        return format!("{mark}{median:.0}{mark}{p99}");
    }
    format!("{mark}{}{mark} ({} – {})", millions(median), millions(min), millions(max))
}

fn millions(figure: f64) -> String {
    let millions = figure / 1e6;
    match millions {
        100.0.. => format!("{millions:.0}"),
        1.0.. => format!("{millions:.1}"),
        0.01.. => format!("{millions:.3}"),
        _ => format!("{millions:.5}"),
    }
}

/// What has no figure, and why.
fn missing(group: &Group<'_>) -> String {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for row in &group.rows {
        for (record, size) in row.records.iter().zip(&group.sizes) {
            let Some(error) = record.and_then(|record| record.error.as_ref()) else { continue };
            let what = (format!("{}: {error}", row.label()), size_name(*size));
            match reasons.iter_mut().find(|(reason, _)| *reason == what.0) {
                Some((_, sizes)) => sizes.push(what.1),
                None => reasons.push((what.0, vec![what.1])),
            }
        }
    }
    let mut text = String::new();
    for (reason, sizes) in reasons {
        let all = sizes.len() == group.sizes.len();
        let sizes = if all { String::new() } else { format!(" ({})", sizes.join(", ")) };
        let _ = writeln!(text, "- {reason}{sizes}");
    }
    if text.is_empty() { text } else { format!("Without a figure:\n{text}\n") }
}

fn crashes(records: &[Record]) -> String {
    let mut text = String::new();
    let crashes: Vec<_> = records.iter().filter(|record| matches!(record.case, Case::Crash(_))).collect();
    let mut cases: Vec<_> = crashes.iter().map(|record| record.case).collect();
    cases.dedup();
    for case in cases {
        let _ = write!(
            text,
            "### {case}\n\n| system | outcome | until the next message: median (least – most) | remarks |\n|---|---|---|---|\n"
        );
        for record in crashes.iter().filter(|record| record.case == case) {
            let time = match (record.median, record.min, record.max) {
                (Some(median), Some(min), Some(max)) => {
                    let [median, min, max] = [median, min, max].map(|figure| readable("ns", figure));
                    format!("{median} ({min} – {max})")
                }
                _ => "–".into(),
            };
            let outcome = record.outcome.as_deref().unwrap_or("not measured");
            let _ = writeln!(text, "| {} | {outcome} | {time} | {} |", record.system, remarks(record));
        }
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Toll;

    fn records() -> Vec<Record> {
        let figures = |case: &str, system, scope, figures: &[f64]| {
            Record::figures(case.parse().unwrap(), system, scope, figures)
        };
        let toll = Toll { trials: 4, stuck: 1, times_ns: vec![5e5; 3], ..Toll::default() };
        let mut limit = figures("limit/pingpong", "pingpong", Scope::Limit, &[213.0]);
        limit.machine = Some("two cores".into());
        vec![
            limit,
            figures("spsc/64/single", "ringway", Scope::Processes, &[60e6, 61e6, 62e6]),
            figures("spsc/64/single", "pipe", Scope::Processes, &[1e6]),
            Record::error("spsc/64/single".parse().unwrap(), "shaq", Scope::Processes, "does not build"),
            Record::toll("crash/producer".parse().unwrap(), "shaq", Scope::Processes, &toll),
        ]
    }

    #[test]
    fn all_is_told() {
        let text = render(&records(), &[("spsc-single".into(), "plots/spsc-single.svg".into())]);
        for part in [
            "Machine: two cores.",
            "213 ns",
            "| spsc/single | 64 B | processes | 61.0 M/s | pipe 1.00 M/s | 61.00 |",
            "| ringway | **61.0** (60.0 – 62.0) |",
            "- shaq: does not build",
            "![spsc-single](plots/spsc-single.svg)",
            "| shaq | stuck | 500 µs (500 µs – 500 µs) | stuck in 1 of 4 trials |",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn only_what_lies_between_the_marks_is_replaced() {
        assert_eq!(insert("", "new\n"), format!("{BEGIN}\nnew\n{END}\n"));
        let old = format!("# Title\n{BEGIN}\nold\n{END}\nthe reading\n");
        assert_eq!(insert(&old, "new\n"), format!("# Title\n{BEGIN}\nnew\n{END}\nthe reading\n"));
    }
}
