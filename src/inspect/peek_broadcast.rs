//! Copies messages of a broadcast queue: reads the slot, the payload, and then whether the position is over.

use super::broadcast::{At, free};
use super::peek::{FrameState, Peek, Peeked, PeekedFrame, Start, copy_message};
use super::slots::{Seen, for_each};
use super::source::Source;
use crate::error::InspectError;
use crate::layout::Order;
use crate::layout::order::SlotKind;

pub(super) fn peek(source: &Source, order: Order, what: &Peek) -> Result<Peeked, InspectError> {
    let at = At::read(source)?;
    // Positions before `tail` may be committed only later: the next peek reads them again.
    let start = match what.start {
        Start::From(position) => position.max(at.floor).min(at.tail),
        Start::Oldest | Start::Newest => at.tail,
    };
    let mut peeked = Peeked { next: start, ..Peeked::default() };
    for seen in candidates(source, order, what, at)? {
        let slot = seen.position & (order.slots - 1);
        // The slot may have changed since the scan.
        let before = Seen::read(source, order, slot)?;
        let payload = match before.payload(&source.geometry, order) {
            Some(payload) if before.state == seen.state => {
                Some(copy_message(source, (payload, before.len), before.position, what)?)
            }
            _ => None,
        };
        // Slot and bytes are overwritten only by who has seen the position over.
        let is_over = free(source)? > seen.position;
        match payload {
            _ if is_over => peeked.gone += 1,
            Some(copied) => peeked.frames.push(PeekedFrame {
                position: seen.position,
                state: FrameState::Waiting,
                redeliveries: 0,
                len: copied.len,
                payload: copied.payload,
                checksum_matches: copied.checksum_matches,
                dead_letter: None,
            }),
            None => {
                let (word, found) = ("reference to the frame", before.place.0);
                peeked.corruption = Some(source.corrupted(word, seen.position, found));
                break;
            }
        }
    }
    if let Some(last) = peeked.frames.last() {
        peeked.next = last.position.saturating_add(1);
    }
    Ok(peeked)
}

/// The messages to copy, in order: those that are retained.
fn candidates(source: &Source, order: Order, what: &Peek, at: At) -> Result<Vec<Seen>, InspectError> {
    let from = match what.start {
        Start::From(position) => position.max(at.floor),
        Start::Oldest | Start::Newest => at.floor,
    };
    // The slots are not sorted by position, and there may be millions: no more are kept than are wanted.
    let keep = |found: &mut Vec<Seen>| {
        found.sort_unstable_by_key(|seen| seen.position);
        match what.start {
            Start::Newest => drop(found.drain(..found.len().saturating_sub(what.most))),
            Start::Oldest | Start::From(_) => found.truncate(what.most),
        }
    };
    let most_at_once = what.most.saturating_mul(2).saturating_add(1024);
    let mut found = Vec::new();
    for_each(source, order, |seen| {
        if seen.state.kind() == SlotKind::Full && (from..at.tail).contains(&seen.position) {
            found.push(seen);
            if found.len() >= most_at_once {
                keep(&mut found);
            }
        }
        Ok(())
    })?;
    keep(&mut found);
    Ok(found)
}
