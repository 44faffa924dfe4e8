//! Copies messages of an SPSC queue: reads the commit word, the payload, and then whether the frame
//! was released meanwhile.

use super::chain::chain;
use super::done::Done;
use super::peek::{Copied, FrameState, Peek, Peeked, PeekedFrame, Start, copy_message};
use super::source::Source;
use super::spsc::{At, fixed_cursors, handed_out, in_file, released};
use super::walk::{RingFrame, Step, Walk};
use crate::error::InspectError;
use crate::layout::Framing;

pub(super) fn peek(source: &Source, what: &Peek) -> Result<Peeked, InspectError> {
    match source.geometry.framing {
        Framing::Variable => variable(source, what),
        Framing::Fixed { len } => fixed(source, what, len),
    }
}

/// The position of the first message that is wanted; `end` is the end of what is committed.
fn first(what: &Peek, at: At, held_until: u64, end: u64) -> u64 {
    let oldest = if what.held { at.released } else { held_until };
    match what.start {
        Start::From(position) => position.clamp(oldest, end.max(oldest)),
        Start::Oldest | Start::Newest => oldest,
    }
}

fn fixed(source: &Source, what: &Peek, len: u64) -> Result<Peeked, InspectError> {
    let (at, corruption) = fixed_cursors(source)?;
    if corruption.is_some() {
        return Ok(Peeked { corruption, next: at.tail, ..Peeked::default() });
    }
    let held_until = handed_out(source, at, at.tail);
    let mut from = first(what, at, held_until, at.tail);
    let most = what.most as u64;
    if what.start == Start::Newest {
        from = from.max(at.tail.saturating_sub(most));
    }
    let to = at.tail.min(from.saturating_add(most));
    let mut peeked = Peeked { next: to.max(from), ..Peeked::default() };
    let geometry = &source.geometry;
    let done = Done::read(source, at)?;
    for position in (from..to).filter(|position| !done.covers(*position)) {
        let offset = position % geometry.capacity * geometry.stride;
        let copied = copy_message(source, (in_file(geometry, offset), len), position, what)?;
        if released(source)? > position {
            peeked.gone += 1;
        } else {
            peeked.frames.push(frame(at, held_until, position, copied));
        }
    }
    Ok(peeked)
}

fn variable(source: &Source, what: &Peek) -> Result<Peeked, InspectError> {
    let mut chain = chain(source)?;
    let done = Done::read(source, chain.at)?;
    chain.starts.retain(|start| !done.covers(*start));
    let held_until = handed_out(source, chain.at, chain.end);
    let from = first(what, chain.at, held_until, chain.end.max(chain.at.tail));
    let wanted = &chain.starts[chain.starts.partition_point(|start| *start < from)..];
    let wanted = match what.start {
        Start::Newest => &wanted[wanted.len().saturating_sub(what.most)..],
        Start::Oldest | Start::From(_) => &wanted[..wanted.len().min(what.most)],
    };
    let is_to_the_end = wanted.last() == chain.starts.last();
    // Corruption after the wanted messages is not reported.
    let corruption = chain.corruption.filter(|_| is_to_the_end && wanted.len() < what.most);
    let mut peeked = Peeked { corruption, next: from.max(chain.end), ..Peeked::default() };
    for (at, start) in wanted.iter().enumerate() {
        match Walk::new(source, *start, 8).step(source)? {
            Step::Frame(found) => match copied(source, what, found)? {
                Some(copied) => {
                    peeked.frames.push(frame(chain.at, held_until, found.position, copied));
                }
                None => peeked.gone += 1,
            },
            Step::End | Step::Corrupted(_) => peeked.gone += 1,
        }
        if at + 1 == wanted.len() && !is_to_the_end {
            peeked.next = start.saturating_add(1);
        }
    }
    Ok(peeked)
}

/// Copies a frame; `None` if it was released before the copy was complete.
fn copied(source: &Source, what: &Peek, found: RingFrame) -> Result<Option<Copied>, InspectError> {
    let place = (in_file(&source.geometry, found.offset), found.len);
    let copied = copy_message(source, place, found.word_at, what)?;
    Ok((released(source)? <= found.position).then_some(copied))
}

fn frame(at: At, held_until: u64, position: u64, copied: Copied) -> PeekedFrame {
    let Copied { len, payload, checksum_matches } = copied;
    let (redelivered_until, redelivery_count) = at.redelivered;
    let redeliveries = match position {
        earlier if earlier < redelivered_until => redelivery_count.max(1),
        last if held_until <= last && last < at.taken => 1,
        _ => 0,
    };
    PeekedFrame {
        position,
        state: match () {
            () if position < held_until => FrameState::Held(None),
            () if redeliveries > 0 => FrameState::Again,
            () => FrameState::Waiting,
        },
        redeliveries,
        len,
        payload,
        checksum_matches,
        dead_letter: None,
    }
}
