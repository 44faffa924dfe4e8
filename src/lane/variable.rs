//! Variable-size frames: see the protocol in [`super`].

use std::cell::Cell;

use super::{Advance, Corruption, LaneMemory, Ref, Refusal, Reserved, Staged};
use crate::layout::{Cursors, Geometry, POSITION_LIMIT, commit};
use crate::sync::{Ordering, load_acquire};

/// The shape of the ring, for both sides.
pub(crate) type Ring = super::ring::Ring<{ commit::WORD }>;

/// The one producer's side of a lane.
pub(crate) struct VariableWriter {
    memory: LaneMemory,
    cursors: Ref<Cursors>,
    ring: Ring,
    /// Everything before this is committed. Equals `cursors.tail`.
    tail: u64,
    /// Positions from here on are not the writer's.
    limit: u64,
    /// Whether only `head` is read, which disturbs the consumer less.
    exact: bool,
}

impl VariableWriter {
    /// Takes over the lane: walks from the stored tail over frames whose writer died between commit and tail.
    ///
    /// The caller must hold the producer's liveness lock.
    pub(crate) fn attach(
        memory: LaneMemory,
        cursors: Ref<Cursors>,
        geometry: &Geometry,
    ) -> Result<Self, Corruption> {
        let ring = Ring::new(geometry);
        let stored = cursors.tail.load(Ordering::Relaxed);
        // SYNC release
        let released = cursors.consumer.released.load(Ordering::Acquire);
        let corruption = |word, found| Corruption { word, position: stored, found };
        // A batch that was begun before the limit may end after it.
        if stored > POSITION_LIMIT + ring.capacity() || !stored.is_multiple_of(ring.granule()) {
            return Err(corruption("tail", stored));
        }
        // A dead writer may not have stored its last tail, so the consumer may be beyond the stored
        // one, but by less than a ring.
        if !released.is_multiple_of(ring.granule()) || stored.abs_diff(released) > ring.capacity() {
            return Err(corruption("released", released));
        }
        let mut writer =
            Self { memory, cursors, ring, tail: stored, limit: released + ring.capacity(), exact: true };
        writer.walk(released)?;
        Ok(writer)
    }

    fn walk(&mut self, released: u64) -> Result<(), Corruption> {
        let mut position = self.tail;
        loop {
            // SYNC commit, though the writer of these words is dead: its stores were drained with it.
            let word = load_acquire(self.memory.word(self.ring.offset(position)));
            let end = match (word, commit::message_len(word)) {
                (commit::NONE, _) => break,
                (commit::PADDING, _) if self.ring.index(position) != 0 => position + self.ring.rest(position),
                (_, Some(len)) => {
                    self.ring.checked_end(position, len).ok_or(self.ring.corruption(position, word))?
                }
                _ => return Err(self.ring.corruption(position, word)),
            };
            // Committed frames and the cleared word after them lie within one ring of the reader.
            if end + self.ring.granule() > self.limit {
                return Err(self.ring.corruption(position, word));
            }
            position = end;
        }
        if released > position {
            return Err(Corruption { word: "released", position, found: released });
        }
        self.tail = position;
        self.cursors.tail.store(position, Ordering::Release);
        if position >= POSITION_LIMIT {
            // Nothing is reserved any more; `reserve` will say why.
            self.limit = position;
        }
        Ok(())
    }

    /// Finds room for a frame with `len` bytes of payload at or after `position`, which is `tail`
    /// or the end of what is staged.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, position: u64, len: usize) -> Result<Reserved, Refusal> {
        let len = len as u64;
        if len > self.ring.max_payload() {
            return Err(Refusal::Length);
        }
        let size = self.ring.size(len);
        let start = self.ring.start(position, size);
        // One granule more: the next frame's commit word, which `publish` clears.
        let end = start + size + self.ring.granule();
        if end > self.limit {
            self.refresh(end)?;
        }
        Ok(Reserved { position: start, offset: self.ring.offset(start) })
    }

    /// The largest payload that fits at `position` without padding, as far as the cached limit
    /// knows. `None` if not even a frame without payload does.
    #[inline(always)]
    pub(crate) fn contiguous(&self, position: u64) -> Option<(Reserved, usize)> {
        let reserved = Reserved { position, offset: self.ring.offset(position) };
        let room = self.ring.contiguous(position, self.limit.saturating_sub(self.ring.granule()))?;
        Some((reserved, room))
    }

    /// Loads the reader's cursors again; `Full` if positions up to `end` are still not free.
    #[cold]
    fn refresh(&mut self, end: u64) -> Result<(), Refusal> {
        if end > POSITION_LIMIT {
            return Err(Refusal::PositionsExhausted);
        }
        // The lazily stored cursor first: reading it does not take the consumer's hot line away.
        // SYNC release
        self.raise_limit("head", self.cursors.head.load(Ordering::Acquire))?;
        if end > self.limit && self.exact {
            // SYNC release
            self.raise_limit("released", self.cursors.consumer.released.load(Ordering::Acquire))?;
        }
        if end > self.limit { Err(Refusal::Full) } else { Ok(()) }
    }

    fn raise_limit(&mut self, word: &'static str, cursor: u64) -> Result<(), Refusal> {
        if cursor > self.tail || !cursor.is_multiple_of(self.ring.granule()) {
            return Err(Refusal::Corrupted(Corruption { word, position: self.tail, found: cursor }));
        }
        // `head` may be lower than what is known already.
        self.limit = self.limit.max(cursor + self.ring.capacity());
        Ok(())
    }

    /// Commits one complete frame of at most the reserved length.
    #[inline(always)]
    pub(crate) fn commit(&mut self, reserved: Reserved, len: usize) {
        if reserved.position == self.tail {
            let end = reserved.position + self.ring.size(len as u64);
            self.commit_at_tail(commit::message(len as u64), end);
        } else {
            self.commit_after_padding(reserved, len);
        }
    }

    #[cold]
    fn commit_after_padding(&mut self, reserved: Reserved, len: usize) {
        let mut staged = Staged::at(self.tail);
        self.stage(&mut staged, reserved, len);
        self.publish(staged);
    }

    /// Adds a complete frame to what `publish` will commit.
    #[inline(always)]
    pub(crate) fn stage(&self, staged: &mut Staged, reserved: Reserved, len: usize) {
        if reserved.position != staged.end {
            self.stage_word(staged, staged.end, commit::PADDING);
        }
        self.stage_word(staged, reserved.position, commit::message(len as u64));
        staged.end = reserved.position + self.ring.size(len as u64);
    }

    /// Stores a commit word of a batch. The first one is withheld: it commits all frames of the batch.
    #[inline(always)]
    fn stage_word(&self, staged: &mut Staged, position: u64, word: u64) {
        if position == self.tail {
            staged.first = word;
        } else {
            self.memory.word(self.ring.offset(position)).store(word, Ordering::Relaxed);
        }
    }

    /// Commits all that is staged, in one step.
    #[inline(always)]
    pub(crate) fn publish(&mut self, staged: Staged) {
        if staged.end != self.tail {
            self.commit_at_tail(staged.first, staged.end);
        }
    }

    #[inline(always)]
    fn commit_at_tail(&mut self, word: u64, end: u64) {
        debug_assert!(end + self.ring.granule() <= self.limit, "a commit beyond what was reserved");
        self.memory.clear_word(self.ring.offset(end));
        // SYNC commit: payloads, later words of a batch and the cleared word come before it.
        self.memory.word(self.ring.offset(self.tail)).store(word, Ordering::Release);
        self.cursors.tail.store(end, Ordering::Release);
        self.tail = end;
    }

    pub(crate) fn set_exact(&mut self, exact: bool) {
        self.exact = exact;
    }

    pub(crate) fn memory(&self) -> &LaneMemory {
        &self.memory
    }

    #[inline(always)]
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }
}

impl Ring {
    fn corruption(&self, position: u64, found: u64) -> Corruption {
        Corruption { word: "commit word", position, found }
    }

    /// The frame whose range starts at `position`, which may be padding before it, if it is committed.
    #[inline(always)]
    pub(crate) fn poll(&self, memory: &LaneMemory, position: u64) -> Result<Option<Advance>, Corruption> {
        // SYNC commit
        let word = load_acquire(memory.word(self.offset(position)));
        self.read_word(memory, position, word)
    }

    /// The frame that the commit word `word` at `position` leads to, if there is one.
    #[inline(always)]
    fn read_word(
        &self,
        memory: &LaneMemory,
        position: u64,
        word: u64,
    ) -> Result<Option<Advance>, Corruption> {
        if let Some(len) = commit::message_len(word) {
            self.message(position, word, len).map(Some)
        } else if word == commit::NONE {
            Ok(None)
        } else {
            self.poll_after_padding(memory, position, word).map(Some)
        }
    }

    #[inline(always)]
    fn message(&self, position: u64, word: u64, len: u64) -> Result<Advance, Corruption> {
        match self.checked_end(position, len) {
            Some(end) => Ok(Advance { end, offset: self.offset(position), len: len as usize }),
            None => Err(self.corruption(position, word)),
        }
    }

    #[cold]
    fn poll_after_padding(
        &self,
        memory: &LaneMemory,
        position: u64,
        word: u64,
    ) -> Result<Advance, Corruption> {
        // Padding at index 0 would lead back to itself.
        if word != commit::PADDING || self.index(position) == 0 {
            return Err(self.corruption(position, word));
        }
        let position = position + self.rest(position);
        // Padding is committed together with the frame after it; the poll that found the padding
        // acquired both.
        let word = load_acquire(memory.word(self.offset(position)));
        match commit::message_len(word) {
            Some(len) => self.message(position, word, len),
            None => Err(self.corruption(position, word)),
        }
    }
}

/// The reader's walk over variable-size frames.
///
/// The next frame's position follows from the length in this one's commit word, which makes a chain
/// of loads that no processor can overlap. Messages of one size often come in a row, so the size is
/// guessed from the frames before: the branch that checks the guess is predicted, and the next load
/// need not wait for this one ("value speculation").
pub(crate) struct VariableScan {
    ring: Ring,
    /// A commit word that was found twice in a row, and what follows from it.
    guess: Cell<u64>,
    guess_size: Cell<u64>,
    guess_len: Cell<usize>,
    /// The last word that was not the guess. It becomes the guess only if it is found twice in a
    /// row: when sizes vary, the branch is then predicted to fail.
    candidate: Cell<u64>,
}

impl VariableScan {
    pub(crate) fn new(geometry: &Geometry) -> Self {
        Self {
            ring: Ring::new(geometry),
            guess: Cell::new(commit::NONE),
            guess_size: Cell::new(u64::MAX),
            guess_len: Cell::new(0),
            candidate: Cell::new(commit::NONE),
        }
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The frame whose range starts at `position`, if it is committed.
    #[inline(always)]
    pub(crate) fn poll(&self, memory: &LaneMemory, position: u64) -> Result<Option<Advance>, Corruption> {
        // SYNC commit
        let word = load_acquire(memory.word(self.ring.offset(position)));
        let size = self.guess_size.get();
        if word == self.guess.get() && size <= self.ring.rest(position) {
            let end = position + size;
            return Ok(Some(Advance { end, offset: self.ring.offset(position), len: self.guess_len.get() }));
        }
        let found = self.ring.read_word(memory, position, word)?;
        if let Some(step) = found {
            self.learn(word, step, position);
        }
        Ok(found)
    }

    #[inline(always)]
    fn learn(&self, word: u64, step: Advance, position: u64) {
        if word == self.candidate.replace(word) && word != commit::PADDING {
            self.guess.set(word);
            self.guess_size.set(step.end - position);
            self.guess_len.set(step.len);
        }
    }
}
