//! Fixed-size messages: cells without headers, `tail` is the commit. See [`super`].

use std::cell::Cell;

use super::{Advance, Corruption, LaneMemory, Ref, Refusal, Reserved, Span, Staged};
use crate::layout::{Cursors, Geometry, POSITION_LIMIT};
use crate::sync::Ordering;

/// The shape of the ring, for both sides.
#[derive(Clone, Copy)]
struct FixedRing {
    cells: u64,
    stride: usize,
    /// Bytes of the whole ring.
    bytes: usize,
    /// Bytes of every message.
    len: usize,
}

impl FixedRing {
    fn new(geometry: &Geometry) -> Self {
        Self {
            cells: geometry.capacity,
            stride: geometry.stride as usize,
            bytes: geometry.ring_bytes() as usize,
            len: geometry.max_payload as usize,
        }
    }

    fn offset(&self, position: u64) -> usize {
        (position % self.cells) as usize * self.stride
    }

    /// The offset of the cell after the one at `offset`.
    #[inline(always)]
    fn following(&self, offset: usize) -> usize {
        let following = offset + self.stride;
        // A predicted branch, not a conditional move: otherwise every message would wait for the
        // store of the one before.
        if following == self.bytes { wrap() } else { following }
    }
}

/// The offset after the last cell.
#[cold]
fn wrap() -> usize {
    0
}

/// The one producer's side of a lane.
// In this order: if `tail` and `offset` were neighbours, compilers would load both together for a
// `Reserved`, right after they were stored one by one, and processors cannot forward two stores to
// one load.
#[repr(C)]
pub(crate) struct FixedWriter {
    memory: LaneMemory,
    cursors: Ref<Cursors>,
    ring: FixedRing,
    /// Everything before this is committed. Equals `cursors.tail`.
    tail: u64,
    /// Positions from here on are not the writer's.
    limit: u64,
    /// Whether only `head` is read, which disturbs the consumer less.
    exact: bool,
    /// Ring offset of the cell at `tail`.
    offset: usize,
}

impl FixedWriter {
    /// Takes over the lane. The caller must hold the producer's liveness lock.
    pub(crate) fn attach(
        memory: LaneMemory,
        cursors: Ref<Cursors>,
        geometry: &Geometry,
    ) -> Result<Self, Corruption> {
        let tail = cursors.tail.load(Ordering::Relaxed);
        // SYNC release
        let released = cursors.consumer.released.load(Ordering::Acquire);
        // A batch that was begun before the limit may end after it.
        if tail > POSITION_LIMIT + geometry.capacity {
            return Err(Corruption { word: "tail", position: tail, found: tail });
        }
        if released > tail || tail - released > geometry.capacity {
            return Err(Corruption { word: "released", position: tail, found: released });
        }
        let ring = FixedRing::new(geometry);
        // At the end of all positions nothing is reserved any more; `reserve` will say why.
        let limit = if tail < POSITION_LIMIT { released + ring.cells } else { tail };
        Ok(Self { memory, cursors, ring, tail, offset: ring.offset(tail), limit, exact: true })
    }

    /// Finds room for one message at `tail`.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, len: usize) -> Result<Reserved, Refusal> {
        self.reserve_at(self.tail, self.offset, len)
    }

    /// Finds room for one message after what is staged.
    #[inline(always)]
    pub(crate) fn reserve_after(&mut self, staged: &Staged, len: usize) -> Result<Reserved, Refusal> {
        self.reserve_at(staged.end, staged.offset, len)
    }

    #[inline(always)]
    fn reserve_at(&mut self, position: u64, offset: usize, len: usize) -> Result<Reserved, Refusal> {
        if len != self.ring.len {
            return Err(Refusal::Length);
        }
        if position >= self.limit {
            self.refresh(position)?;
        }
        Ok(Reserved { position, offset })
    }

    #[cold]
    fn refresh(&mut self, position: u64) -> Result<(), Refusal> {
        if position >= POSITION_LIMIT {
            return Err(Refusal::PositionsExhausted);
        }
        // The lazily stored cursor first: reading it does not take the consumer's hot line away.
        // SYNC release
        self.raise_limit("head", self.cursors.head.load(Ordering::Acquire))?;
        if position >= self.limit && self.exact {
            // SYNC release
            self.raise_limit("released", self.cursors.consumer.released.load(Ordering::Acquire))?;
        }
        if position >= self.limit { Err(Refusal::Full) } else { Ok(()) }
    }

    fn raise_limit(&mut self, word: &'static str, cursor: u64) -> Result<(), Refusal> {
        if cursor > self.tail {
            return Err(Refusal::Corrupted(Corruption { word, position: self.tail, found: cursor }));
        }
        // `head` may be lower than what is known already.
        self.limit = self.limit.max(cursor + self.ring.cells);
        Ok(())
    }

    /// Commits the message at `tail`.
    #[inline(always)]
    pub(crate) fn commit(&mut self) {
        self.publish(Staged { end: self.tail + 1, offset: self.ring.following(self.offset), first: 0 });
    }

    /// Begins a batch: nothing is staged yet.
    #[inline(always)]
    pub(crate) fn begin(&self) -> Staged {
        Staged { end: self.tail, offset: self.offset, first: 0 }
    }

    /// Adds the complete message after what is staged to what `publish` will commit.
    #[inline(always)]
    pub(crate) fn stage(&self, staged: &mut Staged) {
        staged.end += 1;
        staged.offset = self.ring.following(staged.offset);
    }

    /// Commits all that is staged, in one step.
    #[inline(always)]
    pub(crate) fn publish(&mut self, staged: Staged) {
        // SYNC commit: the payloads come before it.
        self.cursors.tail.store(staged.end, Ordering::Release);
        self.tail = staged.end;
        self.offset = staged.offset;
    }

    pub(crate) fn set_exact(&mut self, exact: bool) {
        self.exact = exact;
    }

    pub(crate) fn memory(&self) -> &LaneMemory {
        &self.memory
    }

    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }
}

/// The reader's walk over fixed-size messages.
pub(crate) struct FixedScan {
    ring: FixedRing,
    /// Ring offset of the cell at the reader's position.
    offset: Cell<usize>,
    /// Messages before this are known to be committed. If it equals the reader's position, `tail`
    /// must be loaded.
    tail: Cell<u64>,
}

impl FixedScan {
    pub(crate) fn new(geometry: &Geometry, from: u64) -> Self {
        let ring = FixedRing::new(geometry);
        Self { ring, offset: Cell::new(ring.offset(from)), tail: Cell::new(from) }
    }

    /// Whether the message at `position` is known to be committed.
    #[inline(always)]
    pub(crate) fn is_known_committed(&self, position: u64) -> bool {
        position != self.tail.get()
    }

    /// Whether `max` messages from `position` are known to be committed.
    #[inline(always)]
    pub(crate) fn are_known_committed(&self, position: u64, max: usize) -> bool {
        self.tail.get() - position >= max as u64
    }

    /// Continues at `position`.
    pub(crate) fn restart(&self, position: u64) {
        self.offset.set(self.ring.offset(position));
        self.tail.set(position);
    }

    /// Makes the next step load `tail` again.
    pub(crate) fn invalidate(&self, position: u64) {
        self.tail.set(position);
    }

    /// Steps over the message at `position`, which is the reader's and is known to be committed.
    #[inline(always)]
    pub(crate) fn advance(&self, position: u64) -> Advance {
        let offset = self.offset.get();
        self.offset.set(self.ring.following(offset));
        Advance { end: position + 1, offset, len: self.ring.len }
    }

    /// Steps over up to `max` messages from `position`, which is the reader's. Returns the offset
    /// of the first and their number.
    #[inline(always)]
    pub(crate) fn advance_many(&self, position: u64, max: usize) -> (usize, usize) {
        let offset = self.offset.get();
        let count = (self.tail.get() - position).min(max as u64) as usize;
        let end = offset + count * self.ring.stride;
        self.offset.set(if end < self.ring.bytes { end } else { end - self.ring.bytes });
        (offset, count)
    }

    /// The message whose cell is at `offset`, and the offset of the next.
    #[inline(always)]
    pub(crate) fn at(&self, offset: usize) -> (Span, usize) {
        (Span { offset, len: self.ring.len }, self.ring.following(offset))
    }

    /// Loads `tail` again; false if it has not moved.
    #[inline(always)]
    pub(crate) fn refresh(&self, cursors: &Cursors, position: u64) -> Result<bool, Corruption> {
        // SYNC commit
        let tail = cursors.tail.load(Ordering::Acquire);
        if tail < position || tail - position > self.ring.cells {
            return Err(Corruption { word: "tail", position, found: tail });
        }
        self.tail.set(tail);
        Ok(tail != position)
    }
}
