//! Prints queues in the text format of Prometheus (version 0.0.4): for a file of the node exporter,
//! or a small server.

use std::fmt::Write;

use ringway::inspect::{Counters, Liveness, Reading, Snapshot};
use ringway::{Role, inspect::Cursors};

use super::Rates;
use super::human::mode;
use super::json::kind;
use crate::escape::escape;

/// A metric: name, type, help, and its value for a queue, if the queue has one.
type Metric = (&'static str, &'static str, &'static str, fn(&Snapshot) -> Option<f64>);

const METRICS: &[Metric] = &[
    ("ringway_messages", "gauge", "Messages that wait for a consumer; broadcast: that are retained.", |it| {
        it.backlog.waiting.map(|n| n as f64)
    }),
    ("ringway_messages_held", "gauge", "Messages that consumers hold.", |it| {
        it.backlog.held.map(|n| n as f64)
    }),
    ("ringway_messages_to_redeliver", "gauge", "Waiting messages that were delivered before.", |it| {
        Some(it.backlog.redeliveries as f64)
    }),
    ("ringway_positions_pending", "gauge", "Positions claimed and not committed.", |it| {
        Some(it.backlog.pending as f64)
    }),
    ("ringway_backlog_bytes", "gauge", "Bytes of what waits or is held.", |it| Some(it.backlog.bytes as f64)),
    ("ringway_used_ratio", "gauge", "Fraction of the ring, or of the slots, that is in use.", |it| {
        Some(it.backlog.used as f64 / it.backlog.capacity.max(1) as f64)
    }),
    ("ringway_file_bytes", "gauge", "Bytes that the file takes up.", |it| Some(it.file.allocated as f64)),
    ("ringway_created_seconds", "gauge", "When the queue was created, since 1970.", |it| {
        it.header.created.map(|time| crate::text::nanoseconds(time) as f64 / 1e9)
    }),
    ("ringway_corrupted", "gauge", "1 if invalid values were found.", |it| {
        Some(f64::from(u8::from(!it.corruption.is_empty())))
    }),
    ("ringway_closed", "gauge", "1 if the queue was closed.", |it| Some(f64::from(u8::from(it.is_closed)))),
    ("ringway_tail_position", "counter", "Next position to write.", |it| match it.cursors {
        Cursors::Spsc { tail, .. } | Cursors::Mpmc { tail, .. } | Cursors::Broadcast { tail, .. } => {
            Some(tail as f64)
        }
        _ => None,
    }),
    ("ringway_taken_position", "counter", "Next position to take.", |it| match it.cursors {
        Cursors::Spsc { taken, .. } => Some(taken as f64),
        Cursors::Mpmc { head, .. } => Some(head as f64),
        _ => None,
    }),
    ("ringway_floor_position", "counter", "The oldest position that is retained.", |it| match it.cursors {
        Cursors::Broadcast { floor, .. } => Some(floor as f64),
        _ => None,
    }),
    (
        "ringway_lagged_total",
        "counter",
        "Positions overwritten before consumers came to them.",
        |it| match it.cursors {
            Cursors::Broadcast { .. } => counter(it, |of| of.lagged),
            _ => None,
        },
    ),
    ("ringway_sent_total", "counter", "Messages committed.", |it| counter(it, |of| of.sent)),
    ("ringway_received_total", "counter", "Messages delivered.", |it| counter(it, |of| of.received)),
    ("ringway_redelivered_total", "counter", "Messages delivered again.", |it| {
        counter(it, |of| of.redelivered)
    }),
    ("ringway_rejected_total", "counter", "Messages rejected.", |it| counter(it, |of| of.rejected)),
    ("ringway_full_total", "counter", "How often a producer found no room.", |it| counter(it, |of| of.full)),
    ("ringway_recoveries_total", "counter", "Recoveries that found a dead participant.", |it| {
        counter(it, |of| of.recoveries)
    }),
    ("ringway_deaths_total", "counter", "Participants that died.", |it| counter(it, |of| of.deaths)),
    (
        "ringway_tombstones_total",
        "counter",
        "Positions of producers that died before they committed.",
        |it| counter(it, |of| of.tombstones),
    ),
    (
        "ringway_recovery_failures_total",
        "counter",
        "Times that a participant could not look after a dead one.",
        |it| counter(it, |of| of.recovery_failures),
    ),
    ("ringway_returned_total", "counter", "Messages taken from dead consumers.", |it| {
        counter(it, |of| of.requeued)
    }),
    ("ringway_done_total", "counter", "Messages declared done.", |it| counter(it, |of| of.done)),
    ("ringway_unfinished", "gauge", "Messages not declared done.", |it| {
        it.backlog.unfinished.map(|count| count as f64)
    }),
    ("ringway_dead_letters_total", "counter", "Messages moved to the dead-letter queue.", |it| {
        counter(it, |of| of.dead_letters)
    }),
    ("ringway_dead_letters_failed_total", "counter", "Messages that should have been.", |it| {
        counter(it, |of| of.dead_letters_failed)
    }),
];

fn counter(snapshot: &Snapshot, which: fn(&Counters) -> u64) -> Option<f64> {
    snapshot.counters.as_ref().map(|counters| which(counters) as f64)
}

pub(super) fn text(samples: &[(Snapshot, Option<Rates>)]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (name, sort, help, value) in METRICS {
        let values: Vec<_> =
            samples.iter().filter_map(|(snapshot, _)| Some((snapshot, value(snapshot)?))).collect();
        if values.is_empty() {
            continue;
        }
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {sort}");
        for (snapshot, value) in values {
            let _ = writeln!(text, "{name}{{{}}} {value}", labels(snapshot));
        }
    }
    let name = "ringway_participants";
    let _ = writeln!(text, "# HELP {name} Producers and consumers.\n# TYPE {name} gauge");
    for (snapshot, _) in samples {
        for role in [Role::Producer, Role::Consumer] {
            for (liveness, label) in [(Liveness::Alive, "alive"), (Liveness::Dead, "dead")] {
                let is_it =
                    |one: &&ringway::inspect::Participant| one.role == role && one.liveness == liveness;
                let count = snapshot.participants.iter().filter(is_it).count();
                let labels = labels(snapshot);
                let _ = writeln!(text, "{name}{{{labels},role=\"{role}\",liveness=\"{label}\"}} {count}");
            }
        }
    }
    consumers(&mut text, samples);
    text
}

/// A value of a consumer of a broadcast queue, if it has one.
type ReadingMetric = (&'static str, &'static str, &'static str, fn(&Reading) -> Option<u64>);

const READING_METRICS: &[ReadingMetric] = &[
    ("ringway_consumer_lag", "gauge", "Positions that a consumer is behind the newest message.", |it| {
        Some(it.lag)
    }),
    ("ringway_consumer_holds_from", "gauge", "The oldest position that is kept for a consumer.", |it| {
        it.holds_from
    }),
    (
        "ringway_consumer_lagged_total",
        "counter",
        "Positions overwritten before a consumer came to them.",
        |it| Some(it.lagged),
    ),
];

/// The consumers of broadcast queues, one by one.
fn consumers(text: &mut String, samples: &[(Snapshot, Option<Rates>)]) {
    for (name, sort, help, value) in READING_METRICS {
        let mut is_first = true;
        for (snapshot, _) in samples {
            for one in &snapshot.participants {
                let Some((reading, value)) = one.reading.and_then(|it| Some((it, value(&it)?))) else {
                    continue;
                };
                if std::mem::take(&mut is_first) {
                    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {sort}");
                }
                let (labels, entry) = (labels(snapshot), one.entry);
                let mode = reading.mode.map_or("unknown", mode);
                let _ = writeln!(text, "{name}{{{labels},entry=\"{entry}\",mode=\"{mode}\"}} {value}");
            }
        }
    }
}

/// The labels that identify a queue.
fn labels(snapshot: &Snapshot) -> String {
    let path = snapshot.path.display().to_string();
    // Text that is escaped for terminals has backslashes, which this format escapes again.
    let path = escape(&path).replace('\\', "\\\\").replace('"', "\\\"");
    format!("queue=\"{path}\",kind=\"{}\"", kind(snapshot.header.kind))
}
