//! The thread that owns a queue's consumer and its guards: takes messages, and releases those that are acknowledged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use ringway::kind::{BytesConsumer, BytesFrame, RawQueue};
use ringway::schema::Description;
use ringway::{RecoverError, RecvError, Uuid};
use tokio::sync::{mpsc, oneshot};

use super::InFlight;
use super::copy::Copy;
use super::held::{Guard, Held};
use super::releaser::Releaser;
use crate::die::die_point;
use crate::engine::Outgoing;
use crate::identity::MessageId;
use crate::queue::{self, Carried};
use crate::stats::Stats;

/// The longest run: released as a whole, so a quarter of what may be in flight at most.
const MAX_RUN: usize = 255;

/// How long a predecessor that is ending may keep the role, and another process may recover the queue.
const ROLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often recovery is attempted that another process is busy with, or that has failed.
const RECOVERY_INTERVAL: Duration = Duration::from_millis(50);

/// How often it is told that recovery fails.
const RECOVERY_WARNINGS: Duration = Duration::from_secs(60);

/// What the taker needs besides its queue.
pub(crate) struct Taker {
    pub(crate) releaser: Arc<Releaser>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) in_flight: InFlight,
    pub(crate) pack: Option<usize>,
    pub(crate) batches: mpsc::UnboundedSender<Vec<Outgoing>>,
    pub(crate) started: oneshot::Sender<Started>,
}

/// What the publisher needs to know before its first epoch.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) uuid: Uuid,
    /// The queue's file.
    pub(crate) path: PathBuf,
    pub(crate) description: Description,
    pub(crate) has_many_consumers: bool,
    pub(crate) attached_at: u64,
    /// What an earlier consumer took and did not release, in order of position.
    pub(crate) redelivered: Vec<Outgoing>,
}

/// Takes from the queue until it is told to stop, and holds what it took until that is acknowledged or the publisher has
/// ended; gives back what is not acknowledged.
///
/// # Errors
/// If the queue cannot be read any more.
pub(crate) fn run<K: Carried>(
    queue: &RawQueue<K>,
    consumer: &BytesConsumer<K>,
    taker: Taker,
) -> anyhow::Result<()> {
    let Taker { releaser, stats, in_flight, pack, batches, started } = taker;
    releaser.introduce(consumer.canceller());
    let (uuid, path) = queue::identity(queue);
    let description = queue.description().clone();
    let mut work = Work {
        consumer,
        uuid,
        releaser: &releaser,
        stats: &stats,
        in_flight,
        pack,
        held: Held::default(),
        highest: None,
        message_len: 0,
    };
    let taken = work.take_redelivered().and_then(|(redelivered, next)| {
        let attached_at = consumer.attached_at();
        let has_many_consumers = K::HAS_MANY_CONSUMERS;
        let _ =
            started.send(Started { uuid, path, description, has_many_consumers, attached_at, redelivered });
        work.take_all(&batches, next)
    });
    if taken.is_err() {
        releaser.fail();
    }
    // The publisher ends once everything is acknowledged.
    drop(batches);
    while !work.held.is_empty() && !releaser.is_over() {
        let seen = work.release();
        if !work.held.is_empty() {
            releaser.wait_for_acks(seen);
        }
    }
    work.release();
    die_point("out.give_back");
    work.held.give_back();
    taken
}

struct Work<'c, K: Carried> {
    consumer: &'c BytesConsumer<K>,
    uuid: Uuid,
    releaser: &'c Releaser,
    stats: &'c Stats,
    in_flight: InFlight,
    /// The most bytes of a pack, if messages are packed.
    pack: Option<usize>,
    held: Held<'c, K>,
    /// The highest position taken so far.
    highest: Option<u64>,
    /// Bytes of the largest message of the last run: how many may be taken at once is estimated by it.
    message_len: usize,
}

impl<'c, K: Carried> Work<'c, K> {
    /// Takes what an earlier consumer took and did not release. An MPMC queue gives it out in any order. Returns also the
    /// first message after it, if there is one.
    fn take_redelivered(&mut self) -> anyhow::Result<(Vec<Outgoing>, Option<BytesFrame<'c, K>>)> {
        let mut frames = Vec::new();
        let next = loop {
            match self.consumer.try_recv() {
                Ok(frame) if frame.position() < self.consumer.attached_at() => frames.push(frame),
                Ok(frame) => break Some(frame),
                Err(RecvError::Empty | RecvError::Closed) => break None,
                Err(error) => return Err(self.unreadable(error)),
            }
        };
        frames.sort_by_key(BytesFrame::position);
        self.stats.redelivered.add(frames.len() as u64);
        let outgoing = frames.into_iter().map(|frame| self.hold_one(frame)).collect();
        Ok((outgoing, next))
    }

    fn take_all(
        &mut self,
        batches: &mpsc::UnboundedSender<Vec<Outgoing>>,
        next: Option<BytesFrame<'c, K>>,
    ) -> anyhow::Result<()> {
        if let Some(frame) = next {
            let first = self.hold_one(frame);
            let _ = batches.send(vec![first]);
        }
        let mut told_at: Option<Instant> = None;
        loop {
            let seen = self.release();
            if self.releaser.is_over() {
                return Ok(());
            }
            let room = self.room();
            if room == 0 {
                self.releaser.wait_for_acks(seen);
                continue;
            }
            let taken = match self.consumer.try_recv_many(room) {
                Err(RecvError::Empty) => {
                    let wait = || self.consumer.recv_many(room);
                    match self.releaser.while_waiting(seen, wait) {
                        Some(taken) => taken,
                        None => continue,
                    }
                }
                taken => taken,
            };
            match taken {
                Ok(frames) => {
                    let batch = self.hold(Guard::Many(frames));
                    die_point("out.taken");
                    if batches.send(batch).is_err() {
                        return Ok(());
                    }
                }
                Err(RecvError::Interrupted) => {}
                Err(RecvError::Cancelled | RecvError::Closed) => return Ok(()),
                Err(RecvError::RecoveryFailed(failed)) => {
                    if told_at.is_none_or(|told_at| told_at.elapsed() >= RECOVERY_WARNINGS) {
                        tracing::warn!("a dead participant may hold messages: {failed}");
                        told_at = Some(Instant::now());
                    }
                    self.releaser.pause(seen, RECOVERY_INTERVAL);
                }
                Err(error) => return Err(self.unreadable(error)),
            }
            if self.consumer.canceller().is_cancelled() {
                return Ok(());
            }
        }
    }

    fn unreadable(&self, error: RecvError) -> anyhow::Error {
        anyhow!(error).context("taking messages from the queue")
    }

    /// How many messages may be taken now.
    fn room(&self) -> usize {
        let messages = self.in_flight.messages.saturating_sub(self.held.messages());
        let bytes = self.in_flight.bytes.saturating_sub(self.held.bytes());
        match bytes {
            0 => 0,
            // One message is always taken: it may be larger than all that is left.
            _ => (bytes / self.message_len.max(1)).max(1).min(messages).min(self.longest_run()),
        }
    }

    fn longest_run(&self) -> usize {
        (self.in_flight.messages / 4).clamp(1, MAX_RUN)
    }

    /// Releases what is acknowledged; returns up to where.
    fn release(&mut self) -> u64 {
        let acked = self.releaser.count();
        while self.held.ends_by(acked) {
            die_point("out.acked");
            self.held.release_oldest();
            die_point("out.released");
        }
        self.stats.in_flight.set(self.held.messages() as u64);
        acked
    }

    fn hold_one(&mut self, frame: BytesFrame<'c, K>) -> Outgoing {
        let mut batch = self.hold(Guard::One(frame));
        batch.pop().expect("one frame is one message")
    }

    /// Copies the messages out, packed if that is wanted, and keeps their guard.
    fn hold(&mut self, guard: Guard<'c, K>) -> Vec<Outgoing> {
        let mut copy = Copy::new(guard.bytes(), guard.len(), self.pack, K::HAS_MANY_CONSUMERS);
        self.message_len = 0;
        guard.for_each(|position, payload| {
            self.message_len = self.message_len.max(payload.len());
            let after = self.highest.filter(|highest| *highest > position);
            match after {
                Some(_) => self.stats.foreign.add(1),
                None => self.highest = Some(position),
            }
            copy.add(MessageId { queue: self.uuid, position }, after, payload);
        });
        let bytes = guard.bytes();
        self.held.push(guard, bytes);
        self.stats.in_flight.set(self.held.messages() as u64);
        copy.end()
    }
}

/// Attaches as the queue's consumer, after what dead ones held is requeued.
///
/// # Errors
/// If the role is taken, or the queue cannot be read.
pub(crate) fn attach<K: Carried>(queue: &RawQueue<K>) -> anyhow::Result<BytesConsumer<K>> {
    recover(queue).context("requeueing what dead consumers held")?;
    queue::consumer(queue, ROLE_TIMEOUT).context("attaching as the queue's consumer")
}

/// Another process that recovers the queue is waited for: what it requeues is to be there.
fn recover<K: Carried>(queue: &RawQueue<K>) -> Result<(), RecoverError> {
    let begin = Instant::now();
    loop {
        match K::recover(queue) {
            Err(RecoverError::Busy { .. }) if begin.elapsed() < ROLE_TIMEOUT => {
                std::thread::sleep(RECOVERY_INTERVAL);
            }
            recovered => return recovered,
        }
    }
}
