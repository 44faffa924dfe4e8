//! Messages of an SPSC queue: the commit word, the payload, the commit word again, and then whether it is released.

use std::collections::VecDeque;

use super::peek::{FrameState, Peek, Peeked, PeekedFrame, Start, copy};
use super::source::Source;
use super::spsc::{At, RingFrame, Step, Walk, cursor_damage, in_file, released};
use crate::error::InspectError;
use crate::layout::{Framing, commit};

/// Frames that are passed on the way to the newest ones.
const MOST_PASSED: u64 = 1 << 24;
/// Bytes of ring that are read at one go on the way.
const WINDOW: usize = 1 << 16;

pub(super) fn peek(source: &Source, what: &Peek) -> Result<Peeked, InspectError> {
    let (at, damage) = cursor_damage(source)?;
    if damage.is_some() {
        return Ok(Peeked { damage, next: at.tail, ..Peeked::default() });
    }
    match source.geometry.framing {
        Framing::Variable => variable(source, what, at),
        Framing::Fixed { len } => fixed(source, what, at, len),
    }
}

/// Where messages that are wanted begin.
fn first(what: &Peek, at: At) -> u64 {
    let oldest = if what.held { at.released } else { at.taken.clamp(at.released, at.tail.max(at.released)) };
    match what.start {
        Start::From(position) => position.clamp(oldest, at.tail.max(oldest)),
        Start::Oldest | Start::Newest => oldest,
    }
}

fn fixed(source: &Source, what: &Peek, at: At, len: u64) -> Result<Peeked, InspectError> {
    let mut from = first(what, at);
    let most = what.most as u64;
    if what.start == Start::Newest {
        from = from.max(at.tail.saturating_sub(most));
    }
    let to = at.tail.min(from.saturating_add(most));
    let mut peeked = Peeked { next: to.max(from), ..Peeked::default() };
    let geometry = &source.geometry;
    for position in from..to {
        let offset = position % geometry.capacity * geometry.stride;
        let payload = copy(source, in_file(geometry, offset), len, what.bytes)?;
        if released(source)? > position {
            peeked.gone += 1;
        } else {
            peeked.frames.push(frame(at, position, len, payload));
        }
    }
    Ok(peeked)
}

fn variable(source: &Source, what: &Peek, at: At) -> Result<Peeked, InspectError> {
    let from = first(what, at);
    let mut peeked = Peeked { next: from, ..Peeked::default() };
    let start = if what.start == Start::Newest { newest(source, from, what.most)? } else { from };
    let mut walk = Walk::new(source, start, 8);
    while peeked.frames.len() < what.most {
        match walk.step(source)? {
            Step::Frame(frame) => {
                look(source, what, at, frame, &mut peeked)?;
                peeked.next = frame.end;
            }
            Step::End => break,
            Step::Overtaken(released) => {
                // Whole frames passed that were never seen.
                peeked.gone += 1;
                peeked.next = released;
                break;
            }
            Step::Damaged(damage) => {
                peeked.damage = Some(damage);
                break;
            }
        }
    }
    Ok(peeked)
}

fn look(
    source: &Source,
    what: &Peek,
    at: At,
    found: RingFrame,
    peeked: &mut Peeked,
) -> Result<(), InspectError> {
    let offset = in_file(&source.geometry, found.offset);
    let payload = copy(source, offset, found.len, what.bytes)?;
    let is_same = source.word(offset - commit::WORD)? == found.word;
    if is_same && released(source)? <= found.position {
        peeked.frames.push(frame(at, found.position, found.len, payload));
    } else {
        peeked.gone += 1;
    }
    Ok(())
}

/// Where the last `count` frames begin.
fn newest(source: &Source, from: u64, count: usize) -> Result<u64, InspectError> {
    let mut starts = VecDeque::new();
    let mut walk = Walk::new(source, from, WINDOW);
    for _ in 0..MOST_PASSED {
        match walk.step(source)? {
            Step::Frame(frame) => {
                starts.push_back(frame.position);
                if starts.len() > count {
                    starts.pop_front();
                }
            }
            Step::Overtaken(released) => return Ok(released),
            Step::End | Step::Damaged(_) => break,
        }
    }
    Ok(starts.front().copied().unwrap_or(from))
}

fn frame(at: At, position: u64, len: u64, payload: Vec<u8>) -> PeekedFrame {
    let (redo_until, redo_count) = at.redo;
    let redeliveries = if position < redo_until { redo_count.max(1) } else { 0 };
    PeekedFrame {
        position,
        state: match () {
            () if position < at.taken => FrameState::Held(None),
            () if redeliveries > 0 => FrameState::Again,
            () => FrameState::Waiting,
        },
        redeliveries,
        len,
        payload,
        dead_letter: None,
    }
}
