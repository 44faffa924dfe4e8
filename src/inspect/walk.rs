//! A walk over the frames of an SPSC ring with frames of any size, by their commit words.

use super::source::Source;
use super::spsc::in_file;
use crate::error::{Corrupted, InspectError};
use crate::lane::ring::Ring;
use crate::layout::{POSITION_LIMIT, commit};

/// A committed frame of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingFrame {
    /// Where its range starts, which may be padding before it.
    pub(super) position: u64,
    /// The position of its commit word.
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
    /// A word that is invalid, if a frame really begins here.
    Corrupted(Corrupted),
}

/// What a commit word says.
enum Word {
    /// No frame is committed here.
    Uncommitted,
    Frame(RingFrame),
    /// No frame can have this word.
    Invalid {
        position: u64,
        found: u64,
    },
}

/// A walk over committed frames, from the oldest one on.
pub(super) struct Walk {
    ring: Ring<{ commit::WORD }>,
    start: u64,
    position: u64,
    /// A piece of the ring from one read, and its offset in the file. A word that seems invalid in
    /// it is read anew.
    window: Vec<u8>,
    window_at: u64,
    window_len: usize,
}

impl Walk {
    /// `window` is the number of bytes per read; 8: every word by itself, which ensures that it is
    /// no older than what was read before it.
    pub(super) fn new(source: &Source, position: u64, window: usize) -> Self {
        let ring = Ring::new(&source.geometry);
        Self { ring, start: position, position, window: Vec::new(), window_at: 0, window_len: window }
    }

    pub(super) fn step(&mut self, source: &Source) -> Result<Step, InspectError> {
        // Corrupt commit words must not cause an endless walk, and a corrupt cursor must not lead
        // outside of the ring.
        let is_round = self.position.saturating_sub(self.start) >= self.ring.capacity();
        if is_round || self.position > POSITION_LIMIT.saturating_add(self.ring.capacity()) {
            return Ok(Step::End);
        }
        let word = match self.read_word(source, false)? {
            Word::Invalid { .. } => self.read_word(source, true)?,
            word => word,
        };
        Ok(match word {
            Word::Frame(frame) => self.advance(frame),
            Word::Uncommitted => Step::End,
            Word::Invalid { position, found } => {
                Step::Corrupted(source.corrupted("commit word", position, found))
            }
        })
    }

    fn advance(&mut self, frame: RingFrame) -> Step {
        self.position = frame.end;
        Step::Frame(frame)
    }

    /// What the commit word at the position says.
    fn read_word(&mut self, source: &Source, anew: bool) -> Result<Word, InspectError> {
        let position = self.position;
        let word = self.word(source, position, anew)?;
        let (word_at, word) = match word {
            commit::NONE => return Ok(Word::Uncommitted),
            commit::PADDING if self.ring.index(position) != 0 => {
                let after = position + self.ring.rest(position);
                (after, self.word(source, after, anew)?)
            }
            word => (position, word),
        };
        let end = commit::message_len(word).and_then(|len| Some((len, self.ring.checked_end(word_at, len)?)));
        Ok(match end {
            Some((len, end)) => {
                Word::Frame(RingFrame { position, word_at, word, offset: self.ring.index(word_at), len, end })
            }
            None => Word::Invalid { position: word_at, found: word },
        })
    }

    fn word(&mut self, source: &Source, position: u64, anew: bool) -> Result<u64, InspectError> {
        // The commit word is the eight bytes before its payload.
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
