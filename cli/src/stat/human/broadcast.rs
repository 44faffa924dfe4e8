//! What only a broadcast queue has: what is retained, for whom, and where each consumer stands.

use std::io::Write;

use anyhow::Result;
use ringway::broadcast::ConsumerMode;
use ringway::inspect::{Counters, Participant, Snapshot};

use super::{liveness, or_unknown, process, say_rows};
use crate::output::{Paint, Rows, say};
use crate::text::{ago, bytes, count};

/// `reliable`, `lossy`, `in_place`.
pub(crate) fn mode(mode: ConsumerMode) -> &'static str {
    match mode {
        ConsumerMode::Reliable => "reliable",
        ConsumerMode::Lossy => "lossy",
        ConsumerMode::LossyInPlace => "lossy_in_place",
        _ => "unknown",
    }
}

pub(super) fn show_backlog(
    out: &mut impl Write,
    paint: Paint,
    snapshot: &Snapshot,
    used: &str,
) -> Result<()> {
    let backlog = &snapshot.backlog;
    say!(
        out,
        "  backlog  {} retained, {} kept for consumers, {} uncommitted; {}, {used}",
        paint.bold(or_unknown(backlog.waiting)),
        count(backlog.used),
        count(backlog.pending),
        bytes(backlog.bytes)
    )?;
    match holder(snapshot) {
        Some(holder) => say!(out, "  floor    {holder}"),
        None => say!(out, "  floor    held by no consumer"),
    }
}

/// `held by the consumer in entry 9 (process 12), at position 5, 20 behind the newest message`.
pub(crate) fn holder(snapshot: &Snapshot) -> Option<String> {
    let one = snapshot.floor_holder()?;
    let reading = one.reading?;
    Some(format!(
        "held by the consumer in entry {} (process {}), at position {}, {} behind the newest message",
        one.entry,
        process(one),
        reading.holds_from?,
        count(lag_from(snapshot, reading.holds_from?))
    ))
}

/// How many positions there are from `position` on.
pub(crate) fn lag_from(snapshot: &Snapshot, position: u64) -> u64 {
    match snapshot.cursors {
        ringway::inspect::Cursors::Broadcast { tail, .. } => tail.saturating_sub(position),
        _ => 0,
    }
}

pub(super) fn show_counters(out: &mut impl Write, counters: &Counters) -> Result<()> {
    say!(
        out,
        "  counters sent {}, received {}, overwritten unread {}, rejected {}, no room {}",
        count(counters.sent),
        count(counters.received),
        count(counters.lagged),
        count(counters.rejected),
        count(counters.full)
    )?;
    say!(
        out,
        "           deaths {}, recoveries {}, tombstones {}",
        count(counters.deaths),
        count(counters.recoveries),
        count(counters.tombstones)
    )
}

pub(super) fn show_participants(out: &mut impl Write, paint: Paint, snapshot: &Snapshot) -> Result<()> {
    let header = [
        "entry",
        "role",
        "",
        "process",
        "mode",
        "next",
        "behind",
        "holds from",
        "missed",
        "sent",
        "received",
        "no room",
        "since",
    ];
    let mut rows = Rows::new(&header);
    for one in &snapshot.participants {
        rows.add(row(snapshot, one));
    }
    say_rows(out, paint, snapshot, &rows)
}

fn row(snapshot: &Snapshot, one: &Participant) -> [String; 13] {
    let none = || String::from("-");
    let (reads, next, lag, holds_from, missed) = match one.reading {
        None => (none(), none(), none(), none(), none()),
        Some(it) => (
            it.mode.map_or("?", mode).to_owned(),
            it.next.to_string(),
            count(it.lag),
            it.holds_from.map_or_else(none, |position| position.to_string()),
            count(it.lagged),
        ),
    };
    [
        one.entry.to_string(),
        one.role.to_string(),
        liveness(one).into(),
        process(one),
        reads,
        next,
        lag,
        holds_from,
        missed,
        count(one.sent),
        count(one.received),
        count(one.full),
        one.since.map_or("?".into(), |since| ago(since, snapshot.at)),
    ]
}
