//! Participants that do what the handles of the library do, step by step. For the tests with and
//! without loom.

use std::collections::VecDeque;

use super::world::{GRANULE, WordLock, World};
use crate::lane::Refusal;
use crate::lane::mpmc::{CompleteFrame, MpmcWriter};
use crate::layout::order::{EntryRole, Tail};
use crate::order_ring::crash_point::{any_order, crash_point};
use crate::order_ring::{
    Claimed, CursorGuess, Entry, FrameRef, HeldSlot, NotClaimed, NotTaken, TakeState, TakenPositions,
    TakenSlot,
};

impl World {
    pub(super) fn producer(&self, me: usize) -> Option<Producer> {
        self.attach(me, EntryRole::Producer).map(|entry| {
            let writer = self.adopt(me).expect("no corruption");
            let guess = CursorGuess::new(&self.ring);
            let (world, staged) = (self.clone(), VecDeque::new());
            Producer { world, me, entry, guess, writer, staged, claimed: None }
        })
    }

    pub(super) fn consumer(&self, me: usize) -> Option<Consumer> {
        self.attach(me, EntryRole::Consumer).map(|entry| Consumer {
            world: self.clone(),
            me,
            entry,
            state: TakeState::new(&self.ring),
            taken: None,
            held: Vec::new(),
            last: None,
        })
    }
}

pub(super) struct Producer {
    pub(super) world: World,
    pub(super) me: usize,
    pub(super) entry: Entry<WordLock>,
    guess: CursorGuess<Tail>,
    pub(super) writer: MpmcWriter,
    /// Complete frames in the lane, and their messages.
    pub(super) staged: VecDeque<(CompleteFrame, u8)>,
    /// Positions that were won and not committed yet: the next, and the end.
    pub(super) claimed: Option<(u64, u64)>,
}

impl Producer {
    /// Writes a frame after those that are staged.
    pub(super) fn stage(&mut self, message: u8, len: usize) -> Result<(), Refusal> {
        any_order();
        let at = self.staged.back().map_or(self.writer.tail(), |(frame, _)| frame.end);
        let ring = &self.world.ring;
        let slot = self.writer.reserve(at, len, |first, most| ring.count_reusable(first, most))?;
        #[allow(unsafe_code)]
        // SAFETY: the writer reserved these bytes; loom checks that the reservation is right.
        unsafe {
            self.writer.payload(slot).write_bytes(message, len);
        }
        self.staged.push_back((self.writer.complete(slot, len), message));
        Ok(())
    }

    /// Claims positions for `least` of the staged frames or more.
    pub(super) fn claim(&mut self, least: u64) -> Result<Claimed, NotClaimed> {
        any_order();
        let claimed = self.entry.producer(&self.guess).claim(least, self.staged.len() as u64)?;
        self.claimed = Some((claimed.first, claimed.first + claimed.count));
        Ok(claimed)
    }

    /// Commits the next claimed position and returns it, if there is one. Staged frames that got no
    /// position are dropped.
    pub(super) fn commit_next(&mut self) -> Option<u64> {
        let (position, end) = self.claimed?;
        let (frame, message) = self.staged.pop_front().expect("as many as were claimed");
        let CompleteFrame { offset, len, .. } = frame;
        let producer = self.entry.producer(&self.guess);
        producer.commit_run(position, [producer.frame_ref(offset, len)].into_iter());
        self.world.log().committed.push(message);
        self.writer.track(position, &[frame]);
        self.claimed = Some((position + 1, end)).filter(|_| position + 1 < end);
        if self.claimed.is_none() {
            self.staged.clear();
        }
        crash_point();
        Some(position)
    }

    /// Commits all that was claimed, in one call.
    pub(super) fn commit_all(&mut self) {
        let Some((first, end)) = self.claimed.take() else { return };
        let staged: Vec<_> = self.staged.drain(..).take((end - first) as usize).collect();
        let producer = self.entry.producer(&self.guess);
        producer
            .commit_run(first, staged.iter().map(|(frame, _)| producer.frame_ref(frame.offset, frame.len)));
        for (position, (frame, message)) in (first..).zip(staged) {
            self.world.log().committed.push(message);
            self.writer.track(position, &[frame]);
        }
    }

    /// Sends messages as frames of one granule, `least` or more of them; returns how many.
    pub(super) fn send(&mut self, messages: &[u8], least: usize) -> usize {
        for message in messages {
            if self.stage(*message, GRANULE as usize).is_err() {
                break;
            }
        }
        if self.staged.len() < least || self.claim(least as u64).is_err() {
            self.staged.clear();
            return 0;
        }
        let mut sent = 0;
        while self.commit_next().is_some() {
            sent += 1;
        }
        sent
    }

    pub(super) fn detach(self) {
        any_order();
        self.entry.detach();
        self.entry.lock().unlock();
    }
}

/// A frame in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    pub(super) held: HeldSlot,
    pub(super) frame: FrameRef,
}

pub(super) struct Consumer {
    pub(super) world: World,
    pub(super) me: usize,
    entry: Entry<WordLock>,
    state: TakeState,
    pub(super) taken: Option<TakenPositions>,
    pub(super) held: Vec<Out>,
    /// The last position that was taken in order.
    last: Option<u64>,
}

impl Consumer {
    pub(super) fn take_redelivery(&mut self) -> Option<HeldSlot> {
        any_order();
        let consumer = self.entry.consumer(&self.state);
        let held = consumer.is_redelivery_due().then(|| consumer.take_redelivery()).flatten()?;
        crash_point();
        self.out(held);
        Some(held)
    }

    /// Takes without reading the producers' line.
    pub(super) fn take_inexact(&mut self) -> Result<TakenSlot, NotTaken> {
        self.entry.consumer(&TakeState::new(&self.world.ring)).take(false)
    }

    pub(super) fn take(&mut self) -> Result<u64, NotTaken> {
        any_order();
        let found = self.entry.consumer(&self.state).take(true)?;
        assert_eq!(found.frame, self.world.ring.frame_at(found.position));
        crash_point();
        self.out_in_order(found.position);
        Ok(found.position)
    }

    pub(super) fn take_many(&mut self, most: u64) -> Result<TakenPositions, NotTaken> {
        any_order();
        let taken = self.entry.consumer(&self.state).take_many(most, true)?;
        self.taken = Some(taken);
        Ok(taken)
    }

    /// Marks what was taken; returns the positions that have frames.
    pub(super) fn mark(&mut self) -> Vec<u64> {
        let mut marked = Vec::new();
        if let Some(taken) = self.taken.take() {
            self.entry.consumer(&self.state).mark_run(taken, |found| {
                assert_eq!(found.frame, self.world.ring.frame_at(found.position));
                marked.push(found.position);
            });
            crash_point();
            marked.iter().for_each(|position| self.out_in_order(*position));
        }
        marked
    }

    fn out_in_order(&mut self, position: u64) {
        assert!(
            self.last.is_none_or(|last| last < position),
            "out of order: {position} after {:?}",
            self.last
        );
        self.last = Some(position);
        self.out(HeldSlot { position, redeliveries: 0 });
    }

    fn out(&mut self, held: HeldSlot) {
        let frame = self.world.ring.frame_at(held.position);
        if let Some(message) = self.world.read(frame) {
            self.world.log().delivered.push((message, held.position, held.redeliveries));
        }
        self.held.push(Out { held, frame });
    }

    /// Takes up to `most` frames.
    pub(super) fn recv(&mut self, most: u64) -> Result<(), NotTaken> {
        if self.take_redelivery().is_some() {
            return Ok(());
        }
        if most == 1 {
            self.take().map(|_| ())
        } else {
            self.take_many(most)?;
            self.mark();
            Ok(())
        }
    }

    pub(super) fn release(&mut self, index: usize) -> HeldSlot {
        any_order();
        let Out { held, frame } = self.held.swap_remove(index);
        self.world.read(frame);
        self.entry.release(held);
        crash_point();
        held
    }

    pub(super) fn release_all(&mut self) {
        any_order();
        let out = std::mem::take(&mut self.held);
        for Out { frame, .. } in &out {
            self.world.read(*frame);
        }
        self.entry.release_all(out.iter().map(|out| out.held.position));
    }

    pub(super) fn reject(&mut self, index: usize) -> HeldSlot {
        any_order();
        let Out { held, frame } = self.held.swap_remove(index);
        self.world.read(frame);
        self.world.log().rejects += 1;
        self.entry.reject(held);
        crash_point();
        held
    }

    /// Returns a frame that was not read to the queue.
    pub(super) fn put_back(&mut self, index: usize) -> HeldSlot {
        any_order();
        let Out { held, .. } = self.held.swap_remove(index);
        self.world.log().rejects += 1;
        self.entry.put_back(held);
        crash_point();
        held
    }

    pub(super) fn detach(self) {
        any_order();
        self.world.log().rejects += self.held.len();
        self.entry.detach();
        self.entry.lock().unlock();
    }
}
