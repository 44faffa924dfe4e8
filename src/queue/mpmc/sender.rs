//! One of the producers.
#![allow(unsafe_code, reason = "vouches for the room that the lane grants")]

use std::sync::Arc;

use super::blockage::Blockage;
use super::mapping::{allocate_lane, map_own_lane};
use super::member::Member;
use crate::error::AttachError;
use crate::lane::linked::{MOST_AHEAD, Placed, Writer};
use crate::lane::{Refusal, Room, Slot};
use crate::layout::order::{EntryRole, MAX_BATCH};
use crate::links::{Claimed, FrameRef, Guess, Links, NotClaimed, SentLetter};
use crate::prefetch;
use crate::queue::Shared;
use crate::queue::checksummed::serial::SerialSender;
use crate::queue::kind::Sender;
use crate::queue::trouble::Trouble;
use crate::wait::is_closer_look;

/// A sender that waits looks so seldom who is in its way that its looks are cheap.
const LOOKS_PER_BLOCKAGE: u64 = 8;

/// Most spin hints between two looks for room: some microseconds.
const MOST_PAUSE: u64 = 512;

/// So often at most does one call begin anew: words that make no sense must not keep it for ever.
const MOST_TURNS: u32 = 1 << 12;

pub(crate) struct MpmcSender {
    writer: Writer,
    /// Frames that are staged ...
    staged: Vec<Placed>,
    /// ... no more than this.
    most_staged: usize,
    blockage: Blockage,
    /// Where the next claim will begin.
    guess: Guess,
    /// Last, so that everything above is gone when the entry is free.
    member: Member,
}

/// The staged frames end here; they are listed in the sender.
pub(crate) struct MpmcStaged {
    end: u64,
    count: usize,
}

impl MpmcSender {
    pub(super) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        let member = Member::attach(Arc::clone(&shared), EntryRole::Producer)?;
        let (links, me, geometry) = (&member.links, member.me, shared.geometry());
        if !links.is_lane_ready(me) {
            allocate_lane(shared.file(), geometry, me).map_err(|source| shared.lane_failed(source))?;
            links.set_lane_ready(me);
        }
        let memory =
            map_own_lane(&shared, me).map_err(shared.not_mapped("mapping the lane", geometry.lane_len))?;
        let frames = links.frames_in(me);
        let writer = Writer::adopt(memory, 0, geometry, links.links.len(), &frames)
            .map_err(|damage| AttachError::Damaged(shared.damaged(damage)))?;
        let most_staged = MAX_BATCH.min(links.count()) as usize;
        let guess = Guess::at_tail(links);
        Ok(Self { writer, staged: Vec::new(), most_staged, blockage: Blockage::default(), guess, member })
    }

    #[inline(always)]
    pub(super) fn links(&self) -> &Links {
        &self.member.links
    }

    #[inline(always)]
    fn reserve_at(&mut self, at: u64, len: usize) -> Result<Slot, Refusal> {
        let links = &self.member.links;
        self.writer.reserve(at, len, |first, most| links.count_over(first, most))
    }

    /// The lane has no room. True if looking again may help.
    #[cold]
    fn lane_is_full(&self) -> bool {
        self.writer.oldest().is_some_and(|oldest| self.blockage.look_into(&self.member, oldest, false))
    }

    /// Claims positions, `least` of them or more.
    #[inline(always)]
    fn claim(&self, least: usize, most: usize) -> Result<Claimed, Refusal> {
        for _ in 0..MOST_TURNS {
            match self.member.links.claim(self.member.me, &self.guess, least as u64, most as u64) {
                Ok(claimed) => return Ok(claimed),
                Err(NotClaimed::Exhausted) => return Err(Refusal::Exhausted),
                Err(NotClaimed::Closed) => return Err(Refusal::Closed),
                Err(NotClaimed::Full(position)) => {
                    if !self.blockage.look_into(&self.member, position, false) {
                        break;
                    }
                }
            }
        }
        Err(self.full())
    }

    /// Claims one, at the first attempt or another.
    #[inline(always)]
    fn claim_next(&self) -> Result<u64, Refusal> {
        match self.member.links.claim_next(self.member.me, &self.guess) {
            Some(position) => Ok(position),
            None => self.claim_slowly(),
        }
    }

    #[cold]
    #[inline(never)]
    fn claim_slowly(&self) -> Result<u64, Refusal> {
        self.claim(1, 1).map(|claimed| claimed.first)
    }

    #[inline(always)]
    fn count_sent(&self, count: u64) {
        Links::add(&self.links().entries[self.member.me].own.sent, count);
    }

    /// Claims positions for the frames, from the first one on, and commits them. `seal` gets payload, length and position of
    /// each in between, where no more than constant time may pass for each.
    #[inline(always)]
    fn link(
        &mut self,
        frames: &[Placed],
        least: usize,
        mut seal: impl FnMut(*mut u8, usize, u64),
    ) -> Result<usize, Refusal> {
        let Claimed { first, count } = self.claim(least, frames.len())?;
        let frames = &frames[..count as usize];
        for (frame, position) in frames.iter().zip(first..) {
            seal(self.payload(self.writer.slot_of(*frame)), frame.len as usize, position);
        }
        let refs = frames.iter().map(|frame| self.frame_ref(*frame));
        self.member.links.commit_run(first, refs);
        self.writer.linked(first, frames);
        self.count_sent(count);
        Ok(count as usize)
    }

    /// Copies a dead letter and commits it.
    pub(super) fn send_letter(&mut self, payload: &[u8], letter: SentLetter) -> Result<(), Refusal> {
        let slot = self.reserve(payload.len())?;
        // SAFETY: the writer granted these bytes, mapped and for this sender alone; the letter comes from another file.
        unsafe { self.payload(slot).copy_from_nonoverlapping(payload.as_ptr(), payload.len()) };
        let position = self.claim_next()?;
        let frame = self.writer.place(slot, payload.len());
        self.links().commit_letter(position, self.frame_ref(frame), letter);
        self.writer.linked(position, &[frame]);
        self.count_sent(1);
        Ok(())
    }

    #[inline(always)]
    fn frame_ref(&self, frame: Placed) -> FrameRef {
        FrameRef { lane: self.member.me, offset: frame.offset, len: frame.len }
    }

    #[cold]
    fn full(&self) -> Refusal {
        Links::add(&self.links().entries[self.member.me].own.full, 1);
        Refusal::Full
    }
}

// SAFETY: the writer finds room in the lane, which is mapped for writing as long as it lives, and of a file, so that its
// bytes are initialised. Its lease makes this the only writer of the lane, and nobody reads what is not linked. Room
// behind staged frames begins where they end, and ends before the oldest frame whose link has not moved on.
unsafe impl Sender for MpmcSender {
    type Staged = MpmcStaged;

    #[inline(always)]
    fn shared(&self) -> &Shared {
        self.member.shared()
    }

    #[inline(always)]
    fn is_own_process(&self) -> bool {
        self.member.is_own_process()
    }

    #[inline(always)]
    fn reserve(&mut self, len: usize) -> Result<Slot, Refusal> {
        let slot = match self.reserve_at(self.writer.tail(), len) {
            Err(Refusal::Full) if self.lane_is_full() => self.reserve_at(self.writer.tail(), len)?,
            Err(Refusal::Full) => return Err(self.full()),
            found => found?,
        };
        // Small frames have all their lines asked for; batches got no faster by this.
        if len > MOST_AHEAD {
            prefetch::next_page_to_write(self.payload(slot), len);
        }
        Ok(slot)
    }

    fn reserve_patiently(&mut self, len: usize, looks: u64) -> Result<Slot, Refusal> {
        match self.reserve_at(self.writer.tail(), len) {
            Err(Refusal::Full) if is_closer_look(looks, LOOKS_PER_BLOCKAGE) && self.lane_is_full() => {
                self.reserve_at(self.writer.tail(), len)
            }
            found => found,
        }
    }

    #[inline(always)]
    fn contiguous(&mut self) -> Room {
        self.writer.contiguous(self.writer.tail())
    }

    #[inline(always)]
    fn commit(&mut self, slot: Slot, len: usize) -> Result<(), Refusal> {
        self.commit_sealed(slot, len, |_, _| {})
    }

    fn commit_patiently(&mut self, slot: Slot, len: usize, looks: u64) -> Result<(), Refusal> {
        if !is_closer_look(looks, LOOKS_PER_BLOCKAGE) && !self.links().has_free() {
            return Err(Refusal::Full);
        }
        self.commit(slot, len)
    }

    fn may_commit(&self, looks: u64) -> bool {
        let links = self.links();
        links.has_free()
            || (is_closer_look(looks, LOOKS_PER_BLOCKAGE)
                && self.blockage.look_into(&self.member, links.next_claim(), false)
                && links.has_free())
    }

    #[inline(always)]
    fn begin(&mut self) -> MpmcStaged {
        self.staged.clear();
        MpmcStaged { end: self.writer.tail(), count: 0 }
    }

    #[inline(always)]
    fn count(staged: &MpmcStaged) -> usize {
        staged.count
    }

    #[inline(always)]
    fn reserve_behind(&mut self, staged: &MpmcStaged, len: usize) -> Result<Slot, Refusal> {
        if self.staged.len() >= self.most_staged {
            return Err(Refusal::Full);
        }
        self.reserve_at(staged.end, len)
    }

    #[inline(always)]
    fn contiguous_behind(&mut self, staged: &MpmcStaged) -> Room {
        if self.staged.len() >= self.most_staged {
            return Room::Unknown;
        }
        self.writer.contiguous(staged.end)
    }

    #[inline(always)]
    fn stage(&mut self, staged: &mut MpmcStaged, slot: Slot, len: usize) {
        let frame = self.writer.place(slot, len);
        staged.end = frame.end;
        staged.count += 1;
        self.staged.push(frame);
    }

    #[inline(always)]
    fn publish(&mut self, staged: MpmcStaged, whole: bool) -> Result<usize, Refusal> {
        self.publish_sealed(staged, whole, |_, _, _| {})
    }

    fn has_ample_room(&self) -> bool {
        self.writer.quarter().is_none_or(|position| self.links().is_over(position))
    }

    fn has_ample_positions(&self) -> bool {
        self.links().has_free_quarter()
    }

    fn pause(&self) -> u32 {
        (self.links().count() / 16).clamp(1, MOST_PAUSE) as u32
    }

    #[inline(always)]
    fn payload(&self, slot: Slot) -> *mut u8 {
        self.writer.payload(slot)
    }

    fn position(&self) -> u64 {
        self.links().next_claim()
    }

    fn has_consumer(&self) -> std::io::Result<bool> {
        let leases = self.member.leases();
        leases.answered(self.links().has_live(EntryRole::Consumer, &leases))
    }

    fn trouble(&self) -> Option<&Trouble> {
        Some(self.member.trouble())
    }
}

impl SerialSender for MpmcSender {
    #[inline(always)]
    fn commit_sealed(
        &mut self,
        slot: Slot,
        len: usize,
        seal: impl FnOnce(*mut u8, u64),
    ) -> Result<(), Refusal> {
        let position = self.claim_next()?;
        seal(self.payload(slot), position);
        let frame = self.writer.place(slot, len);
        self.member.links.commit(position, self.frame_ref(frame));
        self.writer.linked(position, &[frame]);
        self.count_sent(1);
        Ok(())
    }

    /// Its position is not known yet.
    fn stage_sealed(
        &mut self,
        staged: &mut MpmcStaged,
        slot: Slot,
        len: usize,
        _seal: impl FnOnce(*mut u8, u64),
    ) {
        self.stage(staged, slot, len);
    }

    #[inline(always)]
    fn publish_sealed(
        &mut self,
        _staged: MpmcStaged,
        whole: bool,
        seal: impl FnMut(*mut u8, usize, u64),
    ) -> Result<usize, Refusal> {
        let frames = std::mem::take(&mut self.staged);
        let least = if whole { frames.len() } else { 1 };
        let linked = if frames.is_empty() { Ok(0) } else { self.link(&frames, least, seal) };
        self.staged = frames;
        linked
    }
}
