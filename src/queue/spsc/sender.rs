//! The one producer.
#![allow(unsafe_code, reason = "vouches for the room that the lane grants")]

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::attach::TakenRole;
use crate::error::{AttachError, Role};
use crate::lane::{LaneWriter, Refusal, Reserved, Room, Staged};
use crate::prefetch;
use crate::queue::Shared;
use crate::queue::file::boot::Stay;
use crate::queue::kind::Sender;
use crate::shm::fork::ForkGuard;
use crate::wait::Attempt;

/// While a producer waits for room, one attempt in this number reads the consumer's exact cursor:
/// each read takes the line away from the consumer, which stores there for every message.
const ATTEMPTS_PER_EXACT: u64 = 32;

/// For frames of these sizes in bytes, the cache lines and the next page are prefetched when there
/// is room: a producer that fills such a frame front to back would otherwise wait for a few lines
/// at a time. Not in batches: there it took a tenth more time at 256 bytes. MPMC prefetches further
/// ahead, since its claims wait for all of a frame.
const PREFETCHED_SIZES: RangeInclusive<usize> = 129..=prefetch::MAX_PREFETCHED_COPY;

pub(crate) struct SpscSender {
    writer: LaneWriter,
    guard: ForkGuard,
    /// Dropped this late, so that everything above is gone when a successor may attach ...
    _stay: Stay,
    /// ... and before the queue, whose last owner removes it if no liveness lock is left.
    shared: Arc<Shared>,
}

/// Staged frames, counted.
pub(crate) struct SpscStaged {
    frames: Staged,
    count: usize,
}

impl SpscSender {
    pub(super) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let TakenRole { memory, cursors, stay } = shared.attach(Role::Producer)?;
        let writer = LaneWriter::attach(memory, cursors, shared.geometry())
            .map_err(|corruption| AttachError::Corrupted(shared.corrupted(corruption)))?;
        Ok(Self { writer, guard: shared.guard(), shared, _stay: stay })
    }
}

// SAFETY: the writer finds room in the ring, which is mapped for writing as long as it lives, and
// of a file, so that its bytes are initialised. The lane protocol keeps the reader away from what
// is not committed, and the liveness lock every other writer. Room after staged frames begins where
// they end, and ends before the reader's oldest frame.
unsafe impl Sender for SpscSender {
    type Staged = SpscStaged;

    #[inline(always)]
    fn shared(&self) -> &Shared {
        &self.shared
    }

    #[inline(always)]
    fn is_own_process(&self) -> bool {
        self.guard.is_intact()
    }

    #[inline(always)]
    fn reserve(&mut self, len: usize) -> Result<Reserved, Refusal> {
        let reserved = self.writer.reserve(len)?;
        if PREFETCHED_SIZES.contains(&len) {
            prefetch::all_to_write(self.writer.payload(reserved), len);
            prefetch::next_page_to_write(self.writer.payload(reserved), len);
        }
        Ok(reserved)
    }

    fn reserve_waiting(&mut self, len: usize, which: Attempt) -> Result<Reserved, Refusal> {
        if which.is_before_park() {
            // The last attempt but for those after sleeps: no notification repeats what it misses.
            self.writer.reserve(len)
        } else {
            self.writer.reserve_waiting(len, which.is_exact(ATTEMPTS_PER_EXACT))
        }
    }

    #[inline(always)]
    fn contiguous(&mut self) -> Room {
        self.writer.contiguous()
    }

    /// A frame needs nothing but room.
    #[inline(always)]
    fn commit(&mut self, reserved: Reserved, len: usize) -> Result<(), Refusal> {
        self.writer.commit(reserved, len);
        Ok(())
    }

    fn commit_waiting(&mut self, reserved: Reserved, len: usize, _which: Attempt) -> Result<(), Refusal> {
        self.commit(reserved, len)
    }

    #[inline(always)]
    fn begin(&mut self) -> SpscStaged {
        SpscStaged { frames: self.writer.begin(), count: 0 }
    }

    #[inline(always)]
    fn count(staged: &SpscStaged) -> usize {
        staged.count
    }

    #[inline(always)]
    fn reserve_after(&mut self, staged: &SpscStaged, len: usize) -> Result<Reserved, Refusal> {
        self.writer.reserve_after(&staged.frames, len)
    }

    #[inline(always)]
    fn contiguous_after(&mut self, staged: &SpscStaged) -> Room {
        self.writer.contiguous_after(&staged.frames)
    }

    #[inline(always)]
    fn stage(&mut self, staged: &mut SpscStaged, reserved: Reserved, len: usize) {
        // First, which lets the compiler check the framing once for this frame and the next.
        staged.count += 1;
        self.writer.stage(&mut staged.frames, reserved, len);
    }

    /// One store commits all frames.
    #[inline(always)]
    fn publish(&mut self, staged: SpscStaged, _whole: bool) -> Result<usize, Refusal> {
        self.writer.publish(staged.frames);
        Ok(staged.count)
    }

    /// The consumer releases room in larger pieces anyway.
    fn pause(&self) -> u32 {
        16
    }

    #[inline(always)]
    fn payload(&self, reserved: Reserved) -> *mut u8 {
        self.writer.payload(reserved)
    }

    fn position(&self) -> u64 {
        self.writer.position()
    }

    fn has_consumer(&self) -> std::io::Result<bool> {
        self.shared.is_role_taken(Role::Consumer)
    }
}
