//! The order of an MPMC queue: links, which give the frames of many lanes one global order; claiming, committing,
//! taking and releasing them; and recovering what the dead have left.
//!
//! # The protocol
//!
//! A position is claimed once and taken once; its link is slot `position % links`. What its state word says
//! ([`SlotState`]):
//!
//! ```text
//!   FREE(lap) --claim: intent, CAS tail--> still FREE(lap) --commit--> FULL(lap)
//!   FULL(lap) --take: intent, CAS head---> still FULL(lap) --mark----> HELD(lap, owner)
//!   HELD(lap, owner) --release--> FREE(lap + 1)        --reject, or its owner is dead--> REDELIVER(lap)
//!   REDELIVER(lap) --CAS--> HELD(lap, another owner)
//!   FREE(lap), claimed by a dead one --recovery--> FREE(lap + 1)     (a tombstone: consumers pass it)
//!   FULL(lap), taken by a dead one   --recovery--> REDELIVER(lap)
//! ```
//!
//! 1. A producer writes its frames into its own lane, completely. Then it attempts whether the links of the next positions
//!    are free, stores its **intent** (which positions) into its registry entry, and moves `tail` over them by CAS. It
//!    fills in the links and stores their states, in order (`SYNC commit`).
//! 2. A consumer attempts whether the link at `head` is FULL, stores its intent, moves `head` by CAS, and marks the links
//!    HELD with its own number before it reads. Where the cursors are, both may guess ([`guess`]): the CAS tells.
//! 3. Whoever holds a frame stores FREE of the next lap when it is done (`SYNC release`). In any order, from any thread.
//! 4. A participant proves that it is alive by a kernel lock, its liveness lock. What a dead one has left is found by its
//!    entry: [`recovery`].
//!
//! ## Why recovery knows what it may touch
//!
//! *Claim.* If position `q` is below `tail` and its link is FREE, or below `head` and FULL, then the intent in the entry
//! of the one that won the CAS covers `q`, for as long as that is so.
//! *Proof.* The winner stores the intent before the CAS (Release, and the CAS releases as well), so whoever sees the
//! cursor past `q` sees the intent or a later one of the same entry. The owner stores a later intent only after it has
//! moved the links of this one: the store of an intent is Release (`SYNC intent`), so whoever sees the later intent
//! also sees the links moved. An entry is not given to a new owner before recovery has found nothing of the old one's
//! intents left. ∎
//!
//! So, under the recovery lock, a position below a cursor that stands still and that no *living* participant's intent covers
//! belongs to a dead one, and nobody will ever move it: it is moved from exactly the word that was examined, by CAS. The cursors
//! are read first: whoever claims later claims behind them. Then the intents, and whether their owners are alive: whoever has
//! claimed before that has its intent there, and its liveness lock, until it has moved the position or is dead.
//!
//! An intent may cover positions that its owner did not get: a failed CAS clears it. A living owner that is paused
//! before that keeps others' dead positions from being recovered; that is one of the limits of the promise.
//!
//! ## Why no frame is read while it is written, or written while it is read
//!
//! `SYNC commit`: payload and link are written before the state FULL (Release); a consumer reads them after it saw FULL
//! or REDELIVER (Acquire). `SYNC release`: a consumer's reads come before FREE (Release); a producer claims the link, or
//! reuses the lane's bytes, after it saw a state of a later lap (Acquire).
//!
//! A producer need not look at the links of frames that are a lap behind a position `q` that it has claimed, or whose link it
//! has seen claimed (`lane/live_frames.rs`): with `n` links, whoever claimed `p + n`, for any `p <= q - n`, had seen the link of
//! `p` free for it (Acquire), so that the reads of `p` came before its CAS on `tail`, which releases. Each claim acquires the
//! CAS before it and releases its own: they are one chain, and that of `q` comes behind them.
//!
//! ## Why every frame that is to come again does
//!
//! A REDELIVER is stored before `redelivery_epoch` is raised (Release, `SYNC redelivery`). A consumer reads the epoch (Acquire) before it
//! attempts through all links, and remembers that one: whatever becomes REDELIVER behind its back raises the epoch again.
//!
//! # Progress
//!
//! Claiming and taking are lock-free: a CAS fails only because another one succeeded. Committing, releasing and rejecting
//! are wait-free. Nobody waits for a lock but for being the one that recovers. A participant that is paused between CAS
//! and the last state of a claim or take keeps that position, and consumers do not pass it.
//!
//! The whole is checked in models (`model/`), which also hold the mistakes that are easily made here.

mod blocked;
mod claim;
mod crash_point;
mod dead_letters;
mod entry;
mod entry_set;
mod guess;
mod recovery;
mod redelivery;
mod take;
mod unsettled;
mod walk;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use blocked::Blocked;
pub(crate) use claim::{Claimed, NotClaimed};
pub(crate) use dead_letters::SentDeadLetter;
pub(crate) use entry_set::EntrySet;
pub(crate) use guess::CursorGuess;
pub(crate) use recovery::Recovered;
pub(crate) use redelivery::RedeliveryScan;
#[cfg(test)]
use take::TakenPositions;
pub(crate) use take::{HeldSlot, NotTaken, TakenSlot};
pub(crate) use unsettled::{Unsettled, Watched};
use walk::count_while;

use crate::lane::mpmc::AdoptedFrame;
use crate::lane::{Corruption, Ref};
use crate::layout::order::{
    EntryRole, EntryWord, Head, Intent, PackedFrameRef, SlotKind, SlotState, Tail, position_limit,
};
use crate::layout::{OrderCursors, OriginWords, Policy, Rare, RegistryEntry, Slot};
use crate::sync::{AtomicU64, Ordering};

/// Not in a build for `scripts/cost-of.sh`, which asks what it costs that the dead can be recovered.
const IS_RECOVERABLE: bool = !cfg!(ringway_no_recovery);

/// Tells the living from the dead: the kernel, or a model of it.
pub(crate) trait LivenessProbe {
    /// Whether a living participant holds the liveness lock of entry `index`. In doubt, yes.
    fn is_alive(&self, index: usize) -> bool;
}

/// What a link refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameRef {
    pub(crate) lane: usize,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// What some queues have for each link besides, of each as many as links, or none.
#[derive(Clone)]
pub(crate) struct SlotExtras {
    /// Dead-letter queues: where the messages come from.
    pub(crate) origins: Ref<[OriginWords]>,
    /// Queues whose messages may become dead origins: the process that held the frame before it was to be delivered again.
    pub(crate) holders: Ref<[AtomicU64]>,
}

/// The shared words of an MPMC queue.
#[derive(Clone)]
pub(crate) struct OrderRing {
    pub(crate) rare: Ref<Rare>,
    pub(crate) cursors: Ref<OrderCursors>,
    pub(crate) slots: Ref<[Slot]>,
    extras: SlotExtras,
    pub(crate) entries: Ref<[RegistryEntry]>,
    pub(crate) policy: Policy,
    shift: u32,
    /// Number of links, less one.
    mask: u64,
    /// No position from here on is claimed.
    limit: u64,
}

impl OrderRing {
    /// `links` are a power of two.
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
        Self { rare, cursors, slots, extras, entries, policy, shift, mask, limit }
    }

    /// How many links there are.
    #[inline(always)]
    pub(crate) fn count(&self) -> u64 {
        self.mask + 1
    }

    #[inline(always)]
    fn index_of(&self, position: u64) -> usize {
        (position & self.mask) as usize
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "several times a message, and the bound is a mask")]
    fn slot(&self, position: u64) -> &Slot {
        // SAFETY: a slot is at most `mask`, which `new` made one less than the number of slots; neither ever changes.
        unsafe { self.slots.get_unchecked(self.index_of(position)) }
    }

    /// The state of a position's link, whatever position that is about. As [`state`](Self::state).
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

    /// `SYNC commit`, `SYNC release`: what came before the state that is seen is seen too.
    #[inline(always)]
    fn state(&self, slot: usize) -> SlotState {
        SlotState(self.slots[slot].state.load(Ordering::Acquire))
    }

    /// How many of the `most` positions from `first` on there are before the first whose frame may still be needed: the bytes of
    /// those, and their links, may be used again.
    pub(crate) fn count_reusable(&self, first: u64, most: u64) -> u64 {
        // SYNC release
        let count = count_while(self.run(first, most), |step| step.state().lap() > step.lap);
        if count == most {
            // They are likely to be asked for next, and to be claimed before long.
            self.prefetch_slots(first + count, most);
        }
        count
    }

    /// Whether the frame at this position is not needed any more.
    pub(crate) fn is_reusable(&self, position: u64) -> bool {
        // SYNC release
        self.state_at(position).lap() > self.lap(position)
    }

    /// What the link refers to. Only of use if the state was FULL, HELD or REDELIVER of its position before, and nobody moves it.
    #[inline(always)]
    fn frame_ref(link: &Slot) -> FrameRef {
        let place = PackedFrameRef(link.frame.load(Ordering::Relaxed));
        FrameRef { lane: place.lane(), offset: place.offset(), len: place.len() }
    }

    /// The frames that are still in `lane`, in the order of their positions, and maybe some that are over. The caller must hold the
    /// liveness lock of the lane's entry.
    pub(crate) fn frames_in(&self, lane: usize) -> Vec<AdoptedFrame> {
        let mut frames = Vec::new();
        for slot in 0..self.slots.len() {
            let state = self.state(slot);
            if state.kind() == SlotKind::Free {
                continue;
            }
            // If that is the place of a later position, it is in another lane, whose owner may write it meanwhile: all that was
            // written by owners of this lane was written before the caller got its liveness lock. Then this frame is over.
            let FrameRef { lane: found, offset, len } = Self::frame_ref(&self.slots[slot]);
            if found == lane {
                frames.push(AdoptedFrame { position: self.position(state, slot), offset, len });
            }
        }
        frames.sort_unstable_by_key(|frame| frame.position);
        frames
    }

    /// How many positions were claimed that nobody has taken yet, now or a moment ago.
    pub(crate) fn backlog(&self) -> u64 {
        let head = self.head().position();
        self.tail().position().saturating_sub(head)
    }

    /// How many frames were taken and are not over: held, on the way to that, or to be delivered again. A look at all links.
    pub(crate) fn held(&self) -> u64 {
        // What is taken behind this head is in the backlog, or not counted.
        let head = self.head().position();
        let is_out = |slot: usize| {
            let state = self.state(slot);
            match state.kind() {
                SlotKind::Free => false,
                SlotKind::Full => self.position(state, slot) < head,
                SlotKind::Held | SlotKind::Redeliver => true,
            }
        };
        (0..self.slots.len()).filter(|slot| is_out(*slot)).count() as u64
    }

    /// How many messages wait for a consumer, those to be delivered again included, now or a moment ago.
    pub(crate) fn waiting(&self) -> u64 {
        let is_redo = |slot: &usize| self.state(*slot).kind() == SlotKind::Redeliver;
        let again = match self.rare.redelivery_epoch.load(Ordering::Relaxed) {
            0 => 0,
            _ => (0..self.slots.len()).filter(is_redo).count() as u64,
        };
        self.backlog() + again
    }

    /// Checks what no operation attempts at again: the cursors.
    pub(crate) fn check(&self) -> Result<(), Corruption> {
        let (head, tail) = (self.head().position(), self.tail().position());
        let corruption = |word, found| Err(Corruption { word, position: tail, found });
        if tail > self.limit + self.count() + 256 {
            return corruption("tail", tail);
        }
        // `tail` was read last, so that it cannot be behind.
        if head > tail { corruption("head", head) } else { Ok(()) }
    }

    /// Says in one's entry which positions are about to be claimed, or taken; or none.
    #[inline(always)]
    fn store_intent(word: &AtomicU64, intent: Intent) {
        if IS_RECOVERABLE {
            word.store(intent.0, Ordering::Release);
        }
    }

    /// Adds to a word that only its owner writes.
    #[inline(always)]
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        // Wrapping: a word that makes no sense must not cause a panic.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// The word of an entry, and its role.
    pub(crate) fn entry_word(&self, index: usize) -> EntryWord {
        EntryWord(self.entries[index].word.load(Ordering::Acquire))
    }

    /// Whether somebody alive has that role.
    pub(crate) fn has_live(&self, role: EntryRole, probe: &impl LivenessProbe) -> bool {
        (0..self.entries.len()).any(|index| {
            let word = self.entry_word(index);
            word.is_dirty() && word.role() == role && probe.is_alive(index)
        })
    }
}
