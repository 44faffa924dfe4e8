//! Prints a queue as JSON. Fields are added over time, none is renamed.

mod counters;
mod participants;
mod shape;

use ringway::inspect::Snapshot;
use serde::Serialize;

use super::Rates;
use crate::json_path::JsonPath;
use crate::text::{nanoseconds, uuid};
use counters::{BacklogJson, CountersJson, CursorsJson};
use participants::{Held, ParticipantJson, Pending};
use shape::{BootJson, Geometry};
pub(crate) use shape::{Schema, kind};

/// A queue at one moment.
#[derive(Serialize)]
pub(crate) struct Queue {
    #[serde(flatten)]
    path: JsonPath,
    kind: &'static str,
    /// Whether each message has a checksum.
    checksums: bool,
    uuid: String,
    version: u32,
    created_ns: Option<u64>,
    age_s: Option<f64>,
    unlinked: bool,
    closed: bool,
    /// No message waits, is held or is being sent.
    drained: bool,
    boot: BootJson,
    schema: Schema,
    geometry: Geometry,
    file: File,
    cursors: CursorsJson,
    backlog: BacklogJson,
    participants: Vec<ParticipantJson>,
    /// Broadcast: the registry entry of the consumer for which the oldest message is kept.
    floor_holder: Option<usize>,
    held: Vec<Held>,
    pending: Vec<Pending>,
    counters: Option<CountersJson>,
    /// The queue `<name>.dead`, if there is one.
    dead_letters: Option<DeadLetters>,
    locks: Locks,
    corruption: Vec<String>,
    rates: Option<RatesJson>,
}

#[derive(Serialize)]
struct File {
    bytes: u64,
    allocated_bytes: u64,
    needed_bytes: u64,
    mode: u32,
    uid: u32,
}

#[derive(Serialize)]
struct DeadLetters {
    #[serde(flatten)]
    path: JsonPath,
    messages: Option<u64>,
    /// How many come from earlier queues of the same name.
    of_earlier_queues: Option<u64>,
}

#[derive(Serialize)]
struct Locks {
    attach: bool,
    recovery: bool,
}

#[derive(Serialize)]
struct RatesJson {
    unit: &'static str,
    over_s: f64,
    sent_per_s: f64,
    taken_per_s: f64,
}

impl Queue {
    pub(crate) fn new(snapshot: &Snapshot, rates: Option<&Rates>) -> Self {
        let header = &snapshot.header;
        Self {
            path: snapshot.path.clone().into(),
            kind: kind(header.kind),
            checksums: header.has_checksums,
            uuid: uuid(header.uuid),
            version: header.version,
            created_ns: header.created.map(nanoseconds),
            age_s: snapshot.age().map(|age| age.as_secs_f64()),
            unlinked: snapshot.is_unlinked,
            closed: snapshot.is_closed,
            drained: snapshot.is_drained(),
            boot: BootJson::new(&snapshot.boot),
            schema: Schema::new(&header.schema),
            geometry: Geometry::new(header),
            file: File {
                bytes: snapshot.file.len,
                allocated_bytes: snapshot.file.allocated,
                needed_bytes: snapshot.file.needed,
                mode: snapshot.file.mode,
                uid: snapshot.file.uid,
            },
            cursors: CursorsJson::new(snapshot),
            backlog: BacklogJson::new(&snapshot.backlog),
            participants: snapshot.participants.iter().map(ParticipantJson::new).collect(),
            floor_holder: snapshot.floor_holder().map(|one| one.entry),
            held: snapshot.held.iter().map(|frame| Held::new(snapshot, frame, rates)).collect(),
            pending: snapshot.pending.iter().map(Pending::new).collect(),
            counters: snapshot.counters.as_ref().map(CountersJson::new),
            dead_letters: super::dead_letters(snapshot).map(|dead| DeadLetters {
                of_earlier_queues: super::letters_of_others(snapshot, &dead),
                messages: dead.backlog.waiting,
                path: dead.path.into(),
            }),
            locks: Locks { attach: snapshot.locks.attach, recovery: snapshot.locks.recovery },
            corruption: snapshot.corruption.iter().map(ToString::to_string).collect(),
            rates: rates.map(|rates| RatesJson {
                unit: if rates.is_bytes { "ring bytes" } else { "messages" },
                over_s: rates.over.as_secs_f64(),
                sent_per_s: rates.sent,
                taken_per_s: rates.taken,
            }),
        }
    }
}
