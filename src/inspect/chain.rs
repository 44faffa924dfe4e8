//! Finds all frames of an SPSC ring with frames of any size, and checks the cursors against them.
//!
//! # What is checked, and why it holds at every moment
//!
//! The producer stores a frame's commit word, and then `tail`; it may be preempted or killed in
//! between. So the frames decide what is committed, and `tail` only follows them: a consumer may
//! have taken and released frames after a `tail` that was not stored yet, and `released > tail` is
//! no corruption.
//!
//! The cursors are read (`earlier`), then the words of the ring, then the cursors once more (`later`). Let
//! `C` be the end of what is committed. `C`, `tail` and `released` only grow, and at any one moment
//!
//! 1. `head <= released <= taken <= C`, `tail <= C`, `redelivered_until <= C`, and
//!    `C + granule <= released + capacity`;
//! 2. each of them is where a frame begins, or `C`. Those are multiples of the granule.
//!
//! A walk that came to `later.released` has found the frames from there on (see [`super::spsc`]),
//! up to an `end` that is no less than `C` was when `earlier` was read, and no more than it is when
//! `later` is read. Hence each comparison here is between a smaller value that was read earlier and
//! a larger one that was read later.
//!
//! A `tail` that lies before `released` is followed: the frames between them are committed, and the
//! producer writes nothing over them before it has stored `tail`. So if `tail` is the same after
//! the walk, then the walk saw these frames as they are, and comes to `released`.

use super::source::Source;
use super::spsc::At;
use super::walk::{Step, Walk};
use crate::error::{Corrupted, InspectError};
use crate::layout::{Geometry, POSITION_LIMIT};

/// The maximum number of frames of a walk; more would take too long.
const MAX_WALKED: usize = 1 << 20;
/// Retry limit of a walk that traffic overtakes.
const MAX_TRIES: usize = 8;
/// Bytes of ring per read.
const WINDOW: usize = 1 << 16;
/// A window of one word: each word is read by itself, so that it is no older than what was read
/// before it.
const WORD_BY_WORD: usize = 8;

/// The frames in a ring of frames of any size.
pub(super) struct Chain {
    pub(super) at: At,
    /// Where the frames' ranges start.
    pub(super) starts: Vec<u64>,
    /// The end of the last frame.
    pub(super) end: u64,
    /// Whether these are all frames.
    pub(super) is_whole: bool,
    pub(super) corruption: Option<Corrupted>,
}

/// Walks over all frames, and compares the cursors with them.
pub(super) fn chain(source: &Source) -> Result<Chain, InspectError> {
    let mut from = At::read(source)?;
    let mut window = WINDOW;
    for _ in 0..MAX_TRIES {
        if let Some(corruption) = misplaced(source, from) {
            return Ok(Chain::nothing(from, Some(corruption)));
        }
        let mut chain = walk(source, from, window)?;
        let now = At::read(source)?;
        // The end of the last frame counts as a place where a frame begins.
        let known = chain.starts.partition_point(|start| *start < now.released);
        let came_by = chain.starts.get(known) == Some(&now.released) || chain.end == now.released;
        if came_by {
            chain.starts.drain(..known);
            if chain.corruption.is_none() {
                chain.corruption = chain.misfit(source, now)?;
            }
            if chain.corruption.is_none() || window == WORD_BY_WORD {
                return Ok(chain);
            }
            // A large read may mix moments: only words that were read one by one prove corruption.
            window = WORD_BY_WORD;
        }
        from = now;
    }
    Ok(Chain::nothing(from, None))
}

/// Finds a cursor that is invalid by itself, independent of the others.
fn misplaced(source: &Source, at: At) -> Option<Corrupted> {
    let geometry = &source.geometry;
    let At { tail, head, released, taken, redelivered: (redelivered_until, _) } = at;
    let words = [
        ("tail", tail),
        ("released", released),
        ("taken", taken),
        ("head", head),
        ("redelivered_until", redelivered_until),
    ];
    let is_wrong = |position: u64| {
        position > POSITION_LIMIT.saturating_add(geometry.capacity) || !geometry.is_boundary(position)
    };
    let wrong = words.into_iter().find(|(_, position)| is_wrong(*position));
    wrong.map(|(word, found)| source.corrupted(word, tail, found))
}

fn walk(source: &Source, at: At, window: usize) -> Result<Chain, InspectError> {
    let mut chain = Chain { is_whole: true, ..Chain::nothing(at, None) };
    let mut walk = Walk::new(source, at.released, window);
    loop {
        match walk.step(source)? {
            Step::End => return Ok(chain),
            Step::Frame(_) if chain.starts.len() == MAX_WALKED => {
                chain.is_whole = false;
                return Ok(chain);
            }
            Step::Frame(frame) => {
                chain.starts.push(frame.position);
                chain.end = frame.end;
            }
            Step::Corrupted(corruption) => {
                chain.corruption = Some(corruption);
                return Ok(chain);
            }
        }
    }
}

impl Chain {
    fn nothing(at: At, corruption: Option<Corrupted>) -> Self {
        Self { at, starts: Vec::new(), end: at.released, is_whole: false, corruption }
    }

    /// Finds a cursor that contradicts the others, or the frames; `self.at` was read before the
    /// frames, and `later` after them.
    fn misfit(&self, source: &Source, later: At) -> Result<Option<Corrupted>, InspectError> {
        let earlier = self.at;
        if earlier.released > earlier.tail
            && let Some(corruption) = bridge(source, earlier)?
        {
            return Ok(Some(corruption));
        }
        let order = order_of(&source.geometry, earlier, later);
        let wrong = order.or_else(|| self.among_frames(&source.geometry, later));
        Ok(wrong.map(|(word, found)| source.corrupted(word, earlier.tail, found)))
    }

    fn among_frames(&self, geometry: &Geometry, later: At) -> Option<(&'static str, u64)> {
        if !self.is_whole {
            return None;
        }
        // More than fits into the ring: the commit words form a circle.
        if self.end + geometry.align > later.released.saturating_add(geometry.capacity) {
            return Some(("commit word", self.end));
        }
        let At { tail, taken, redelivered: (redelivered_until, _), .. } = self.at;
        let is_between = |position: u64| position > later.released && position < self.end;
        let words = [("tail", tail), ("taken", taken), ("redelivered_until", redelivered_until)];
        words.into_iter().find(|(_, position)| {
            let is_inside = is_between(*position) && self.starts.binary_search(position).is_err();
            *position > self.end || is_inside
        })
    }
}

/// Finds two cursors in an order that the protocol rules out.
fn order_of(geometry: &Geometry, earlier: At, later: At) -> Option<(&'static str, u64)> {
    let found = [
        ("tail", earlier.tail, earlier.tail > later.released.saturating_add(geometry.capacity)),
        ("head", earlier.head, earlier.head > later.released),
        ("taken", later.taken, later.taken < earlier.released),
        // No participant that follows the protocol moves it backwards.
        ("released", later.released, later.released < earlier.released),
    ];
    found.into_iter().find(|(.., is_wrong)| *is_wrong).map(|(word, found, _)| (word, found))
}

/// Follows the frames from a `tail` that lies before `released`.
fn bridge(source: &Source, at: At) -> Result<Option<Corrupted>, InspectError> {
    let mut walk = Walk::new(source, at.tail, WORD_BY_WORD);
    let mut position = at.tail;
    let mut is_broken = false;
    while position < at.released && !is_broken {
        match walk.step(source)? {
            Step::Frame(frame) => position = frame.end,
            Step::End | Step::Corrupted(_) => is_broken = true,
        }
    }
    // If `tail` was stored meanwhile, the frames that were followed may have been overwritten while
    // their words were read one after the other.
    let is_moving = At::read(source)?.tail != at.tail;
    let is_wrong = !is_moving && position != at.released;
    Ok(is_wrong.then(|| source.corrupted("released", at.tail, at.released)))
}
