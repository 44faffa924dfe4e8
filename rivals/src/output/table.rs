//! A table of a case, for a terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::case::Case;
use crate::record::{Counts, Record, readable};

pub(crate) fn print(case: Case, records: &[Record]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([&case.to_string(), "scope", "median", "least", "most", "remarks"]);
    for record in sorted(records) {
        let figure = |figure: Option<f64>| figure.map_or("-".into(), |figure| readable(&record.unit, figure));
        let scope = record.scope.name().to_owned();
        let figures = [record.median, record.min, record.max].map(figure);
        let [median, least, most] = figures;
        table.add_row([record.system.clone(), scope, median, least, most, remarks(record)]);
    }
    for index in 2..5 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}\n");
}

/// The best first, then what has no figure.
pub(crate) fn sorted(records: &[Record]) -> Vec<&Record> {
    let mut sorted: Vec<_> = records.iter().collect();
    let key = |record: &Record| match record.median {
        Some(median) if record.unit == "ns" => median,
        Some(median) => -median,
        None => f64::INFINITY,
    };
    sorted.sort_by(|one, other| key(one).total_cmp(&key(other)));
    sorted
}

/// What a figure alone does not show.
pub(crate) fn remarks(record: &Record) -> String {
    let mut remarks = Vec::new();
    remarks.extend(record.toll.as_ref().map(count));
    remarks.extend(record.way.iter().map(|way| format!("waits: {way}")));
    remarks.extend(record.p99.map(|p99| format!("p99 {}", readable("ns", p99))));
    remarks.extend(record.error.iter().cloned());
    remarks.extend(record.note.iter().cloned());
    remarks.join("; ")
}

/// How many times each event happened.
fn count(counts: &Counts) -> String {
    let often = [(counts.stuck, "stuck in"), (counts.torn, "torn in"), (counts.lost, "lost something in")];
    let often: Vec<_> = often.iter().filter(|(times, _)| *times > 0).collect();
    let often: Vec<_> = often.iter().map(|(times, what)| format!("{what} {times}")).collect();
    let mut text = if often.is_empty() {
        format!("went on in all {} trials", counts.trials)
    } else {
        format!("{} of {} trials", often.join(", "), counts.trials)
    };
    for (number, what) in [(counts.lost_messages, "lost"), (counts.again, "came again")] {
        if number > 0 {
            text += &format!("; {number} messages {what}");
        }
    }
    text
}
