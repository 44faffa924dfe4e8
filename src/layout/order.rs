//! The meaning of the bits in the words of an MPMC queue's order ring. Plain numbers, no atomic
//! operation.
//!
//! ```text
//! state of a slot   63                  18 17       6 5     2 1     0
//!                  +----------------------+----------+-------+-------+
//!                  | lap                  | owner    | redel | kind  |
//!                  +----------------------+----------+-------+-------+
//! tail              position << 2 | CLOSED << 1
//! head              position << 1
//! intent            first position << 8 | how many; 0: none
//! entry's word      generation << 2 | role << 1 | DIRTY
//! ```
//!
//! `lap` is the position divided by the number of slots, so that a state says which position it is about.

/// The state of a slot's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotKind {
    /// To be claimed, or claimed and not committed yet. `owner` and `redeliveries` are 0.
    Free,
    /// Committed, or taken and not marked HELD yet. `owner` is 0.
    Full,
    /// A guard of participant `owner` holds the frame.
    Held,
    /// To be redelivered. `owner` is 0.
    Redeliver,
}

const KIND_BITS: u32 = 2;
const REDELIVERY_BITS: u32 = 4;
const OWNER_BITS: u32 = 12;
const REDELIVERY_SHIFT: u32 = KIND_BITS;
const OWNER_SHIFT: u32 = REDELIVERY_SHIFT + REDELIVERY_BITS;
const LAP_SHIFT: u32 = OWNER_SHIFT + OWNER_BITS;
const LAP_BITS: u32 = u64::BITS - LAP_SHIFT;

/// The count of redeliveries stops at this.
pub(crate) const MAX_REDELIVERIES: u64 = (1 << REDELIVERY_BITS) - 1;
/// Maximum number of participants: the owner field can tell no more apart.
pub(crate) const MAX_PARTICIPANTS: u64 = 1 << OWNER_BITS;

/// A slot's state word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotState(pub(crate) u64);

impl SlotState {
    #[inline(always)]
    const fn new(lap: u64, owner: u64, redeliveries: u64, kind: SlotKind) -> Self {
        Self(lap << LAP_SHIFT | owner << OWNER_SHIFT | redeliveries << REDELIVERY_SHIFT | kind as u64)
    }

    #[inline(always)]
    pub(crate) const fn free(lap: u64) -> Self {
        Self::new(lap, 0, 0, SlotKind::Free)
    }

    #[inline(always)]
    pub(crate) const fn full(lap: u64) -> Self {
        Self::new(lap, 0, 0, SlotKind::Full)
    }

    #[inline(always)]
    pub(crate) const fn held(lap: u64, owner: usize, redeliveries: u64) -> Self {
        Self::new(lap, owner as u64, redeliveries, SlotKind::Held)
    }

    /// To be redelivered, as redelivery number `redeliveries`; the count stops at [`MAX_REDELIVERIES`].
    #[inline(always)]
    pub(crate) const fn redeliver(lap: u64, redeliveries: u64) -> Self {
        Self::new(
            lap,
            0,
            if redeliveries < MAX_REDELIVERIES { redeliveries } else { MAX_REDELIVERIES },
            SlotKind::Redeliver,
        )
    }

    #[inline(always)]
    pub(crate) const fn lap(self) -> u64 {
        self.0 >> LAP_SHIFT
    }

    #[inline(always)]
    pub(crate) const fn owner(self) -> usize {
        (self.0 >> OWNER_SHIFT & ((1 << OWNER_BITS) - 1)) as usize
    }

    #[inline(always)]
    pub(crate) const fn redeliveries(self) -> u64 {
        self.0 >> REDELIVERY_SHIFT & MAX_REDELIVERIES
    }

    #[inline(always)]
    pub(crate) const fn kind(self) -> SlotKind {
        match self.0 & ((1 << KIND_BITS) - 1) {
            0 => SlotKind::Free,
            1 => SlotKind::Full,
            2 => SlotKind::Held,
            _ => SlotKind::Redeliver,
        }
    }
}

impl std::fmt::Debug for SlotState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}(lap {}", self.kind(), self.lap())?;
        if self.kind() == SlotKind::Held {
            write!(f, ", owner {}", self.owner())?;
        }
        write!(f, ", redeliveries {})", self.redeliveries())
    }
}

/// Set when nothing may be claimed any more. (Bit 0 of both cursors is reserved.)
const CLOSED: u64 = 2;
const TAIL_SHIFT: u32 = 2;
const HEAD_SHIFT: u32 = 1;

/// The `tail` word: next position to claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail(pub(crate) u64);

impl Tail {
    pub(crate) const fn at(position: u64) -> Self {
        Self(position << TAIL_SHIFT)
    }

    #[inline(always)]
    pub(crate) const fn position(self) -> u64 {
        self.0 >> TAIL_SHIFT
    }

    /// The word with the position advanced by `count`.
    #[inline(always)]
    pub(crate) const fn claimed(self, count: u64) -> Self {
        // Wrapping: a corrupt word must not cause a panic.
        Self(self.0.wrapping_add(count << TAIL_SHIFT))
    }

    /// Whether the queue is closed: nothing may be claimed any more.
    #[inline(always)]
    pub(crate) const fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    /// The bit that closing sets.
    pub(crate) const CLOSED: u64 = CLOSED;
}

/// The `head` word: next position to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head(pub(crate) u64);

impl Head {
    pub(crate) const fn at(position: u64) -> Self {
        Self(position << HEAD_SHIFT)
    }

    #[inline(always)]
    pub(crate) const fn position(self) -> u64 {
        self.0 >> HEAD_SHIFT
    }

    /// The word with the position advanced by `count`.
    #[inline(always)]
    pub(crate) const fn taken(self, count: u64) -> Self {
        Self(self.0.wrapping_add(count << HEAD_SHIFT))
    }
}

const INTENT_COUNT_BITS: u32 = 8;
/// Maximum number of positions that one claim or one take covers.
pub(crate) const MAX_BATCH: u64 = (1 << INTENT_COUNT_BITS) - 1;

/// The positions that a participant is about to claim or take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intent(pub(crate) u64);

impl Intent {
    pub(crate) const NONE: Self = Self(0);

    #[inline(always)]
    pub(crate) const fn new(position: u64, count: u64) -> Self {
        Self(position << INTENT_COUNT_BITS | count)
    }

    pub(crate) fn positions(self) -> std::ops::Range<u64> {
        let first = self.0 >> INTENT_COUNT_BITS;
        first..first + (self.0 & MAX_BATCH)
    }
}

/// The first position that is refused in a ring of `2^shift` slots: below it no lap, intent or
/// cursor overflows.
pub(crate) const fn position_limit(shift: u32) -> u64 {
    let by_lap = LAP_BITS + shift;
    let by_intent = u64::BITS - INTENT_COUNT_BITS;
    // One batch, and one lap of tombstones, may lie after the limit.
    (1 << if by_lap < by_intent { by_lap } else { by_intent }) - (1 << (shift + 1)) - (MAX_BATCH + 1)
}

/// A registry entry's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryWord(pub(crate) u64);

/// The role of an entry's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryRole {
    Producer,
    Consumer,
}

impl EntryWord {
    const DIRTY: u64 = 1;
    const CONSUMER: u64 = 2;
    const GENERATION_SHIFT: u32 = 2;

    /// Whether the entry has an owner, or had one that died and was not recovered.
    pub(crate) const fn is_dirty(self) -> bool {
        self.0 & Self::DIRTY != 0
    }

    pub(crate) const fn role(self) -> EntryRole {
        if self.0 & Self::CONSUMER != 0 { EntryRole::Consumer } else { EntryRole::Producer }
    }

    /// The number of owners that the entry has had.
    pub(crate) const fn generation(self) -> u64 {
        self.0 >> Self::GENERATION_SHIFT
    }

    /// The word once the next owner has attached.
    pub(crate) const fn attached(self, role: EntryRole) -> Self {
        let role = match role {
            EntryRole::Producer => 0,
            EntryRole::Consumer => Self::CONSUMER,
        };
        Self((self.generation() + 1) << Self::GENERATION_SHIFT | role | Self::DIRTY)
    }

    /// The word once no residue of its owner is left.
    pub(crate) const fn cleaned(self) -> Self {
        Self(self.0 & !Self::DIRTY)
    }
}

/// Where a frame lies and how long it is, in one word: lane:12 | offset / 8:25 | length:27. These
/// widths limit the number of participants and the size of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedFrameRef(pub(crate) u64);

impl PackedFrameRef {
    const LEN_BITS: u32 = 27;
    const LANE_SHIFT: u32 = 64 - MAX_PARTICIPANTS.trailing_zeros();
    /// Offsets are multiples of this.
    pub(crate) const UNIT: u64 = 8;
    /// Bytes of the largest lane: the length field can hold any frame in it, which takes at most a
    /// little less than half of it.
    pub(crate) const MAX_LANE: u64 = Self::UNIT << (Self::LANE_SHIFT - Self::LEN_BITS);

    #[inline(always)]
    pub(crate) const fn new(lane: usize, offset: u64, len: u64) -> Self {
        Self((lane as u64) << Self::LANE_SHIFT | (offset / Self::UNIT) << Self::LEN_BITS | len)
    }

    /// Bytes of the payload.
    #[inline(always)]
    pub(crate) const fn len(self) -> u64 {
        self.0 & ((1 << Self::LEN_BITS) - 1)
    }

    #[inline(always)]
    pub(crate) const fn lane(self) -> usize {
        (self.0 >> Self::LANE_SHIFT) as usize
    }

    #[inline(always)]
    pub(crate) const fn offset(self) -> u64 {
        (self.0 >> Self::LEN_BITS & (Self::MAX_LANE / Self::UNIT - 1)) * Self::UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_apart_as_they_were_put_together() {
        let lap = (1 << LAP_BITS) - 1;
        let owner = MAX_PARTICIPANTS as usize - 1;
        for (state, kind, owner, redeliveries) in [
            (SlotState::free(lap), SlotKind::Free, 0, 0),
            (SlotState::full(lap), SlotKind::Full, 0, 0),
            (SlotState::held(lap, owner, 7), SlotKind::Held, owner, 7),
            (SlotState::redeliver(lap, 99), SlotKind::Redeliver, 0, MAX_REDELIVERIES),
        ] {
            assert_eq!(
                (state.lap(), state.kind(), state.owner(), state.redeliveries()),
                (lap, kind, owner, redeliveries)
            );
        }
        assert_eq!(SlotState::free(0).0, 0, "a new file's slots are free");
    }

    #[test]
    fn cursors_keep_the_closed_bit() {
        assert_eq!(Tail::at(5).claimed(3), Tail::at(8));
        assert!(Tail(Tail::at(5).0 | CLOSED).is_closed() && !Tail::at(5).is_closed());
        assert_eq!(Tail(Tail::at(5).0 | CLOSED).position(), 5);
        assert_eq!(Head::at(5).taken(3), Head::at(8));
    }

    #[test]
    fn nothing_overflows_below_the_limit() {
        for shift in [1, 10, 20] {
            let last = position_limit(shift) + MAX_BATCH + (1 << shift);
            assert_eq!(Intent::new(last, MAX_BATCH).positions(), last..last + MAX_BATCH);
            assert_eq!(SlotState::full((last >> shift) + 1).lap(), (last >> shift) + 1);
            assert_eq!(Tail::at(last).position(), last);
        }
        assert!(Intent::NONE.positions().is_empty());
    }

    #[test]
    fn entries_count_their_owners() {
        let first = EntryWord(0).attached(EntryRole::Consumer);
        assert!(first.is_dirty() && first.role() == EntryRole::Consumer && first.generation() == 1);
        let second = first.cleaned().attached(EntryRole::Producer);
        assert!(!first.cleaned().is_dirty());
        assert_eq!((second.role(), second.generation()), (EntryRole::Producer, 2));
        let (lane, offset, len) = (4095, PackedFrameRef::MAX_LANE - 8, PackedFrameRef::MAX_LANE / 2 - 1);
        let place = PackedFrameRef::new(lane, offset, len);
        assert_eq!((place.lane(), place.offset(), place.len()), (lane, offset, len));
    }
}
