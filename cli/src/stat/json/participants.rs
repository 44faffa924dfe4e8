//! Who takes part, and what each holds.

use ringway::inspect::{HeldFrame, Liveness, Participant, PendingPosition, Snapshot};
use serde::Serialize;

use crate::stat::Rates;
use crate::stat::human::{mode, most_held};
use crate::text::nanoseconds;

#[derive(Serialize)]
pub(super) struct ParticipantJson {
    entry: usize,
    role: String,
    liveness: &'static str,
    pid: u32,
    generation: u64,
    since_ns: Option<u64>,
    holds: u64,
    sent: u64,
    received: u64,
    redelivered: u64,
    full: u64,
    rejected: u64,
    claim_intent: Option<[u64; 2]>,
    take_intent: Option<[u64; 2]>,
    has_lane: bool,
    /// Consumers of a broadcast queue.
    reading: Option<ReadingJson>,
}

#[derive(Serialize)]
struct ReadingJson {
    mode: Option<&'static str>,
    next: u64,
    lag: u64,
    holds_from: Option<u64>,
    lagged: u64,
}

#[derive(Serialize)]
pub(super) struct Held {
    position: u64,
    entry: usize,
    redeliveries: u64,
    bytes: u64,
    /// Seconds. At least: since it was first seen held (with --interval); at most: since its holder
    /// attached.
    at_least_s: Option<f64>,
    at_most_s: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Pending {
    position: u64,
    what: &'static str,
    entry: Option<usize>,
}

impl ParticipantJson {
    pub(super) fn new(one: &Participant) -> Self {
        Self {
            entry: one.entry,
            role: one.role.to_string(),
            liveness: match one.liveness {
                Liveness::Alive => "alive",
                Liveness::Dead => "dead",
                Liveness::Gone => "gone",
            },
            pid: one.pid,
            generation: one.generation,
            since_ns: one.since.map(nanoseconds),
            holds: one.holds,
            sent: one.sent,
            received: one.received,
            redelivered: one.redelivered,
            full: one.full,
            rejected: one.rejected,
            claim_intent: one.claim_intent.as_ref().map(|range| [range.start, range.end]),
            take_intent: one.take_intent.as_ref().map(|range| [range.start, range.end]),
            has_lane: one.has_lane,
            reading: one.reading.map(|reading| ReadingJson {
                mode: reading.mode.map(mode),
                next: reading.next,
                lag: reading.lag,
                holds_from: reading.holds_from,
                lagged: reading.lagged,
            }),
        }
    }
}

impl Held {
    pub(super) fn new(snapshot: &Snapshot, frame: &HeldFrame, rates: Option<&Rates>) -> Self {
        let least = rates.and_then(|rates| rates.held.get(&(frame.position, frame.entry)));
        Self {
            position: frame.position,
            entry: frame.entry,
            redeliveries: frame.redeliveries,
            bytes: frame.len,
            at_least_s: least.map(|least| least.as_secs_f64()),
            at_most_s: most_held(snapshot, frame.entry).map(|most| most.as_secs_f64()),
        }
    }
}

impl Pending {
    pub(super) fn new(one: &PendingPosition) -> Self {
        let what = if one.is_take { "taken, not yet marked" } else { "claimed, not yet committed" };
        Self { position: one.position, what, entry: one.entry }
    }
}
