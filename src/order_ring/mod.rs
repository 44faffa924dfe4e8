//! The order ring of an MPMC queue: its slots give the frames of all lanes one global order.
//! Positions are claimed, committed, taken and released here, and recovery removes the residue of
//! dead participants.
//!
//! # The protocol
//!
//! A position is claimed once and taken once; its slot has the index `position % slots`. The
//! meaning of the slot's state word ([`SlotState`]):
//!
//! ```text
//!   FREE(lap) --claim: intent, CAS tail--> still FREE(lap) --commit--> FULL(lap)
//!   FULL(lap) --take: intent, CAS head---> still FULL(lap) --mark----> HELD(lap, owner)
//!   HELD(lap, owner) --release--> FREE(lap + 1)        --reject, or its owner is dead--> REDELIVER(lap)
//!   REDELIVER(lap) --CAS--> HELD(lap, another owner)
//!   FREE(lap), claimed by a dead producer --recovery--> FREE(lap + 1)  (a tombstone: consumers skip it; [`tasks`])
//!   FULL(lap), taken by a dead consumer   --recovery--> REDELIVER(lap)
//! ```
//!
//! 1. A producer writes its frames into its own lane, completely. Then it checks that the slots of
//!    the next positions are free, stores its **intent** (which positions) into its registry entry,
//!    and moves `tail` over them by CAS. It fills in the slots and stores their states, in order
//!    (`SYNC commit`).
//! 2. A consumer checks that the slot at `head` is FULL, stores its intent, moves `head` by CAS,
//!    and marks the slots HELD with its own number before it reads. Both may guess where the
//!    cursors are ([`guess`]): the CAS decides.
//! 3. The holder of a frame stores FREE of the next lap when it is done (`SYNC release`). In any
//!    order, from any thread.
//! 4. A participant proves that it is alive by a kernel lock, its liveness lock. The residue of a
//!    dead participant is found by its registry entry: [`recovery`].
//!
//! ## Why recovery knows what it may touch
//!
//! *Claim.* If position `q` is below `tail` and its slot is FREE, or below `head` and FULL, then
//! the intent in the entry of the participant that won the CAS covers `q`, for as long as that is
//! so.
//! *Proof.* The winner stores the intent before the CAS (Release, and the CAS releases as well), so
//! a participant that sees the cursor past `q` sees the intent or a later one of the same entry.
//! The owner stores a later intent only after it has moved the slots of this one. The store of an
//! intent is Release (`SYNC intent`), so a participant that sees the later intent also sees the
//! slots moved. An entry is not given to a new owner before recovery has found nothing of the old
//! owner's intents left. ∎
//!
//! So, under the recovery lock, a position that is below a cursor, does not move, and is covered by
//! no *living* participant's intent belongs to a dead one, and no participant will ever move it.
//! Recovery moves it by CAS, from exactly the word that it examined. It reads the cursors first: a
//! participant that claims later claims positions after them. Then it reads the intents, and
//! whether their owners are alive: a participant that claimed before the cursors were read has its
//! intent there, and its liveness lock, until it has moved the position or is dead.
//!
//! An intent may cover positions that its owner did not win: after a failed CAS the owner clears
//! it. A living owner that is paused before that keeps positions of dead participants from being
//! recovered; that is one of the limits of the promise.
//!
//! ## Why no frame is read while it is written, or written while it is read
//!
//! `SYNC commit`: payload and slot are written before the state FULL (Release); a consumer reads
//! them after it saw FULL or REDELIVER (Acquire). `SYNC release`: a consumer's reads come before
//! FREE (Release); a producer claims the slot, or reuses the lane's bytes, after it saw a state of
//! a later lap (Acquire).
//!
//! A producer need not read the slots of frames that are a lap or more before a position `q` that
//! it has claimed, or whose slot it has seen claimed (`lane/live_frames.rs`). With `n` slots, the
//! participant that claimed `p + n`, for any `p <= q - n`, had seen the slot of `p` free for it
//! (Acquire), so that the reads of `p` came before its CAS on `tail`, which releases. Each claim
//! acquires the CAS before it and releases its own: they form one chain, and the claim of `q` comes
//! after them in it.
//!
//! ## Why there are never more messages than the bound, and why a claim needs one slot only
//!
//! A queue may hold fewer messages than it has slots: at most `n` of `N`. Then a claim of position
//! `p` requires that position `p - n` was released. Its slot shows that: it is also the slot of
//! `p - n + N`, which is `slack = N - n` positions after `p`, and is FREE for that one from the
//! release on. (It cannot have been claimed for it yet, because that comes after `p`.) So the claim
//! examines the slot of `p + slack`, where it would otherwise examine that of `p`.
//!
//! *Claim.* Positions `[tail - n, tail)` are all that may be claimed and not released. *Proof.* The
//! claim of each `p` has seen `p - n` released, and the claims before it have seen the positions
//! before that one. ∎
//!
//! *Claim.* The slot of `p` is free when `p` is claimed, and the claimer has acquired the release of
//! its last frame, that of `p - N`. *Proof.* For `slack = 0` it is what was examined. Else `p - slack`
//! was claimed before `p`, by a participant that saw `p - slack - n = p - N` released (Acquire), and
//! the chain of the CASes on `tail` leads from that claim to this one. Nothing but the claimer of `p`
//! moves the slot on from there. In a new ring each slot is free for the first position that it is
//! of. ∎
//!
//! Room is made in order: a message that is held keeps the position `n` after its own from being
//! claimed, though others between them are released.
//!
//! ## Why every frame that is to be redelivered is
//!
//! A REDELIVER is stored before `redelivery_epoch` is raised (Release, `SYNC redelivery`). A
//! consumer reads the epoch (Acquire) before it scans all slots, and remembers the value that it
//! read: a slot that becomes REDELIVER after the scan has passed it raises the epoch again.
//!
//! # Progress
//!
//! Claiming and taking are lock-free: a CAS fails only because another one succeeded. Committing,
//! releasing and rejecting are wait-free. No participant waits for a lock, except to be the one
//! that runs recovery. A participant that is paused between the CAS and the last state of a claim
//! or take keeps that position, and consumers do not pass it.
//!
//! # Types
//!
//! [`OrderRing`] is what every process sees of a queue, also without taking part: how full it is,
//! which participants there are, and recovery. Its words are private. An [`Entry`] is a participant
//! that has attached, and owns its liveness lock; it releases frames, from any thread. A
//! [`Producer`] is an entry together with the guess at `tail`, and claims and commits; a
//! [`Consumer`] is an entry together with a [`TakeState`], and takes. So no operation of a
//! participant can be called without its liveness lock, or for another entry.
//!
//! The whole protocol is checked in models (`model/`), which also contain the mistakes that are
//! easily made here.

mod blocked;
pub(crate) mod broadcast;
mod claim;
mod counters;
mod crash_point;
mod dead_letters;
mod entry;
mod entry_set;
mod guess;
mod held;
mod intent;
mod occupancy;
mod recovery;
mod redelivery;
mod registry;
mod release;
mod take;
mod tasks;
mod unsettled;
mod walk;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use blocked::Blocked;
pub(crate) use claim::{Claimed, NotClaimed, Producer};
pub(crate) use counters::EntryCounters;
pub(crate) use dead_letters::SentDeadLetter;
pub(crate) use entry::{Entry, EntryLock};
pub(crate) use entry_set::EntrySet;
pub(crate) use guess::CursorGuess;
pub(crate) use recovery::Recovered;
use redelivery::RedeliveryScan;
pub(crate) use registry::Registry;
pub(crate) use release::HeldSlot;
#[cfg(test)]
use take::TakenPositions;
pub(crate) use take::{Consumer, NotTaken, TakeState, TakenSlot};
pub(crate) use unsettled::{Unsettled, Watched};

use crate::lane::Ref;
use crate::layout::order::{Head, PackedFrameRef, SlotState, Tail, position_limit};
use crate::layout::{OrderCursors, OriginWords, Policy, Rare, RegistryEntry, Slot};
use crate::sync::{AtomicU64, Ordering};

/// False in a build for `scripts/cost-of.sh`, which measures the cost of recoverability.
const IS_RECOVERABLE: bool = !cfg!(ringway_no_recovery);

/// Tells living participants from dead ones: the kernel, or a model of it.
pub(crate) trait LivenessProbe {
    /// Whether a living participant holds the liveness lock of entry `index`. In doubt, yes.
    fn is_alive(&self, index: usize) -> bool;
}

/// The frame that a slot refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameRef {
    pub(crate) lane: usize,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// Additional words for each slot that some queues have: of each kind as many as slots, or none.
#[derive(Clone)]
pub(crate) struct SlotExtras {
    /// Dead-letter queues: the origins of the messages.
    pub(crate) origins: Ref<[OriginWords]>,
    /// Queues that dead-letter messages: the process that held the frame before it was returned to
    /// the queue.
    pub(crate) holders: Ref<[AtomicU64]>,
}

/// The shared words of an MPMC queue.
#[derive(Clone)]
pub(crate) struct OrderRing {
    rare: Ref<Rare>,
    cursors: Ref<OrderCursors>,
    slots: Ref<[Slot]>,
    extras: SlotExtras,
    entries: Ref<[RegistryEntry]>,
    policy: Policy,
    shift: u32,
    /// Number of slots, less one.
    mask: u64,
    /// Number of slots, less the maximum of messages: a position may be claimed when the slot of the
    /// position that is this much further on is free for that one.
    slack: u64,
    /// No position from this one on is claimed.
    limit: u64,
}

impl OrderRing {
    /// `slots.len()` must be a power of two.
    pub(crate) fn new(
        rare: Ref<Rare>,
        cursors: Ref<OrderCursors>,
        slots: Ref<[Slot]>,
        extras: SlotExtras,
        entries: Ref<[RegistryEntry]>,
        policy: Policy,
    ) -> Self {
        assert!(slots.len().is_power_of_two(), "geometry was checked");
        let shift = slots.len().trailing_zeros();
        let (mask, limit) = (slots.len() as u64 - 1, position_limit(shift));
        Self { rare, cursors, slots, extras, entries, policy, shift, mask, slack: 0, limit }
    }

    /// The same ring for at most this many messages: from 1 to the number of slots.
    pub(crate) fn bounded(self, max_messages: u64) -> Self {
        assert!((1..=self.count()).contains(&max_messages), "geometry was checked");
        Self { slack: self.count() - max_messages, ..self }
    }

    /// The maximum of positions that are claimed and not released.
    #[inline(always)]
    pub(crate) fn max_messages(&self) -> u64 {
        self.count() - self.slack
    }

    /// The number of slots.
    #[inline(always)]
    pub(crate) fn count(&self) -> u64 {
        self.mask + 1
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    #[inline(always)]
    fn index_of(&self, position: u64) -> usize {
        (position & self.mask) as usize
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "several times a message, and the bound is a mask")]
    fn slot(&self, position: u64) -> &Slot {
        // SAFETY: a slot is at most `mask`, which `new` made one less than the number of slots;
        // neither ever changes.
        unsafe { self.slots.get_unchecked(self.index_of(position)) }
    }

    /// The state of a position's slot, whichever position the state is about. Ordered like
    /// [`state`](Self::state).
    #[inline(always)]
    fn state_at(&self, position: u64) -> SlotState {
        self.slot_at(position).state()
    }

    #[inline(always)]
    fn lap(&self, position: u64) -> u64 {
        position >> self.shift
    }

    /// The position that the state of slot `slot` is about.
    #[inline(always)]
    fn position(&self, state: SlotState, slot: usize) -> u64 {
        state.lap() << self.shift | slot as u64
    }

    #[inline(always)]
    fn tail(&self) -> Tail {
        Tail(self.cursors.tail.load(Ordering::Acquire))
    }

    #[inline(always)]
    fn head(&self) -> Head {
        Head(self.cursors.head.load(Ordering::Acquire))
    }

    /// `SYNC commit`, `SYNC release`: everything before the store of the state that is seen is seen
    /// too.
    #[inline(always)]
    fn state(&self, slot: usize) -> SlotState {
        SlotState(self.slots[slot].state.load(Ordering::Acquire))
    }

    /// The frame that the slot refers to. Meaningful only if the state was FULL, HELD or REDELIVER
    /// of its position before, and no participant moves the slot.
    #[inline(always)]
    fn frame_ref(link: &Slot) -> FrameRef {
        let place = PackedFrameRef(link.frame.load(Ordering::Relaxed));
        FrameRef { lane: place.lane(), offset: place.offset(), len: place.len() }
    }
}
