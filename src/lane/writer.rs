//! The producer's side of a lane, for either framing.

use super::{Corruption, LaneMemory, Ref, Refusal, Reserved, Room, Staged, fixed, variable};
use crate::layout::{Cursors, Framing, Geometry};

/// Reserves room, then commits complete frames one by one or several together.
pub(crate) enum LaneWriter {
    Variable(variable::VariableWriter),
    Fixed(fixed::FixedWriter),
}

impl LaneWriter {
    /// Takes over the lane. The caller must hold the producer's liveness lock.
    pub(crate) fn attach(
        memory: LaneMemory,
        cursors: Ref<Cursors>,
        geometry: &Geometry,
    ) -> Result<Self, Corruption> {
        Ok(match geometry.framing {
            Framing::Variable => Self::Variable(variable::VariableWriter::attach(memory, cursors, geometry)?),
            Framing::Fixed { .. } => Self::Fixed(fixed::FixedWriter::attach(memory, cursors, geometry)?),
        })
    }

    /// Finds room for one frame. The caller may write its payload until it commits it or reserves anew.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, len: usize) -> Result<Reserved, Refusal> {
        let reserved = match self {
            Self::Variable(writer) => writer.reserve(writer.tail(), len),
            Self::Fixed(writer) => writer.reserve(len),
        }?;
        self.memory().note_write(reserved.offset, len);
        Ok(reserved)
    }

    /// Commits the one frame that was reserved.
    #[inline(always)]
    pub(crate) fn commit(&mut self, reserved: Reserved, len: usize) {
        match self {
            Self::Variable(writer) => writer.commit(reserved, len),
            Self::Fixed(writer) => writer.commit(),
        }
    }

    /// Begins a batch. Dropping the result abandons the batch.
    #[inline(always)]
    pub(crate) fn begin(&self) -> Staged {
        match self {
            Self::Variable(writer) => Staged::at(writer.tail()),
            Self::Fixed(writer) => writer.begin(),
        }
    }

    /// Finds room for one frame after what is staged. The caller may write its payload until it
    /// stages it or abandons the batch.
    #[inline(always)]
    pub(crate) fn reserve_after(&mut self, staged: &Staged, len: usize) -> Result<Reserved, Refusal> {
        let reserved = match self {
            Self::Variable(writer) => writer.reserve(staged.end, len),
            Self::Fixed(writer) => writer.reserve_after(staged, len),
        }?;
        self.memory().note_write(reserved.offset, len);
        Ok(reserved)
    }

    /// Adds a complete frame to the batch.
    #[inline(always)]
    pub(crate) fn stage(&self, staged: &mut Staged, reserved: Reserved, len: usize) {
        match self {
            Self::Variable(writer) => writer.stage(staged, reserved, len),
            Self::Fixed(writer) => writer.stage(staged),
        }
    }

    /// Commits a whole batch: a crash leaves all of it or nothing.
    #[inline(always)]
    pub(crate) fn publish(&mut self, staged: Staged) {
        match self {
            Self::Variable(writer) => writer.publish(staged),
            Self::Fixed(writer) => writer.publish(staged),
        }
    }

    /// The room that needs no padding.
    #[inline(always)]
    pub(crate) fn contiguous(&self) -> Room {
        match self {
            Self::Variable(writer) => room(writer.contiguous(writer.tail())),
            Self::Fixed(_) => Room::FixedLen,
        }
    }

    /// Like [`contiguous`](Self::contiguous), after what is staged.
    #[inline(always)]
    pub(crate) fn contiguous_after(&self, staged: &Staged) -> Room {
        match self {
            Self::Variable(writer) => room(writer.contiguous(staged.end)),
            Self::Fixed(_) => Room::FixedLen,
        }
    }

    /// Finds room for one frame while waiting for it. Attempts that are not `exact` do not read the
    /// consumer's hot line, and see released room a little later.
    pub(crate) fn reserve_waiting(&mut self, len: usize, exact: bool) -> Result<Reserved, Refusal> {
        self.set_exact(exact);
        let found = self.reserve(len);
        self.set_exact(true);
        found
    }

    fn set_exact(&mut self, exact: bool) {
        match self {
            Self::Variable(writer) => writer.set_exact(exact),
            Self::Fixed(writer) => writer.set_exact(exact),
        }
    }

    /// The first byte of a reserved payload.
    #[inline(always)]
    pub(crate) fn payload(&self, reserved: Reserved) -> *mut u8 {
        self.memory().payload(reserved.offset)
    }

    #[inline(always)]
    fn memory(&self) -> &LaneMemory {
        match self {
            Self::Variable(writer) => writer.memory(),
            Self::Fixed(writer) => writer.memory(),
        }
    }

    /// The writer's position: everything before it is committed.
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::Variable(writer) => writer.tail(),
            Self::Fixed(writer) => writer.tail(),
        }
    }
}

#[inline(always)]
fn room(contiguous: Option<(Reserved, usize)>) -> Room {
    contiguous.map_or(Room::Unknown, |(reserved, len)| Room::UpTo(reserved, len))
}
