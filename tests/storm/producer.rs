//! A producer that sends numbered messages in every way there is.

use ringway::SendError;
use ringway::mpmc::BytesProducer;

use super::self_report::SelfReport;
use super::worker::some_time;
use crate::process::{MessageLog, Outcome, Random, Shape, ensure};

/// Messages in a batch. Large ones, because then a kill or a stop more often comes between claim and commit.
const MOST: u64 = 120;

fn some(random: &mut Random) -> u64 {
    let end = if random.below(2) == 0 { 5 } else { MOST - 3 };
    2 + random.below(end)
}

/// What a producer does until its numbers are used up or it is told to detach.
pub(crate) struct Sends<'n> {
    shape: Shape,
    message_log: &'n MessageLog,
    self_report: &'n SelfReport,
    next: u64,
    end: u64,
}

impl<'n> Sends<'n> {
    pub(crate) fn new(
        shape: Shape,
        generation: u64,
        message_log: &'n MessageLog,
        self_report: &'n SelfReport,
    ) -> Self {
        let next = generation * MessageLog::RANGE;
        // A producer that sends several does not check further than this.
        Self { shape, message_log, self_report, next, end: next + MessageLog::RANGE - MOST }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.next >= self.end
    }

    /// Does one random operation.
    pub(crate) fn step(&mut self, producer: &mut BytesProducer, random: &mut Random) -> Outcome {
        let before = self.next;
        match random.below(12) {
            0 => self.give_up(producer)?,
            1..=2 => self.claim(producer)?,
            3..=4 => self.batch(producer, some(random))?,
            5..=6 => self.many(producer, some(random))?,
            7..=8 => {
                let time = some_time(random);
                self.one(|message| producer.send_timeout(message, time))?
            }
            _ => self.one(|message| producer.try_send(message))?,
        }
        if self.next > before {
            self.self_report.progress()
        } else {
            std::thread::yield_now()
        }
        Ok(())
    }

    /// `count` messages from the next one on were to be sent, and this is the result.
    fn sent(&mut self, count: u64, result: Result<u64, SendError>) -> Outcome {
        let sent = match result {
            Ok(sent) => sent,
            Err(SendError::Full | SendError::Timeout { .. }) => 0,
            Err(error) => return Err(error.into()),
        };
        ensure!(sent <= count, "{sent} messages were sent of {count}");
        self.message_log.settle(self.next..self.next + count, self.next + sent);
        self.next += sent;
        Ok(())
    }

    fn one(&mut self, send: impl FnOnce(&[u8]) -> Result<(), SendError>) -> Outcome {
        let message = self.shape.message(self.next);
        self.message_log.begin(self.next..self.next + 1);
        let result = send(&message).map(|()| 1);
        self.sent(1, result)
    }

    /// Several messages, as many as there is room for.
    fn many(&mut self, producer: &mut BytesProducer, count: u64) -> Outcome {
        let messages: Vec<_> = (self.next..self.next + count).map(|seq| self.shape.message(seq)).collect();
        self.message_log.begin(self.next..self.next + count);
        let result = producer.try_send_many(&messages).map(|sent| sent as u64);
        self.sent(count, result)
    }

    /// Several messages, all or none.
    fn batch(&mut self, producer: &mut BytesProducer, count: u64) -> Outcome {
        let mut batch = producer.batch()?;
        for seq in self.next..self.next + count {
            match batch.try_reserve(self.shape.len(seq)) {
                Ok(payload) => self.shape.fill(seq, payload),
                Err(SendError::Full) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let count = batch.len() as u64;
        self.message_log.begin(self.next..self.next + count);
        let result = batch.commit().map(|sent| sent as u64);
        ensure!(result.as_ref().is_err() || matches!(result, Ok(sent) if sent == count), "a part was sent");
        self.sent(count, result)
    }

    /// Written in place, into a reserved frame that may be larger than the message.
    fn claim(&mut self, producer: &mut BytesProducer) -> Outcome {
        let (seq, len) = (self.next, self.shape.len(self.next));
        let spare = match self.shape {
            Shape::Fixed(_) | Shape::Same(_) => 0,
            Shape::Mixed { max, .. } => (max - len).min(100),
        };
        let mut claim = match producer.try_reserve(len + spare) {
            Ok(claim) => claim,
            Err(SendError::Full) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.shape.fill(seq, &mut claim[..len]);
        claim.truncate(len);
        self.message_log.begin(seq..seq + 1);
        let result = claim.commit().map(|()| 1);
        self.sent(1, result)
    }

    /// Scribbles and aborts: no consumer may ever see that.
    fn give_up(&mut self, producer: &mut BytesProducer) -> Outcome {
        match producer.try_reserve(self.shape.len(self.next)) {
            Ok(mut claim) => claim.fill(0xab),
            Err(SendError::Full) => {}
            Err(error) => return Err(error.into()),
        }
        let mut batch = producer.batch()?;
        while batch.len() < 3
            && let Ok(payload) = batch.try_reserve(self.shape.len(self.next + batch.len() as u64))
        {
            payload.fill(0xcd);
        }
        Ok(())
    }
}
