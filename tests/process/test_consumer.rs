//! A consumer that takes messages in every way there is, holds some, and checks every byte twice.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use ringway::RecvError;
use ringway::spsc::{BytesConsumer, BytesFrame, BytesFrames};

use super::{Outcome, Random, Shape, Stream, ensure};

/// Receives notes about what a consumer does, before and after it does it.
pub(crate) trait DeliveryObserver {
    /// Messages before `end` may be delivered from now on.
    fn may_take(&self, _end: u64) {}
    /// The message was delivered.
    fn took(&self, _seq: u64) {}
    /// The message is about to be released.
    fn releasing(&self, _seq: u64) {}
    /// The guard is gone.
    fn released(&self, _seq: u64) {}
    /// What `redeliveries` must return when the message is first delivered to this consumer.
    fn redeliveries(&self, _seq: u64) -> RangeInclusive<u64> {
        0..=0
    }
}

impl DeliveryObserver for () {}

enum Held<'c> {
    One(u64, BytesFrame<'c>),
    Run(Vec<u64>, BytesFrames<'c>),
}

/// A consumer and the guards that it holds.
pub(crate) struct TestConsumer<'c, W: DeliveryObserver> {
    consumer: &'c BytesConsumer,
    pub(crate) stream: Stream,
    shape: Shape,
    witness: &'c W,
    held: Vec<Held<'c>>,
    /// The maximum number of guards held.
    limit: usize,
    /// Whether messages are rejected now and then.
    rejects: bool,
    /// Rejected messages in the order in which they must be redelivered.
    rejected: BTreeSet<u64>,
    /// What `redeliveries` returned last for messages that were rejected.
    told: HashMap<u64, u64>,
    random: Random,
    /// Messages taken, including redelivered ones.
    pub(crate) taken: u64,
    /// Messages that had been delivered before.
    pub(crate) again: u64,
}

impl<'c, W: DeliveryObserver> TestConsumer<'c, W> {
    pub(crate) fn new(
        consumer: &'c BytesConsumer,
        stream: Stream,
        witness: &'c W,
        limit: usize,
        random: Random,
    ) -> Self {
        let shape = stream.shape();
        Self {
            consumer,
            stream,
            shape,
            witness,
            held: Vec::new(),
            limit,
            rejects: false,
            rejected: BTreeSet::new(),
            told: HashMap::new(),
            random,
            taken: 0,
            again: 0,
        }
    }

    /// Rejects messages now and then.
    pub(crate) fn with_rejects(mut self) -> Self {
        self.rejects = true;
        self
    }

    /// Does one random operation. Returns false if nothing is there.
    pub(crate) fn step(&mut self) -> Outcome<bool> {
        if self.held.len() >= self.limit {
            self.let_go()?;
        }
        match self.random.below(8) {
            0 if !self.held.is_empty() => self.let_go().map(|()| true),
            0..=2 => self.take_many(),
            _ => self.take(),
        }
    }

    /// Takes all messages that are there and releases them.
    pub(crate) fn drain(&mut self) -> Outcome {
        loop {
            while self.step()? {}
            if self.held.is_empty() && self.rejected.is_empty() {
                return Ok(());
            }
            self.release_all()?;
        }
    }

    /// Releases all guards.
    pub(crate) fn release_all(&mut self) -> Outcome {
        let rejects = std::mem::replace(&mut self.rejects, false);
        while !self.held.is_empty() {
            self.let_go()?;
        }
        self.rejects = rejects;
        Ok(())
    }

    fn take(&mut self) -> Outcome<bool> {
        self.witness.may_take(self.stream.next() + 1);
        let frame = match self.consumer.try_recv() {
            Ok(frame) => frame,
            Err(RecvError::Empty) => return self.nothing(),
            Err(error) => return Err(error.into()),
        };
        let seq = self.identify(&frame, Some(frame.redeliveries()))?;
        self.witness.took(seq);
        self.held.push(Held::One(seq, frame));
        Ok(true)
    }

    fn take_many(&mut self) -> Outcome<bool> {
        let max = 1 + self.random.below(6);
        self.witness.may_take(self.stream.next() + max);
        let frames = match self.consumer.try_recv_many(max as usize) {
            Ok(frames) => frames,
            Err(RecvError::Empty) => return self.nothing(),
            Err(error) => return Err(error.into()),
        };
        ensure!(frames.len() as u64 <= max, "{} frames came, {max} at most were asked for", frames.len());
        let mut seqs = Vec::new();
        for bytes in frames.iter() {
            seqs.push(self.identify(bytes, None)?);
        }
        ensure!(seqs.len() == frames.len(), "{} frames in a run of {}", seqs.len(), frames.len());
        seqs.iter().for_each(|seq| self.witness.took(*seq));
        self.held.push(Held::Run(seqs, frames));
        Ok(true)
    }

    /// Empty is right only if no rejected message waits.
    fn nothing(&mut self) -> Outcome<bool> {
        ensure!(self.rejected.is_empty(), "empty, but {:?} were rejected", self.rejected);
        Ok(false)
    }

    /// Which message it is: a rejected one if there is one, else the next of the stream.
    fn identify(&mut self, bytes: &[u8], redeliveries: Option<u64>) -> Outcome<u64> {
        self.taken += 1;
        if let Some(seq) = self.rejected.pop_first() {
            ensure!(self.shape.is(seq, bytes), "message {seq} was rejected, and did not come next");
            let told = self.told.remove(&seq).unwrap_or(0);
            ensure!(
                redeliveries.is_none_or(|count| count > told),
                "message {seq} was rejected, and redeliveries went from {told} to {redeliveries:?}"
            );
            self.again += 1;
            return Ok(seq);
        }
        let seq = self.stream.accept(bytes)?;
        if let Some(count) = redeliveries {
            let expected = self.witness.redeliveries(seq);
            ensure!(
                expected.contains(&count),
                "redeliveries of message {seq}: {count}, expected {expected:?}"
            );
            self.again += u64::from(count > 0);
        }
        Ok(seq)
    }

    /// Releases or rejects some guard, not always the oldest. The bytes of its message must not
    /// have changed.
    fn let_go(&mut self) -> Outcome {
        let reject = self.rejects && self.random.below(8) == 0;
        let index = self.random.below(self.held.len() as u64) as usize;
        match self.held.swap_remove(index) {
            Held::One(seq, frame) => {
                ensure!(self.shape.is(seq, &frame), "message {seq} changed while it was held");
                if reject {
                    self.told.insert(seq, frame.redeliveries());
                    self.rejected.insert(seq);
                    frame.reject();
                } else {
                    self.release([seq].as_slice(), frame);
                }
            }
            Held::Run(seqs, frames) => {
                for (seq, bytes) in seqs.iter().zip(frames.iter()) {
                    ensure!(self.shape.is(*seq, bytes), "message {seq} changed while it was held");
                }
                if reject {
                    self.rejected.extend(&seqs);
                    frames.reject();
                } else {
                    self.release(&seqs, frames);
                }
            }
        }
        Ok(())
    }

    fn release<G>(&self, seqs: &[u64], guard: G) {
        seqs.iter().for_each(|seq| self.witness.releasing(*seq));
        drop(guard);
        seqs.iter().for_each(|seq| self.witness.released(*seq));
    }
}
