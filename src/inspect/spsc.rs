//! The ring of an SPSC queue, read from outside.
//!
//! The reader's proof (`src/lane/mod.rs`) holds for whoever looks, as long as what is looked at is not released: the
//! writer stores nothing at positions from `released` on that it has committed. So whoever has read something looks at
//! `released` again; what lies before it may have been anything.
//!
//! A walk that was overtaken may have followed payload bytes that it took for commit words. It is told apart by this:
//! `released` is where a frame begins. If the walk came by there, then it was right from there on, however it got there,
//! because what it read there and behind had not been released when it did.

use std::mem::offset_of;

use super::members::FileLeases;
use super::snapshot::{Backlog, Cursors, cursors};
use super::source::Source;
use crate::error::{Damaged, InspectError};
use crate::lane::ring::Ring;
use crate::layout::{
    CURSORS_OFFSET, ConsumerWords, Cursors as SpscWords, ENTRY_CONSUMER, Framing, Geometry, LEAD,
    POSITION_LIMIT, commit,
};
use crate::links::Leases;

/// Frames that are walked over; more than that would keep people waiting.
const MOST_WALKED: usize = 1 << 20;
/// A walk that was overtaken by the traffic begins anew, so often.
const MOST_TRIES: usize = 8;
/// Bytes of ring that are read at one go.
const WINDOW: usize = 1 << 16;

/// The cursors of the queue, unpacked.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) tail: u64,
    pub(super) head: u64,
    pub(super) released: u64,
    pub(super) taken: u64,
    pub(super) redo: (u64, u64),
}

impl At {
    pub(super) fn read(source: &Source) -> Result<Self, InspectError> {
        match cursors(&source.head_page()?, false) {
            Cursors::Spsc { tail, head, released, taken, redo_until, redo_count } => {
                Ok(Self { tail, head, released, taken, redo: (redo_until, redo_count) })
            }
            Cursors::Mpmc { .. } => unreachable!("asked for the cursors of the other kind"),
        }
    }
}

/// Messages before this were handed out to a consumer that lives. What a dead one held, or one that left, waits again.
pub(super) fn handed_out(source: &Source, at: At) -> u64 {
    match FileLeases(&source.file).is_held(ENTRY_CONSUMER) {
        true => at.taken.clamp(at.released, at.tail.max(at.released)),
        false => at.released,
    }
}

/// The consumer's `released`, now.
pub(super) fn released(source: &Source) -> Result<u64, InspectError> {
    let consumer = CURSORS_OFFSET + offset_of!(SpscWords, consumer);
    source.word((consumer + offset_of!(ConsumerWords, released)) as u64)
}

/// Where payload byte `offset` of the ring stands in the file.
pub(super) fn in_file(geometry: &Geometry, offset: u64) -> u64 {
    geometry.lane_offset + LEAD as u64 + offset
}

/// Looks at the cursors twice: each is compared with one that was read before or after it, as it must be, because
/// they move meanwhile.
pub(super) fn cursor_damage(source: &Source) -> Result<(At, Option<Damaged>), InspectError> {
    let (before, after) = (At::read(source)?, At::read(source)?);
    let geometry = &source.geometry;
    let found = [
        ("tail", after.tail, after.tail > POSITION_LIMIT.saturating_add(geometry.capacity)),
        ("tail", before.tail, before.tail > after.released.saturating_add(geometry.capacity)),
        ("tail", after.tail, !geometry.is_boundary(after.tail)),
        ("released", before.released, before.released > after.tail),
        ("released", after.released, !geometry.is_boundary(after.released)),
        ("head", before.head, before.head > after.released),
    ];
    // One that went backwards was stored by nobody who keeps to the protocol either, and shows in these.
    let wrong = found.into_iter().find(|(_, _, is_wrong)| *is_wrong);
    let damage = wrong.map(|(word, found, _)| source.damaged(word, after.tail, found));
    Ok((after, damage))
}

/// What a look at the ring finds.
pub(super) struct Found {
    pub(super) backlog: Backlog,
    pub(super) damage: Vec<Damaged>,
}

pub(super) fn scan(source: &Source) -> Result<Found, InspectError> {
    let (at, damage) = cursor_damage(source)?;
    let mut backlog = Backlog { places: source.geometry.capacity, ..Backlog::default() };
    if let Some(damage) = damage {
        return Ok(Found { backlog, damage: vec![damage] });
    }
    if let Framing::Fixed { len } = source.geometry.framing {
        backlog.used = at.tail.saturating_sub(at.released);
        backlog.bytes = backlog.used.saturating_mul(len);
        // Slots count messages: nothing needs to be counted.
        let held_until = handed_out(source, at);
        backlog.held = Some(held_until - at.released);
        backlog.waiting = Some(at.tail.saturating_sub(held_until));
        backlog.again = at.taken.min(at.tail).saturating_sub(held_until);
        return Ok(Found { backlog, damage: Vec::new() });
    }
    backlog.used = at.tail.saturating_sub(at.released);
    backlog.bytes = backlog.used;
    let chain = chain(source)?;
    if chain.is_whole && chain.damage.is_none() {
        let held_until = handed_out(source, chain.at);
        let before = |position: u64| chain.starts.partition_point(|start| *start < position);
        let held = before(held_until);
        backlog.held = Some(held as u64);
        backlog.again = before(chain.at.taken).saturating_sub(held) as u64;
        backlog.waiting = Some((chain.starts.len() - held) as u64);
    }
    Ok(Found { backlog, damage: chain.damage.into_iter().collect() })
}

/// The frames in a ring of frames of any size.
pub(super) struct Chain {
    /// The cursors from before the walk.
    pub(super) at: At,
    /// Where the frames' ranges start: real ones.
    pub(super) starts: Vec<u64>,
    /// Behind the last of them.
    pub(super) end: u64,
    /// Whether these are all.
    pub(super) is_whole: bool,
    pub(super) damage: Option<Damaged>,
}

/// Walks over all frames.
pub(super) fn chain(source: &Source) -> Result<Chain, InspectError> {
    let mut from = At::read(source)?;
    for _ in 0..MOST_TRIES {
        let mut chain = walk(source, from)?;
        let now = At::read(source)?;
        // Behind the last frame is a place as good as where one begins.
        let known = chain.starts.partition_point(|start| *start < now.released);
        let came_by = chain.starts.get(known) == Some(&now.released) || chain.end == now.released;
        if came_by {
            chain.starts.drain(..known);
            return Ok(chain);
        }
        from = now;
    }
    Ok(Chain { at: from, starts: Vec::new(), end: from.released, is_whole: false, damage: None })
}

fn walk(source: &Source, at: At) -> Result<Chain, InspectError> {
    let mut chain = Chain { at, starts: Vec::new(), end: at.released, is_whole: true, damage: None };
    let mut walk = Walk::new(source, at.released, WINDOW);
    loop {
        match walk.step(source)? {
            Step::End => return Ok(chain),
            Step::Frame(_) if chain.starts.len() == MOST_WALKED => {
                chain.is_whole = false;
                return Ok(chain);
            }
            Step::Frame(frame) => {
                chain.starts.push(frame.position);
                chain.end = frame.end;
            }
            Step::Damaged(damage) => {
                chain.damage = Some(damage);
                return Ok(chain);
            }
        }
    }
}

/// A committed frame of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingFrame {
    /// Where its range starts, which may be padding before it.
    pub(super) position: u64,
    /// Where its commit word stands, by position.
    pub(super) word_at: u64,
    pub(super) word: u64,
    /// Offset of the payload in the ring.
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) end: u64,
}

pub(super) enum Step {
    Frame(RingFrame),
    End,
    /// A word that cannot stand there, if this really is where a frame begins.
    Damaged(Damaged),
}

/// A walk over committed frames, from the oldest one on.
pub(super) struct Walk {
    ring: Ring<{ commit::WORD }>,
    start: u64,
    position: u64,
    /// A piece of the ring, read at one go, and where it begins. A word that seems wrong in here is read anew.
    window: Vec<u8>,
    window_at: u64,
    window_len: usize,
}

impl Walk {
    /// `window` bytes are read at one go; 8: every word by itself, which makes sure that it is no older than what was
    /// seen before it.
    pub(super) fn new(source: &Source, position: u64, window: usize) -> Self {
        let ring = Ring::new(&source.geometry);
        Self { ring, start: position, position, window: Vec::new(), window_at: 0, window_len: window }
    }

    pub(super) fn step(&mut self, source: &Source) -> Result<Step, InspectError> {
        // A damaged chain must not lead round and round, nor a damaged cursor anywhere.
        let is_round = self.position.saturating_sub(self.start) >= self.ring.capacity();
        if is_round || self.position > POSITION_LIMIT.saturating_add(self.ring.capacity()) {
            return Ok(Step::End);
        }
        match self.look(source, false)? {
            Ok(Some(frame)) => Ok(self.advance(frame)),
            Ok(None) => Ok(Step::End),
            Err(_) => match self.look(source, true)? {
                Ok(Some(frame)) => Ok(self.advance(frame)),
                Ok(None) => Ok(Step::End),
                Err((position, found)) => Ok(Step::Damaged(source.damaged("commit word", position, found))),
            },
        }
    }

    fn advance(&mut self, frame: RingFrame) -> Step {
        self.position = frame.end;
        Step::Frame(frame)
    }

    /// The frame at the position, if one is committed; else the word that cannot stand there, and where.
    fn look(
        &mut self,
        source: &Source,
        anew: bool,
    ) -> Result<Result<Option<RingFrame>, (u64, u64)>, InspectError> {
        let position = self.position;
        let word = self.word(source, position, anew)?;
        let (word_at, word) = match word {
            commit::NONE => return Ok(Ok(None)),
            commit::PADDING if self.ring.index(position) != 0 => {
                let behind = position + self.ring.rest(position);
                (behind, self.word(source, behind, anew)?)
            }
            word => (position, word),
        };
        let end = commit::message_len(word).and_then(|len| Some((len, self.ring.checked_end(word_at, len)?)));
        Ok(match end {
            Some((len, end)) => {
                Ok(Some(RingFrame { position, word_at, word, offset: self.ring.index(word_at), len, end }))
            }
            None => Err((word_at, word)),
        })
    }

    fn word(&mut self, source: &Source, position: u64, anew: bool) -> Result<u64, InspectError> {
        // The commit word stands in the eight bytes before its payload.
        let index = self.ring.index(position);
        let at = in_file(&source.geometry, index) - commit::WORD;
        if anew || self.window_len <= 8 {
            return source.word(at);
        }
        if let Some(word) = self.in_window(at) {
            return Ok(word);
        }
        let len = (self.ring.capacity() - index + commit::WORD).min(self.window_len as u64);
        self.window.resize(len as usize, 0);
        self.window_at = at;
        source.read(&mut self.window, at)?;
        Ok(self.in_window(at).expect("what was just read"))
    }

    fn in_window(&self, at: u64) -> Option<u64> {
        let from = usize::try_from(at.checked_sub(self.window_at)?).ok()?;
        let bytes = self.window.get(from..from.checked_add(8)?)?;
        Some(u64::from_ne_bytes(bytes.try_into().expect("eight bytes")))
    }
}
