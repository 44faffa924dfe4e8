//! A consumer that takes messages in every way there is, holds some, and checks every byte twice.

use std::collections::HashMap;

use ringway::RecvError;
use ringway::mpmc::{BytesConsumer, BytesFrame, BytesFrames};

use super::self_report::SelfReport;
use super::worker::some_time;
use crate::process::{MessageLog, Outcome, Random, Shape, ensure};

/// The maximum number of messages in one call.
const RUN: u64 = 40;
/// The maximum number of guards.
const GUARDS: u64 = 8;

/// Where a message is noted, and its number.
type Noted = (usize, u64);

enum Guard<'c> {
    One(Noted, BytesFrame<'c>),
    Run(Vec<Noted>, BytesFrames<'c>),
}

/// What a consumer does, in all its sessions.
pub(crate) struct Takes<'n> {
    shape: Shape,
    message_log: &'n MessageLog,
    self_report: &'n SelfReport,
    /// The newest message of each sender that was new when it was delivered.
    newest: HashMap<u64, u64>,
    /// Whether messages are rejected now and then.
    rejects: bool,
}

/// From attaching to detaching.
pub(crate) struct Session<'t, 'n, 'c> {
    takes: &'t mut Takes<'n>,
    consumer: &'c BytesConsumer,
    guards: Vec<Guard<'c>>,
}

impl<'n> Takes<'n> {
    pub(crate) fn new(shape: Shape, message_log: &'n MessageLog, self_report: &'n SelfReport) -> Self {
        Self { shape, message_log, self_report, newest: HashMap::new(), rejects: true }
    }

    pub(crate) fn without_rejects(self) -> Self {
        Self { rejects: false, ..self }
    }

    pub(crate) fn session<'c>(&mut self, consumer: &'c BytesConsumer) -> Session<'_, 'n, 'c> {
        Session { takes: self, consumer, guards: Vec::new() }
    }

    /// Notes a message and checks it.
    fn note(&mut self, bytes: &[u8], redeliveries: Option<u64>) -> Outcome<Noted> {
        let number = Shape::number(bytes).filter(|number| self.shape.is(*number, bytes));
        let Some(number) = number else {
            let begin = &bytes[..bytes.len().min(16)];
            return Err(format!("a torn or foreign message of {} bytes came: {begin:?}", bytes.len()).into());
        };
        let noted = self.self_report.holds(number);
        self.message_log.deliver(number, redeliveries)?;
        if redeliveries == Some(0) {
            let newest = self.newest.entry(number / MessageLog::RANGE).or_default();
            if number < *newest {
                // Right only if it was taken by a consumer that died before it saw it.
                self.self_report.came_late();
            }
            *newest = number.max(*newest);
        }
        Ok((noted, number))
    }
}

impl<'c> Session<'_, '_, 'c> {
    /// Does one random operation.
    pub(crate) fn step(&mut self, random: &mut Random) -> Outcome {
        if self.guards.len() as u64 > random.below(GUARDS) {
            self.let_go(random)?;
        }
        let found = match random.below(10) {
            0..=1 => self.let_go(random)?,
            2..=3 => self.take_many(1 + random.below(6))?,
            4 => self.take_many(RUN)?,
            5..=6 => {
                let time = some_time(random);
                self.take(|consumer| consumer.recv_timeout(time))?
            }
            _ => self.take(BytesConsumer::try_recv)?,
        };
        if !found {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Takes and releases all that is there.
    pub(crate) fn drain(&mut self, random: &mut Random) -> Outcome {
        while self.take_many(RUN)? || self.take(BytesConsumer::try_recv)? || self.let_go(random)? {
            if self.guards.len() as u64 > GUARDS {
                self.let_go(random)?;
            }
        }
        Ok(())
    }

    /// Forgets all guards: detaching requeues what they hold. Returns where that is noted.
    pub(crate) fn forget(mut self) -> Vec<usize> {
        let mut forgotten = Vec::new();
        for guard in self.guards.drain(..) {
            match &guard {
                Guard::One(noted, _) => forgotten.push(*noted),
                Guard::Run(noted, _) => forgotten.extend(noted),
            }
            std::mem::forget(guard);
        }
        forgotten.iter().for_each(|(_, number)| self.takes.message_log.reject(*number));
        forgotten.into_iter().map(|(noted, _)| noted).collect()
    }

    fn take(
        &mut self,
        recv: impl FnOnce(&'c BytesConsumer) -> Result<BytesFrame<'c>, RecvError>,
    ) -> Outcome<bool> {
        self.takes.self_report.taking(1);
        let found = match recv(self.consumer) {
            Ok(frame) => {
                let noted = self.takes.note(&frame, Some(frame.redeliveries()))?;
                self.hold(Guard::One(noted, frame));
                true
            }
            Err(RecvError::Empty | RecvError::Timeout) => false,
            Err(error) => return Err(error.into()),
        };
        self.takes.self_report.taking(0);
        Ok(found)
    }

    fn take_many(&mut self, most: u64) -> Outcome<bool> {
        self.takes.self_report.taking(most);
        let found = match self.consumer.try_recv_many(most as usize) {
            Ok(frames) => {
                ensure!(frames.len() as u64 <= most, "{} messages came, not {most}", frames.len());
                // Redelivered messages come one at a time.
                let redeliveries = (frames.len() > 1).then_some(0);
                let mut noted = Vec::new();
                for bytes in frames.iter() {
                    noted.push(self.takes.note(bytes, redeliveries)?);
                }
                self.hold(Guard::Run(noted, frames));
                true
            }
            Err(RecvError::Empty) => false,
            Err(error) => return Err(error.into()),
        };
        self.takes.self_report.taking(0);
        Ok(found)
    }

    fn hold(&mut self, guard: Guard<'c>) {
        self.takes.self_report.progress();
        self.guards.push(guard);
    }

    /// Releases or rejects some guard, not always the oldest. The bytes of its message must not
    /// have changed.
    fn let_go(&mut self, random: &mut Random) -> Outcome<bool> {
        if self.guards.is_empty() {
            return Ok(false);
        }
        let rejects = self.takes.rejects && random.below(8) == 0;
        let index = random.below(self.guards.len() as u64) as usize;
        let noted = match self.guards.swap_remove(index) {
            Guard::One(noted, frame) => {
                self.check(noted, &frame, rejects)?;
                if rejects {
                    frame.reject()
                } else {
                    drop(frame)
                }
                vec![noted]
            }
            Guard::Run(noted, frames) => {
                for (noted, bytes) in noted.iter().zip(frames.iter()) {
                    self.check(*noted, bytes, rejects)?;
                }
                if rejects {
                    frames.reject()
                } else {
                    drop(frames)
                }
                noted
            }
        };
        noted.into_iter().for_each(|(place, _)| self.takes.self_report.let_go(place));
        Ok(true)
    }

    fn check(&self, (_, number): Noted, bytes: &[u8], rejects: bool) -> Outcome {
        ensure!(self.takes.shape.is(number, bytes), "message {number:#x} changed while it was held");
        if rejects {
            self.takes.message_log.reject(number);
        }
        Ok(())
    }
}
