//! Copies messages of an MPMC queue: reads the slot, the payload, and the slot again.

use super::peek::{Copied, FrameState, Peek, Peeked, PeekedFrame, Start, copy_message};
use super::slots::{Seen, for_each, head_and_tail};
use super::source::Source;
use crate::error::InspectError;
use crate::layout::Order;
use crate::layout::order::SlotKind;
use crate::queue::DeadLetter;

pub(super) fn peek(source: &Source, order: Order, what: &Peek) -> Result<Peeked, InspectError> {
    let (_, tail) = head_and_tail(source)?;
    let mut peeked = Peeked { next: tail, ..Peeked::default() };
    let candidates = candidates(source, order, what, tail)?;
    for seen in candidates {
        let slot = seen.position & (order.slots - 1);
        // The slot may have changed since the scan.
        let before = Seen::read(source, order, slot)?;
        if before.state.lap() != seen.state.lap() || before.state.kind() == SlotKind::Free {
            peeked.gone += 1;
            continue;
        }
        if before.state.kind() == SlotKind::Held && !what.held {
            peeked.gone += 1;
            continue;
        }
        let payload = match before.payload(&source.geometry, order) {
            Some(at) => Some(copy_message(source, (at, before.len), before.position, what)?),
            None => None,
        };
        let letter = before.letter(source, order)?;
        let after = Seen::read(source, order, slot)?;
        match payload {
            // It does not matter whether it was taken meanwhile: the bytes are the message's until
            // its slot is released.
            Some(payload) if is_same(&before, &after) => peeked.frames.push(frame(&after, payload, letter)),
            None if is_same(&before, &after) => {
                peeked.corruption =
                    Some(source.corrupted("reference to the frame", before.position, before.place.0));
                break;
            }
            _ => peeked.gone += 1,
        }
    }
    // Positions before `tail` may be committed only later: the next peek reads them again.
    peeked.next = match peeked.frames.last() {
        Some(last) => last.position.saturating_add(1),
        None => match what.start {
            Start::From(position) => position.max(tail.saturating_sub(order.slots)).min(tail),
            Start::Oldest | Start::Newest => tail,
        },
    };
    Ok(peeked)
}

/// The messages to copy, in order.
fn candidates(source: &Source, order: Order, what: &Peek, tail: u64) -> Result<Vec<Seen>, InspectError> {
    let from = match what.start {
        Start::From(position) => position,
        Start::Oldest | Start::Newest => 0,
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
        let is_wanted = match seen.state.kind() {
            SlotKind::Free => false,
            SlotKind::Held => what.held,
            SlotKind::Full | SlotKind::Redeliver => true,
        };
        if is_wanted && seen.position >= from && seen.position < tail {
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

/// Whether the slot referred to the same message in both reads.
fn is_same(before: &Seen, after: &Seen) -> bool {
    after.state.lap() == before.state.lap()
        && after.state.kind() != SlotKind::Free
        && (after.place, after.len) == (before.place, before.len)
}

fn frame(seen: &Seen, copied: Copied, dead_letter: Option<DeadLetter>) -> PeekedFrame {
    let Copied { len, payload, checksum_matches } = copied;
    PeekedFrame {
        position: seen.position,
        state: match seen.state.kind() {
            SlotKind::Held => FrameState::Held(Some(seen.state.owner())),
            SlotKind::Redeliver => FrameState::Again,
            SlotKind::Full | SlotKind::Free => FrameState::Waiting,
        },
        redeliveries: seen.state.redeliveries(),
        len,
        payload,
        checksum_matches,
        dead_letter,
    }
}
