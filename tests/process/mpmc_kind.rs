//! The kinds of MPMC queues with which every test is run.

use ringway::mpmc::BytesQueue;
use ringway::{CreateOptions, Delivery, Framing, Recovery, SendError};

use super::{Outcome, Shape, TestDir, dump, ensure};

#[derive(Clone, Copy)]
pub(crate) struct MpmcKind {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) slots: usize,
    pub(crate) lane: usize,
    pub(crate) participants: usize,
    pub(crate) is_at_most_once: bool,
    pub(crate) max_redeliveries: Option<u32>,
    pub(crate) start: u64,
}

impl MpmcKind {
    /// `lane` bytes per producer.
    pub(crate) const fn new(name: &'static str, slots: usize, lane: usize, shape: Shape) -> Self {
        Self {
            name,
            shape,
            slots,
            lane,
            participants: 16,
            is_at_most_once: false,
            max_redeliveries: None,
            start: 0,
        }
    }

    pub(crate) const fn max_participants(self, participants: usize) -> Self {
        Self { participants, ..self }
    }

    pub(crate) const fn at_most_once(self) -> Self {
        Self { is_at_most_once: true, ..self }
    }

    pub(crate) const fn max_redeliveries(self, count: u32) -> Self {
        Self { max_redeliveries: Some(count), ..self }
    }

    /// Positions begin here.
    pub(crate) const fn start(self, start: u64) -> Self {
        Self { start, ..self }
    }

    pub(crate) fn create(&self, place: &TestDir) -> Outcome<BytesQueue> {
        let mut options = CreateOptions::new()
            .max_messages(self.slots)
            .ring_bytes(self.lane)
            .max_participants(self.participants)
            .start_position(self.start);
        if self.is_at_most_once {
            options = options.delivery(Delivery::AtMostOnce);
        }
        if let Some(count) = self.max_redeliveries {
            options = options.max_redeliveries(count);
        }
        if let Shape::Fixed(len) = self.shape {
            options = options.framing(Framing::Fixed(len));
        }
        place.create_mpmc(&options)
    }

    pub(crate) fn dump(&self, queue: &BytesQueue) -> String {
        format!("{}{:?}", dump(queue.path(), self.slots, self.participants), queue.stats())
    }

    /// Every slot can be used, lap after lap, and every lane that had an owner, and no residue is
    /// left. When this is called, there must be no participant, and the queue must be empty.
    pub(crate) fn is_whole(&self, queue: &BytesQueue) -> Outcome {
        self.try_whole(queue).map_err(|error| format!("{error}\n{}", self.dump(queue)).into())
    }

    fn try_whole(&self, queue: &BytesQueue) -> Outcome {
        gets_nothing_more(queue)?;
        let stats = queue.stats();
        ensure!(stats.participants.is_empty(), "somebody is left: {:?}", stats.participants);
        ensure!(stats.backlog == 0, "the backlog is {}", stats.backlog);
        let mut producers = Vec::new();
        for _ in 1..self.participants.min(9) {
            producers.push(queue.producer()?);
        }
        let consumer = queue.consumer()?;
        let counts = !self.is_at_most_once && self.max_redeliveries.is_none();
        let (unfinished, mut sent) = (if counts { queue.unfinished()? } else { 0 }, 0);
        let len = match self.shape {
            Shape::Fixed(len) => len,
            _ => 60,
        };
        // Each producer's lane takes as many of these as an empty one would.
        let per_lane = (self.lane / len.next_multiple_of(64)).min(self.slots);
        for producer in &mut producers {
            for _ in 0..3 {
                let mut count = 0;
                let refusal = loop {
                    match producer.try_send(&vec![0x77; len]) {
                        Ok(()) => count += 1,
                        Err(error) => break error,
                    }
                };
                ensure!(matches!(refusal, SendError::Full), "{refusal}");
                sent += count as u64;
                ensure!(count == per_lane, "the queue takes {count} messages, not {per_lane}");
                for _ in 0..count {
                    ensure!(consumer.try_recv()?.iter().all(|byte| *byte == 0x77), "a message was changed");
                }
            }
        }
        ensure!(consumer.try_recv().is_err(), "a message came that nobody sent");
        let expected = unfinished + sent;
        ensure!(!counts || queue.unfinished()? == expected, "{:?}, not {expected}", queue.unfinished());
        Ok(())
    }
}

/// All residue of dead participants has been found.
pub(crate) fn gets_nothing_more(queue: &BytesQueue) -> Outcome {
    queue.recover()?;
    let more = queue.recover()?;
    ensure!(more == Recovery::default(), "a second recovery found {more:?}");
    let dead: Vec<_> = queue.stats().participants.into_iter().filter(|one| !one.alive).collect();
    ensure!(dead.is_empty(), "dead participants are left: {dead:?}");
    Ok(())
}
