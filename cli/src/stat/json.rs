//! Prints a queue as JSON. Fields are added over time, none is renamed.

use ringway::Delivery;
use ringway::inspect::{
    Backlog, Boot, Counters, Cursors, FrameShape, Header, HeldFrame, Liveness, Participant, PendingPosition,
    QueueKind, SchemaHeader, Snapshot, Survival,
};
use serde::Serialize;

use super::Rates;
use super::human::most_held;
use crate::json_path::JsonPath;
use crate::text::{hex, nanoseconds, uuid};

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
    held: Vec<Held>,
    pending: Vec<Pending>,
    counters: Option<CountersJson>,
    /// The queue `<name>.dead`, if there is one.
    dead_letters: Option<DeadLetters>,
    locks: Locks,
    corruption: Vec<String>,
    rates: Option<RatesJson>,
}

/// The boot of the machine in which the queue was last used.
#[derive(Serialize)]
struct BootJson {
    id: Option<String>,
    /// `in_memory`, `unused`, `in_use`, `sealed`, `proven`, `unproven`, `unknown`.
    survival: &'static str,
    /// Messages that were dropped after a power loss.
    dropped: u64,
}

impl BootJson {
    fn new(boot: &Boot) -> Self {
        let survival = match boot.survival {
            Survival::InMemory => "in_memory",
            Survival::Unused => "unused",
            Survival::InUse => "in_use",
            Survival::Sealed => "sealed",
            Survival::Proven => "proven",
            Survival::Unproven => "unproven",
            _ => "unknown",
        };
        Self { id: boot.id.map(uuid), survival, dropped: boot.dropped }
    }
}

#[derive(Serialize)]
pub(crate) struct Schema {
    name: String,
    size: u64,
    align: u64,
    format: u64,
    fingerprint: Option<String>,
}

#[derive(Serialize)]
struct Geometry {
    framing: &'static str,
    message_bytes: Option<u64>,
    max_message: u64,
    align: u64,
    ring_bytes: u64,
    max_messages: Option<u64>,
    max_participants: Option<u64>,
    delivery: Option<&'static str>,
    max_redeliveries: Option<u32>,
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
struct CursorsJson {
    unit: &'static str,
    tail: u64,
    head: u64,
    released: Option<u64>,
    taken: Option<u64>,
    redelivered_until: Option<u64>,
    redelivery_count: Option<u64>,
}

#[derive(Serialize)]
struct BacklogJson {
    messages: Option<u64>,
    held: Option<u64>,
    redeliveries: u64,
    pending: u64,
    bytes: u64,
    used: u64,
    capacity: u64,
}

#[derive(Serialize)]
struct ParticipantJson {
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
}

#[derive(Serialize)]
struct Held {
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
struct Pending {
    position: u64,
    what: &'static str,
    entry: Option<usize>,
}

#[derive(Serialize)]
struct CountersJson {
    sent: u64,
    received: u64,
    redelivered: u64,
    rejected: u64,
    full: u64,
    recoveries: u64,
    deaths: u64,
    tombstones: u64,
    requeued: u64,
    recovery_failures: u64,
    recovery_errno: u64,
    dead_letters: u64,
    dead_letters_failed: u64,
    /// Why the last of them failed.
    dead_letter_failure: Option<LetterFailure>,
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
struct LetterFailure {
    reason: String,
    errno: Option<i32>,
    at_ns: u64,
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

pub(crate) fn kind(kind: QueueKind) -> &'static str {
    match kind {
        QueueKind::Spsc => "spsc",
        QueueKind::Mpmc => "mpmc",
    }
}

impl Schema {
    pub(crate) fn new(schema: &SchemaHeader) -> Self {
        Self {
            name: schema.name.clone(),
            size: schema.size,
            align: schema.align,
            format: schema.format,
            fingerprint: schema.fingerprint.map(|bytes| hex(&bytes)),
        }
    }
}

impl Geometry {
    fn new(header: &Header) -> Self {
        let (framing, message_bytes) = match header.shape {
            FrameShape::Variable => ("variable", None),
            FrameShape::Fixed(len) => ("fixed", Some(len)),
        };
        Self {
            framing,
            message_bytes,
            max_message: header.max_message,
            align: header.align,
            ring_bytes: header.ring_bytes,
            max_messages: header.order.map(|order| order.max_messages),
            max_participants: header.order.map(|order| order.max_participants),
            delivery: header.order.map(|order| match order.delivery {
                Delivery::AtLeastOnce => "at-least-once",
                Delivery::AtMostOnce => "at-most-once",
            }),
            max_redeliveries: header.order.and_then(|order| order.max_redeliveries),
        }
    }
}

impl CursorsJson {
    fn new(snapshot: &Snapshot) -> Self {
        let unit = if super::rates::counts_bytes(snapshot) { "ring bytes" } else { "messages" };
        match snapshot.cursors {
            Cursors::Spsc { tail, head, released, taken, redelivered_until, redelivery_count, .. } => Self {
                unit,
                tail,
                head,
                released: Some(released),
                taken: Some(taken),
                redelivered_until: Some(redelivered_until),
                redelivery_count: Some(redelivery_count),
            },
            Cursors::Mpmc { tail, head, .. } => Self {
                unit,
                tail,
                head,
                released: None,
                taken: None,
                redelivered_until: None,
                redelivery_count: None,
            },
            _ => unreachable!("a kind of cursors that this version does not know"),
        }
    }
}

impl BacklogJson {
    fn new(backlog: &Backlog) -> Self {
        let Backlog { waiting, held, redeliveries, pending, bytes, used, capacity, .. } = *backlog;
        Self { messages: waiting, held, redeliveries, pending, bytes, used, capacity }
    }
}

impl ParticipantJson {
    fn new(one: &Participant) -> Self {
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
        }
    }
}

impl Held {
    fn new(snapshot: &Snapshot, frame: &HeldFrame, rates: Option<&Rates>) -> Self {
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
    fn new(one: &PendingPosition) -> Self {
        let what = if one.is_take { "taken, not yet marked" } else { "claimed, not yet committed" };
        Self { position: one.position, what, entry: one.entry }
    }
}

impl CountersJson {
    fn new(counters: &Counters) -> Self {
        Self {
            sent: counters.sent,
            received: counters.received,
            redelivered: counters.redelivered,
            rejected: counters.rejected,
            full: counters.full,
            recoveries: counters.recoveries,
            deaths: counters.deaths,
            tombstones: counters.tombstones,
            requeued: counters.requeued,
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
