//! A table of a case, for a terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::case::Case;
use crate::record::{Record, readable};

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

/// What a figure alone does not say.
pub(crate) fn remarks(record: &Record) -> String {
    let mut remarks = Vec::new();
    if let (Some(outcome), Some(counts)) = (&record.outcome, &record.toll) {
        let mut what = Vec::new();
        let mut count = |number: usize, text: &str| {
            if number > 0 {
                what.push(format!("{text} {number}"));
            }
        };
        count(counts.stuck, "stuck");
        count(counts.torn, "torn");
        count(counts.lost, "lost something");
        let what = if what.is_empty() { String::new() } else { format!(": {} ", what.join(", ")) };
        remarks.push(format!("{outcome}{what} of {} trials", counts.trials).replace("  ", " "));
        if counts.lost_messages > 0 {
            remarks.push(format!("{} messages lost", counts.lost_messages));
        }
        if counts.again > 0 {
            remarks.push(format!("{} came again", counts.again));
        }
    }
    remarks.extend(record.way.iter().map(|way| format!("waits: {way}")));
    remarks.extend(record.p99.map(|p99| format!("p99 {}", readable("ns", p99))));
    remarks.extend(record.error.iter().cloned());
    remarks.extend(record.note.iter().cloned());
    remarks.join("; ")
}
