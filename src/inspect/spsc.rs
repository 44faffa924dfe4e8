//! The ring of an SPSC queue, read by a process that is not attached.
//!
//! The reader's proof (`src/lane/mod.rs`) holds for every process that reads, as long as what it
//! reads is not released: the writer stores nothing at positions from `released` on that it has
//! committed. So `released` is loaded again after each read; what was read before that position may
//! have been anything.
//!
//! A walk that was overtaken may have followed payload bytes that it took for commit words. It is
//! recognised by this: `released` is where a frame begins. If the walk came to that position, then
//! it was right from there on, however it got there, because what it read there and after it had
//! not been released at that time.

use std::mem::offset_of;

use super::chain::chain;
use super::done::Done;
use super::header::QueueKind;
use super::snapshot::{Backlog, Cursors, cursors};
use super::source::Source;
use crate::error::{Corrupted, InspectError};
use crate::layout::{
    CURSORS_OFFSET, ConsumerWords, Cursors as SpscWords, ENTRY_CONSUMER, Framing, Geometry, LEAD,
    POSITION_LIMIT,
};
use crate::order_ring::LivenessProbe;
use crate::queue::KernelProbe;

/// The cursors of the queue, unpacked.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) tail: u64,
    pub(super) head: u64,
    pub(super) released: u64,
    pub(super) taken: u64,
    pub(super) redelivered: (u64, u64),
}

impl At {
    pub(super) fn read(source: &Source) -> Result<Self, InspectError> {
        match cursors(&source.head_page()?, QueueKind::Spsc) {
            Cursors::Spsc { tail, head, released, taken, redelivered_until, redelivery_count } => {
                Ok(Self { tail, head, released, taken, redelivered: (redelivered_until, redelivery_count) })
            }
            Cursors::Mpmc { .. } | Cursors::Broadcast { .. } => {
                unreachable!("asked for the cursors of the other kind")
            }
        }
    }
}

/// The end of the messages that were delivered to a live consumer. What a consumer held that died
/// or detached waits again. `end` is the end of what is committed.
pub(super) fn handed_out(source: &Source, at: At, end: u64) -> u64 {
    match KernelProbe::new(&source.file).is_alive(ENTRY_CONSUMER) {
        true => at.taken.clamp(at.released, end.max(at.released)),
        false => at.released,
    }
}

/// The consumer's `released`, now.
pub(super) fn released(source: &Source) -> Result<u64, InspectError> {
    let consumer = CURSORS_OFFSET + offset_of!(SpscWords, consumer);
    source.word((consumer + offset_of!(ConsumerWords, released)) as u64)
}

/// The offset in the file of payload byte `offset` of the ring.
pub(super) fn in_file(geometry: &Geometry, offset: u64) -> u64 {
    geometry.lane_offset + LEAD as u64 + offset
}

/// The cursors of a queue with messages of one size, and one of them that is invalid, if there is
/// one. Here `tail` itself commits, so that at any one moment
/// `head <= released <= taken <= tail <= released + slots`, and `redelivered_until <= tail`.
/// `released` and `tail` only grow. They are read twice, because they move meanwhile: a smaller one
/// that was read first is compared with a larger one that was read later.
pub(super) fn fixed_cursors(source: &Source) -> Result<(At, Option<Corrupted>), InspectError> {
    let (before, after) = (At::read(source)?, At::read(source)?);
    let geometry = &source.geometry;
    let found = [
        ("tail", after.tail, after.tail > POSITION_LIMIT.saturating_add(geometry.capacity)),
        ("tail", before.tail, before.tail > after.released.saturating_add(geometry.capacity)),
        ("released", before.released, before.released > after.tail),
        ("released", after.released, after.released < before.released),
        ("head", before.head, before.head > after.released),
        ("taken", before.taken, before.taken > after.tail),
        ("taken", after.taken, after.taken < before.released),
        ("redelivered_until", before.redelivered.0, before.redelivered.0 > after.tail),
    ];
    let wrong = found.into_iter().find(|(_, _, is_wrong)| *is_wrong);
    let corruption = wrong.map(|(word, found, _)| source.corrupted(word, after.tail, found));
    Ok((after, corruption))
}

/// What a scan of the ring finds.
pub(super) struct Found {
    pub(super) backlog: Backlog,
    pub(super) corruption: Vec<Corrupted>,
}

pub(super) fn scan(source: &Source) -> Result<Found, InspectError> {
    match source.geometry.framing {
        Framing::Fixed { len } => fixed(source, len),
        Framing::Variable => variable(source),
    }
}

fn fixed(source: &Source, len: u64) -> Result<Found, InspectError> {
    let (at, corruption) = fixed_cursors(source)?;
    let mut backlog = Backlog { capacity: source.geometry.capacity, ..Backlog::default() };
    if let Some(corruption) = corruption {
        return Ok(Found { backlog, corruption: vec![corruption] });
    }
    backlog.used = at.tail.saturating_sub(at.released);
    backlog.bytes = backlog.used.saturating_mul(len);
    // Positions count messages here, so that no frames need to be counted.
    let held_until = handed_out(source, at, at.tail);
    let done = Done::read(source, at)?;
    let count = |from: u64, to: u64| to.saturating_sub(from).saturating_sub(done.count(from, to));
    backlog.held = Some(count(at.released, held_until));
    backlog.waiting = Some(count(held_until, at.tail));
    backlog.redeliveries = count(held_until, at.taken.min(at.tail));
    Ok(Found { backlog, corruption: Vec::new() })
}

fn variable(source: &Source) -> Result<Found, InspectError> {
    let chain = chain(source)?;
    let mut backlog = Backlog { capacity: source.geometry.capacity, ..Backlog::default() };
    if chain.corruption.is_some() {
        return Ok(Found { backlog, corruption: chain.corruption.into_iter().collect() });
    }
    // If the walk did not reach the end, this is a lower bound.
    let end = if chain.is_whole { chain.end } else { chain.end.max(chain.at.tail) };
    backlog.used = end.saturating_sub(chain.at.released);
    backlog.bytes = backlog.used;
    if chain.is_whole {
        let held_until = handed_out(source, chain.at, chain.end);
        let done = Done::read(source, chain.at)?;
        let starts: Vec<_> = chain.starts.iter().filter(|start| !done.covers(**start)).collect();
        let before = |position: u64| starts.partition_point(|start| **start < position);
        let held = before(held_until);
        backlog.held = Some(held as u64);
        backlog.redeliveries = before(chain.at.taken).saturating_sub(held) as u64;
        backlog.waiting = Some((starts.len() - held) as u64);
    }
    Ok(Found { backlog, corruption: Vec::new() })
}
