//! Ringway, between threads or processes.
#![allow(unsafe_code, reason = "queue files that only this benchmark knows")]

use std::sync::Mutex;

use ::ringway::mpmc::{BytesConsumer, BytesProducer, BytesQueue};
use ::ringway::{CreateOptions, SendError};

use super::check::Check;
use super::run::Workers;
use super::{BATCH, Receive, Send, System};
use crate::common::file::{Temp, name_of_queue};
use crate::common::message::{fill, make};

/// How messages are sent and received.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// One by one, in place, waiting as the library does.
    Single,
    /// `send_many`, which copies, and `recv_many`.
    Batch,
}

pub(super) struct Ringway<const W: usize> {
    queue: Temp<BytesQueue>,
    way: Way,
    /// Processes open the file for themselves.
    opens: bool,
    /// Participants that do nothing, kept until the end.
    idle: Mutex<Vec<(BytesProducer, BytesConsumer)>>,
}

impl<const W: usize> Ringway<W> {
    pub(super) fn new(options: &CreateOptions, way: Way, workers: Workers) -> Self {
        let name = name_of_queue();
        // SAFETY: only this benchmark knows the file.
        let queue = Temp(unsafe { BytesQueue::create_with(&name, options) }.unwrap(), name);
        Self { queue, way, opens: workers == Workers::Processes, idle: Mutex::default() }
    }

    /// With this number of participants, half of each role, that do nothing.
    pub(super) fn with_idle(self, participants: usize) -> Self {
        let one = |_| (self.queue.0.producer().unwrap(), self.queue.0.consumer().unwrap());
        self.idle.lock().unwrap().extend((0..participants / 2).map(one));
        self
    }

    fn with_queue<R>(&self, attach: impl Fn(&BytesQueue) -> R) -> R {
        if self.opens {
            // SAFETY: only this benchmark knows the file.
            attach(&unsafe { BytesQueue::open(&self.queue.1) }.unwrap())
        } else {
            attach(&self.queue.0)
        }
    }
}

struct Side<T, const W: usize>(T, Way);

impl<const W: usize> System for Ringway<W> {
    fn sender(&self) -> impl Send {
        Side::<_, W>(self.with_queue(|queue| queue.producer().unwrap()), self.way)
    }

    fn receiver(&self) -> impl Receive {
        Side::<_, W>(self.with_queue(|queue| queue.consumer().unwrap()), self.way)
    }
}

impl<const W: usize> Send for Side<BytesProducer, W> {
    #[inline(always)]
    fn send(&mut self, first: u64, count: u64) {
        let producer = &mut self.0;
        match self.1 {
            Way::Single => {
                for seq in first..first + count {
                    let mut claim = producer.reserve(W * 8).unwrap();
                    fill::<W>(seq, &mut claim);
                    claim.commit().unwrap();
                }
            }
            Way::Batch => {
                for start in (first..first + count).step_by(BATCH) {
                    let messages: [_; BATCH] = std::array::from_fn(|i| Bytes::<W>::new(start + i as u64));
                    producer.send_many(&messages).unwrap();
                }
            }
        }
    }

    fn try_send(&mut self, seq: u64) {
        let _ = try_single::<W>(&mut self.0, seq);
    }
}

#[inline(always)]
fn try_single<const W: usize>(producer: &mut BytesProducer, seq: u64) -> Result<(), SendError> {
    let mut claim = producer.try_reserve(W * 8)?;
    fill::<W>(seq, &mut claim);
    claim.commit()
}

/// A message as bytes.
struct Bytes<const W: usize>([[u8; 8]; W]);

impl<const W: usize> Bytes<W> {
    #[inline(always)]
    fn new(seq: u64) -> Self {
        Self(make::<W>(seq).map(u64::to_ne_bytes))
    }
}

impl<const W: usize> AsRef<[u8]> for Bytes<W> {
    #[inline(always)]
    fn as_ref(&self) -> &[u8] {
        self.0.as_flattened()
    }
}

impl<const W: usize> Receive for Side<BytesConsumer, W> {
    #[inline(always)]
    fn receive(&mut self, check: &mut Check) {
        let consumer = &self.0;
        match self.1 {
            Way::Single => check.bytes::<W>(&consumer.recv().unwrap()),
            Way::Batch => {
                let frames = consumer.recv_many(BATCH).unwrap();
                frames.iter().for_each(|message| check.bytes::<W>(message));
            }
        }
    }
}
