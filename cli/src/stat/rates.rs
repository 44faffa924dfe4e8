//! What two snapshots of a queue show that one does not: rates, and how long frames have been held
//! at least.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ringway::inspect::{FrameShape, Progress, QueueKind, Snapshot};

/// The rates of a queue over the time between two snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    pub(crate) over: Duration,
    /// Per second: messages, or bytes of the ring.
    pub(crate) sent: f64,
    pub(crate) taken: f64,
    /// SPSC queues with messages of any size count bytes, not messages.
    pub(crate) is_bytes: bool,
    /// How long each position has been held at least, and by which entry.
    pub(crate) held: HashMap<(u64, usize), Duration>,
}

/// Keeps the previous snapshot.
#[derive(Default)]
pub(crate) struct Tracker {
    before: Option<Progress>,
    /// When a position was first seen held by that entry.
    held: HashMap<(u64, usize), Instant>,
}

impl Tracker {
    /// Records a snapshot; returns `None` for the first one.
    pub(crate) fn note(&mut self, snapshot: &Snapshot, now: &Progress) -> Option<Rates> {
        let seen = snapshot.held.iter().map(|frame| (frame.position, frame.entry));
        self.held = seen.map(|key| (key, self.held.get(&key).copied().unwrap_or(now.at))).collect();
        let before = self.before.replace(*now)?;
        let over = now.at.duration_since(before.at);
        let seconds = over.as_secs_f64().max(1e-9);
        let per_second = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Some(Rates {
            over,
            sent: per_second(now.sent, before.sent),
            taken: per_second(now.taken, before.taken),
            is_bytes: counts_bytes(snapshot),
            held: self.held.iter().map(|(key, since)| (*key, now.at.duration_since(*since))).collect(),
        })
    }
}

/// Whether positions are bytes of the ring and not messages.
pub(crate) fn counts_bytes(snapshot: &Snapshot) -> bool {
    let header = &snapshot.header;
    header.kind == QueueKind::Spsc && header.shape == FrameShape::Variable
}
