//! What the processes do.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringway::broadcast::{BytesConsumer, BytesQueue, Start, Subscribe};
use ringway::{RecvError, SendError};

use super::{Field, SHAPE, TIME_LIMIT};
use crate::process::{Outcome, Random, Shape, ensure};

/// After this time a process looks whether all is over.
const MOMENT: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Producer,
    Reliable,
    Lossy,
    InPlace,
}

pub(super) fn live(field: &Field, worker: usize, role: Role, salt: u64) -> Outcome {
    let queue = field.open()?;
    let mut random = Random::new(salt);
    match role {
        Role::Producer => produce(field, &queue, worker, &mut random),
        _ => consume(field, &queue, worker, role, &mut random),
    }
}

fn produce(field: &Field, queue: &BytesQueue, worker: usize, random: &mut Random) -> Outcome {
    let mut producer = queue.producer_timeout(TIME_LIMIT)?;
    // One writer has taken over: all that its predecessors committed is before it.
    let mut next = queue.newest();
    while !field.is_over() {
        let count = 1 + random.below(6).saturating_sub(2);
        let seq = |more: u64| if field.one_writer { next + more } else { next.wrapping_mul(1024) + more };
        let messages: Vec<_> = (0..count).map(|more| SHAPE.message(seq(more))).collect();
        let sent = match &messages[..] {
            [message] => producer.send_timeout(message, MOMENT).map(|()| 1),
            all => producer.try_send_many(all),
        };
        match sent {
            Ok(sent) => next += sent as u64,
            Err(SendError::Full | SendError::Timeout { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        field.step(worker);
    }
    Ok(())
}

/// A consumer, and which position it is to take next.
struct Reader<'a> {
    field: &'a Field,
    role: Role,
    consumer: BytesConsumer,
    next: u64,
    /// Positions that the last call has passed without a message: claims of dead producers, or what the
    /// next call says was missed.
    passed: u64,
}

fn consume(field: &Field, queue: &BytesQueue, worker: usize, role: Role, random: &mut Random) -> Outcome {
    while !field.is_over() {
        let start = if random.below(2) == 0 { Start::Oldest } else { Start::Newest };
        let subscribe = match role {
            Role::Reliable => Subscribe::reliable(),
            Role::InPlace => Subscribe::lossy().in_place(true),
            _ => Subscribe::lossy(),
        };
        let consumer = queue.consumer_with(&subscribe.from(start))?;
        let next = consumer.next_position();
        let mut reader = Reader { field, role, consumer, next, passed: 0 };
        for _ in 0..1 + random.below(200) {
            if field.is_over() {
                break;
            }
            reader.one(random)?;
            field.step(worker);
        }
    }
    Ok(())
}

impl Reader<'_> {
    fn one(&mut self, random: &mut Random) -> Outcome {
        if random.below(40) == 0 {
            let start = Start::Last(random.below(8));
            // What was missed before is still told.
            self.next = self.consumer.seek(start)?;
        }
        let before = self.next;
        let taken: Result<Outcome<u64>, RecvError> = match random.below(3) {
            0 => self.consumer.try_recv_many(1 + random.below(5) as usize).map(|frames| {
                for (position, frame) in (before..).zip(frames.iter()) {
                    self.field.check(position, frame)?;
                }
                Ok(frames.len() as u64)
            }),
            _ => self.consumer.recv_timeout(MOMENT).map(|frame| {
                self.field.check(frame.position(), &frame)?;
                if random.below(30) == 0 {
                    // Producers go on, and stop at it unless it is a copy.
                    std::thread::sleep(Duration::from_micros(300));
                }
                self.field.check(frame.position(), &frame)?;
                Ok(1)
            }),
        };
        match taken {
            Ok(checked) => self.received(checked?),
            Err(RecvError::Lagged(missed)) => self.missed(missed),
            Err(RecvError::Empty | RecvError::Timeout) => self.received(0),
            Err(error) => Err(error.into()),
        }
    }

    fn received(&mut self, count: u64) -> Outcome {
        self.passed(self.passed)?;
        let next = self.consumer.next_position();
        self.passed = next.checked_sub(self.next + count).ok_or("a position came again")?;
        self.field.sums[0].fetch_add(count, Ordering::Relaxed);
        self.next = next;
        Ok(())
    }

    fn missed(&mut self, missed: u64) -> Outcome {
        ensure!(self.role != Role::Reliable, "a reliable consumer missed {missed} messages");
        let next = self.consumer.next_position();
        let passed =
            (next + self.passed).checked_sub(self.next + missed).ok_or("more was missed than passed")?;
        self.passed(passed)?;
        self.field.sums[1].fetch_add(missed, Ordering::Relaxed);
        (self.next, self.passed) = (next, 0);
        Ok(())
    }

    /// So many positions were claims of dead producers.
    fn passed(&self, count: u64) -> Outcome {
        let one_writer = self.field.one_writer;
        ensure!(count == 0 || !one_writer, "{count} positions before {} were passed", self.next);
        self.field.sums[2].fetch_add(count, Ordering::Relaxed);
        Ok(())
    }
}

impl Field {
    /// Every byte of a frame follows from its number, which is its position where there is one writer.
    fn check(&self, position: u64, bytes: &[u8]) -> Outcome<()> {
        let seq = Shape::number(bytes).ok_or("a message without a number")?;
        ensure!(SHAPE.is(seq, bytes), "torn: {bytes:?} at {position}");
        ensure!(!self.one_writer || seq == position, "message {seq} at {position}");
        Ok(())
    }
}
