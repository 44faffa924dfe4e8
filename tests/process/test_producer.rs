//! A producer that sends numbered messages in every way there is, and notes how far it is.

use std::sync::atomic::{Ordering, fence};

use ringway::SendError;
use ringway::spsc::BytesProducer;

use super::{Doubt, Outcome, Random, Shape, Words};

const READY: usize = 0;
const ABOUT: usize = 1;
const SENT: usize = 2;
const WHOLE: usize = 3;

/// Where a producer notes what it does, for its parent to read after its death.
pub(crate) struct ProducerNotes(Words);

impl ProducerNotes {
    pub(crate) fn new() -> Self {
        Self(Words::new(4))
    }

    /// For a producer that begins with message `next`.
    pub(crate) fn reset(&self, next: u64) {
        self.0[READY].store(0, Ordering::SeqCst);
        self.0[ABOUT].store(next, Ordering::SeqCst);
        self.0[SENT].store(next, Ordering::SeqCst);
    }

    pub(crate) fn set_ready(&self) {
        self.0[READY].store(1, Ordering::SeqCst);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.0[READY].load(Ordering::SeqCst) != 0
    }

    pub(crate) fn sent(&self) -> u64 {
        self.0[SENT].load(Ordering::SeqCst)
    }

    /// Messages up to `end` may exist from now on; `whole` if together or not at all.
    pub(crate) fn set_about(&self, end: u64, whole: bool) {
        // While ABOUT equals SENT, WHOLE means nothing.
        self.0[WHOLE].store(whole.into(), Ordering::SeqCst);
        self.0[ABOUT].store(end, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Messages up to `end` exist.
    pub(crate) fn set_sent(&self, end: u64) {
        fence(Ordering::SeqCst);
        self.0[SENT].store(end, Ordering::SeqCst);
    }

    /// What is not known about a producer that was killed. Its successor goes on with a message
    /// that contains its number.
    pub(crate) fn doubt(&self) -> Doubt {
        let about = self.0[ABOUT].load(Ordering::SeqCst);
        Doubt {
            sent: self.sent(),
            about,
            resume: about.next_multiple_of(8),
            whole: self.0[WHOLE].load(Ordering::SeqCst) != 0,
        }
    }
}

/// A producer and its next message.
pub(crate) struct TestProducer<'n> {
    producer: BytesProducer,
    shape: Shape,
    next: u64,
    notes: &'n ProducerNotes,
    random: Random,
    scratch: Vec<u8>,
}

impl<'n> TestProducer<'n> {
    pub(crate) fn new(
        producer: BytesProducer,
        shape: Shape,
        next: u64,
        notes: &'n ProducerNotes,
        random: Random,
    ) -> Self {
        Self { producer, shape, next, notes, random, scratch: Vec::new() }
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn producer(&self) -> &BytesProducer {
        &self.producer
    }

    /// Sends one message if there is room for it.
    pub(crate) fn try_one(&mut self) -> Outcome<bool> {
        self.scratch.resize(self.shape.len(self.next), 0);
        self.shape.fill(self.next, &mut self.scratch);
        self.notes.set_about(self.next + 1, true);
        match self.producer.try_send(&self.scratch) {
            Ok(()) => {
                self.moved_to(self.next + 1);
                Ok(true)
            }
            Err(SendError::Full) => {
                self.notes.set_about(self.next, true);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends one message, waiting for room as long as it takes.
    pub(crate) fn one(&mut self) -> Outcome {
        self.scratch.resize(self.shape.len(self.next), 0);
        self.shape.fill(self.next, &mut self.scratch);
        self.notes.set_about(self.next + 1, true);
        self.producer.send(&self.scratch)?;
        self.moved_to(self.next + 1);
        Ok(())
    }

    /// Does one random operation. Returns false if the queue is full.
    pub(crate) fn step(&mut self) -> Outcome<bool> {
        match self.random.below(12) {
            0 => self.give_up(),
            1 => self.give_up_a_batch(),
            2 => self.claim(),
            3..=4 => self.batch(),
            5 => self.many(),
            _ => self.try_one(),
        }
    }

    fn moved_to(&mut self, next: u64) {
        self.notes.set_sent(next);
        self.next = next;
    }

    /// Reserves a frame, scribbles into it and aborts: no consumer may ever see that.
    fn give_up(&mut self) -> Outcome<bool> {
        match self.producer.try_reserve(self.shape.len(self.next)) {
            Ok(mut claim) => {
                claim.fill(0xab);
                claim.abort();
                Ok(true)
            }
            Err(SendError::Full) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Fills several frames with garbage and drops them.
    fn give_up_a_batch(&mut self) -> Outcome<bool> {
        let mut batch = self.producer.batch()?;
        for seq in self.next..self.next + 3 {
            match batch.try_reserve(self.shape.len(seq)) {
                Ok(payload) => payload.fill(0xcd),
                Err(SendError::Full) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Writes in place, into a reserved frame that may be larger than the message.
    fn claim(&mut self) -> Outcome<bool> {
        let (seq, len) = (self.next, self.shape.len(self.next));
        let spare = match self.shape {
            Shape::Fixed(_) | Shape::Same(_) => 0,
            Shape::Mixed { max, .. } => (max - len).min(24),
        };
        let mut claim = match self.producer.try_reserve(len + spare) {
            Ok(claim) => claim,
            Err(SendError::Full) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.shape.fill(seq, &mut claim[..len]);
        claim.truncate(len);
        self.notes.set_about(seq + 1, true);
        claim.commit()?;
        self.moved_to(seq + 1);
        Ok(true)
    }

    /// Several messages in one commit.
    fn batch(&mut self) -> Outcome<bool> {
        let wanted = 2 + self.random.below(5);
        let mut batch = self.producer.batch()?;
        let mut end = self.next;
        while end < self.next + wanted {
            match batch.try_reserve(self.shape.len(end)) {
                Ok(payload) => self.shape.fill(end, payload),
                Err(SendError::Full) => break,
                Err(error) => return Err(error.into()),
            }
            end += 1;
        }
        self.notes.set_about(end, true);
        batch.commit()?;
        let room = end > self.next;
        self.moved_to(end);
        Ok(room)
    }

    /// Several messages in as few commits as the room allows.
    fn many(&mut self) -> Outcome<bool> {
        let count = 2 + self.random.below(5);
        let messages: Vec<_> = (self.next..self.next + count).map(|seq| self.shape.message(seq)).collect();
        // As many as there is room for.
        self.notes.set_about(self.next + count, false);
        match self.producer.try_send_many(&messages) {
            Ok(sent) => {
                self.notes.set_about(self.next + sent as u64, false);
                self.moved_to(self.next + sent as u64);
                Ok(true)
            }
            Err(SendError::Full) => {
                self.notes.set_about(self.next, true);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
