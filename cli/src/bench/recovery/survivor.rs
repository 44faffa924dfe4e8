//! The participant that kills others and continues.
#![allow(unsafe_code, reason = "opens a queue that only this benchmark's processes know")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ringway::mpmc::{BytesConsumer, BytesProducer, BytesQueue};
use ringway::{RecvError, SendError};

use super::super::process;
use super::super::task::{Task, Victim};
use super::victim::{Running, VICTIMS_MESSAGE};

/// The maximum life of a victim before it is killed.
const LONGEST_LIFE: Duration = Duration::from_micros(500);
/// If no message arrives for this long, none will.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// A victim that starts may need this core: the survivor yields it between attempts.
const POLL_INTERVAL: Duration = Duration::from_micros(20);
/// The maximum number of messages per batch received.
const MOST: usize = 255;

pub(super) struct Survivor<'t> {
    task: &'t Task,
    queue: BytesQueue,
    producer: BytesProducer,
    consumer: BytesConsumer,
    /// The number of the survivor's last message to itself.
    sent: u64,
    random: u64,
}

impl<'t> Survivor<'t> {
    pub(super) fn new(task: &'t Task) -> Result<Self> {
        // SAFETY: only this benchmark's own processes know the file.
        let queue = unsafe { BytesQueue::open(&task.paths[0]) }?;
        let (producer, consumer) = (queue.producer()?, queue.consumer()?);
        Ok(Self { task, queue, producer, consumer, sent: 0, random: u64::from(std::process::id()) | 1 << 32 })
    }

    /// Kills a sender at a random moment. If that leaves positions that were claimed and never
    /// committed, returns the time until a message arrives that was sent after them.
    pub(super) fn kill_claimer(&mut self, victim: Victim) -> Result<Option<Duration>> {
        let before = self.queue.stats().tombstones;
        let mut victim = Running::start(self.task, victim)?;
        self.wait_until_it_sends(&mut victim)?;
        let life = self.random_below(LONGEST_LIFE);
        let born = Instant::now();
        while born.elapsed() < life {
            self.send_to_itself()?;
        }
        let killed = Instant::now();
        victim.kill()?;
        let gap = loop {
            // In this order: a message that the survivor sends to itself after the victim's end has
            // a higher position than all that the victim claimed.
            let has_ended = victim.has_ended()?;
            let received = self.send_to_itself()?;
            if self.queue.stats().tombstones > before {
                break Some(received - killed);
            }
            if has_ended {
                break None;
            }
        };
        self.clean_up(victim)?;
        Ok(gap)
    }

    /// Kills a consumer that holds a message. Returns the time until the survivor, which waits
    /// already, gets the message.
    pub(super) fn kill_holder(&mut self) -> Result<Duration> {
        let mut victim = Running::start(self.task, Victim::Holder)?;
        self.producer.send(&self.sent.to_ne_bytes())?;
        victim.wait_until_it_holds()?;
        let wait = self.random_below(LONGEST_LIFE);
        let (held, core) = (&victim, self.task.cores[0]);
        let time = std::thread::scope(|scope| {
            // In a thread on the victim's core, because this thread must be waiting already at the
            // kill.
            let killer = scope.spawn(move || -> Result<Instant> {
                process::pin(core)?;
                std::thread::sleep(LONGEST_LIFE + wait);
                let killed = Instant::now();
                held.kill()?;
                Ok(killed)
            });
            let message = self.consumer.recv_timeout(TIME_LIMIT).context("the dead one's message");
            let received = Instant::now();
            let killed = killer.join().ok().context("the killer panicked")??;
            ensure!(message?.redeliveries() > 0, "a message came that nobody had held");
            Ok(received - killed)
        })?;
        self.clean_up(victim)?;
        Ok(time)
    }

    fn wait_until_it_sends(&self, victim: &mut Running) -> Result<()> {
        let start = Instant::now();
        loop {
            match self.consumer.try_recv() {
                Ok(_) => return Ok(()),
                Err(RecvError::Empty) => {}
                Err(error) => return Err(error.into()),
            }
            if victim.has_ended()? || start.elapsed() > TIME_LIMIT {
                bail!("a process that was to be killed ended before, or never began");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Sends a message and receives until it arrives; returns when it arrived. All positions that
    /// were claimed before are settled then.
    fn send_to_itself(&mut self) -> Result<Instant> {
        self.sent += 1;
        loop {
            match self.producer.try_send(&self.sent.to_ne_bytes()) {
                Ok(()) => break,
                // No other participant makes room.
                Err(SendError::Full) => drop(self.receive()?),
                Err(error) => return Err(error.into()),
            }
        }
        loop {
            if self.receive()? {
                return Ok(Instant::now());
            }
        }
    }

    /// Receives what there is, waiting for the first message. Returns true if the last message to
    /// itself is among them.
    fn receive(&self) -> Result<bool> {
        let frames =
            self.consumer.recv_many_timeout(MOST, TIME_LIMIT).context("a message behind the dead")?;
        let mut is_own = false;
        for frame in frames.iter() {
            is_own |= frame == self.sent.to_ne_bytes();
            ensure!(frame == VICTIMS_MESSAGE || is_own, "a message came that nobody has sent");
        }
        Ok(is_own)
    }

    /// Leaves the queue empty, and the survivor as its only participant.
    fn clean_up(&mut self, mut victim: Running) -> Result<()> {
        while !victim.has_ended()? {
            std::thread::sleep(POLL_INTERVAL);
        }
        self.send_to_itself()?;
        self.queue.recover()?;
        Ok(())
    }

    fn random_below(&mut self, most: Duration) -> Duration {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Duration::from_nanos(self.random % most.as_nanos() as u64)
    }
}
