//! Cursors, backlog and counters.

use ringway::inspect::{Backlog, Counters, Cursors, Snapshot};
use serde::Serialize;

use crate::stat::rates::counts_bytes;
use crate::text::nanoseconds;

#[derive(Serialize)]
pub(super) struct CursorsJson {
    unit: &'static str,
    tail: u64,
    head: Option<u64>,
    floor: Option<u64>,
    free: Option<u64>,
    released: Option<u64>,
    taken: Option<u64>,
    redelivered_until: Option<u64>,
    redelivery_count: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct BacklogJson {
    messages: Option<u64>,
    held: Option<u64>,
    redeliveries: u64,
    pending: u64,
    unfinished: Option<u64>,
    bytes: u64,
    used: u64,
    capacity: u64,
}

impl CursorsJson {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let unit = if counts_bytes(snapshot) { "ring bytes" } else { "messages" };
        let empty = Self {
            unit,
            tail: 0,
            head: None,
            floor: None,
            free: None,
            released: None,
            taken: None,
            redelivered_until: None,
            redelivery_count: None,
        };
        match snapshot.cursors {
            Cursors::Spsc { tail, head, released, taken, redelivered_until, redelivery_count, .. } => Self {
                tail,
                head: Some(head),
                released: Some(released),
                taken: Some(taken),
                redelivered_until: Some(redelivered_until),
                redelivery_count: Some(redelivery_count),
                ..empty
            },
            Cursors::Mpmc { tail, head, .. } => Self { tail, head: Some(head), ..empty },
            Cursors::Broadcast { tail, floor, free, .. } => {
                Self { tail, floor: Some(floor), free: Some(free), ..empty }
            }
            _ => unreachable!("a kind of cursors that this version does not know"),
        }
    }
}

impl BacklogJson {
    pub(super) fn new(backlog: &Backlog) -> Self {
        let Backlog { waiting, held, redeliveries, pending, unfinished, bytes, used, capacity, .. } =
            *backlog;
        Self { messages: waiting, held, redeliveries, pending, unfinished, bytes, used, capacity }
    }
}

#[derive(Serialize)]
pub(super) struct CountersJson {
    sent: u64,
    received: u64,
    redelivered: u64,
    lagged: u64,
    rejected: u64,
    full: u64,
    recoveries: u64,
    deaths: u64,
    tombstones: u64,
    requeued: u64,
    done: u64,
    recovery_failures: u64,
    recovery_errno: u64,
    dead_letters: u64,
    dead_letters_failed: u64,
    /// Why the last of them failed.
    dead_letter_failure: Option<LetterFailure>,
}

#[derive(Serialize)]
struct LetterFailure {
    reason: String,
    errno: Option<i32>,
    at_ns: u64,
}

impl CountersJson {
    pub(super) fn new(counters: &Counters) -> Self {
        Self {
            sent: counters.sent,
            received: counters.received,
            redelivered: counters.redelivered,
            lagged: counters.lagged,
            rejected: counters.rejected,
            full: counters.full,
            recoveries: counters.recoveries,
            deaths: counters.deaths,
            tombstones: counters.tombstones,
            requeued: counters.requeued,
            done: counters.done,
            recovery_failures: counters.recovery_failures,
            recovery_errno: counters.recovery_errno,
            dead_letters: counters.dead_letters,
            dead_letters_failed: counters.dead_letters_failed,
            dead_letter_failure: counters.dead_letter_failure.map(|failure| LetterFailure {
                reason: failure.to_string(),
                errno: failure.errno,
                at_ns: nanoseconds(failure.at),
            }),
        }
    }
}
