//! Runs one command that reads messages and answers each, in order, with a line.

mod worker;

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use ringway::RecvError;
use ringway::kind::{BytesConsumer, BytesFrame, Kind};

use super::Arguments;
use super::backoff::Backoff;
use super::idle::{Idle, Stop};
use super::process::{GRACE, how, wait_for};
use crate::interrupt;
use crate::output::complain;
use crate::text::counted;
use worker::Worker;

/// How long the queue is waited for while answers are outstanding. An answer is noticed no later
/// than this.
const WHILE_IN_FLIGHT: Duration = Duration::from_millis(2);

pub(super) fn receive<K: Kind>(
    consumer: &BytesConsumer<K>,
    mut idle: Idle,
    limit: u64,
    queue: &Path,
    words: &[OsString],
    arguments: &Arguments,
) -> Result<(u64, Stop)> {
    let name = Path::new(&words[0]).display().to_string();
    let backoff = Backoff::new(arguments.backoff);
    let mut desk = Desk { queue, words, name, arguments, worker: None, done: 0, backoff, is_over: false };
    loop {
        if interrupt::is_requested() {
            desk.interrupt()?;
            return Ok((desk.done, Stop::Interrupted));
        }
        let in_flight = desk.worker.as_ref().map_or(0, Worker::in_flight);
        if desk.is_over || (in_flight == 0 && desk.done >= limit) {
            desk.finish()?;
            return Ok((desk.done, Stop::Enough));
        }
        let is_ready = desk.worker.as_ref().is_none_or(Worker::is_ready);
        let is_enough = in_flight >= arguments.in_flight || in_flight as u64 >= limit - desk.done;
        if !is_ready || is_enough || desk.backoff.left().is_some() {
            desk.attend(desk.backoff.left().unwrap_or(interrupt::SLICE))?;
        } else if in_flight == 0 {
            let mut news = Ok(false);
            let found = idle.wait(|time_limit| {
                news = desk.worker.as_ref().map_or(Ok(false), Worker::has_news);
                match (&news, time_limit.is_zero()) {
                    (Ok(false), true) => consumer.try_recv().map(Some),
                    (Ok(false), false) => consumer.recv_timeout(time_limit).map(Some),
                    _ => Ok(None),
                }
            })?;
            news?;
            match found {
                Ok(Some(frame)) => desk.give(frame)?,
                Ok(None) => desk.attend(Duration::ZERO)?,
                Err(Stop::Interrupted) => {}
                Err(stop) => {
                    desk.finish()?;
                    return Ok((desk.done, stop));
                }
            }
        } else {
            // Messages in flight may return to the queue, so an empty queue is not the end yet.
            idle.reset();
            match consumer.recv_timeout(WHILE_IN_FLIGHT) {
                Ok(frame) => desk.give(frame)?,
                Err(RecvError::Timeout | RecvError::Interrupted) => desk.attend(Duration::ZERO)?,
                Err(RecvError::Lagged(count)) => idle.miss(count),
                Err(RecvError::Closed) => desk.attend(WHILE_IN_FLIGHT)?,
                Err(error) => return Err(anyhow::Error::from(error).context("receiving")),
            }
        }
    }
}

/// Passes messages to the worker and collects its answers.
struct Desk<'c, K: Kind> {
    queue: &'c Path,
    words: &'c [OsString],
    /// The name of the command.
    name: String,
    arguments: &'c Arguments,
    worker: Option<Worker<'c, K>>,
    /// Messages that were answered with `ok`.
    done: u64,
    backoff: Backoff,
    /// The worker ended with exit code 0 and had answered every message.
    is_over: bool,
}

impl<'c, K: Kind> Desk<'c, K> {
    fn give(&mut self, frame: BytesFrame<'c, K>) -> Result<()> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => match Worker::start(self.queue, self.words) {
                Ok(worker) => worker,
                Err(error) => {
                    // No command has seen the message.
                    frame.put_back();
                    return Err(error.context(self.name.clone()));
                }
            },
        };
        self.worker.insert(worker).give(frame, self.arguments.format);
        self.attend(Duration::ZERO)
    }

    /// Waits at most `most` until the worker can be written to or read from, then writes and reads.
    fn attend(&mut self, most: Duration) -> Result<()> {
        let Some(worker) = &mut self.worker else {
            return wait_for(&mut [], most.min(interrupt::SLICE));
        };
        let is_open = worker.pump(most.min(interrupt::SLICE))?;
        self.take_answers()?;
        if !is_open || self.worker.as_ref().is_some_and(Worker::is_over) {
            self.ended()?;
        }
        Ok(())
    }

    fn take_answers(&mut self) -> Result<()> {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        while let Some(line) = worker.next_line().with_context(|| self.name.clone())? {
            let Some(frame) = worker.next_answered() else {
                bail!("{}: it said `{line}`, and there was no message to answer", self.name);
            };
            match &*line {
                "ok" => {
                    drop(frame);
                    self.done += 1;
                    self.backoff.succeeded();
                }
                "reject" => {
                    frame.reject();
                    self.backoff.failed();
                }
                _ => {
                    frame.reject();
                    bail!("{}: it answered `{line}`; the answers are `ok` and `reject`", self.name);
                }
            }
        }
        Ok(())
    }

    /// Handles the end of the worker's output.
    fn ended(&mut self) -> Result<()> {
        let Some(mut worker) = self.worker.take() else { return Ok(()) };
        worker.close_input();
        let status = worker.process.wait()?;
        let left = worker.give_back();
        if status.success() && left == 0 {
            self.is_over = true;
            return Ok(());
        }
        self.backoff.failed();
        if !self.arguments.common.quiet {
            complain!(
                "{}: {} {}; {} without an answer, given back",
                self.queue.display(),
                self.name,
                how(status),
                counted(left as u64, "message")
            );
        }
        Ok(())
    }

    /// Ends a worker that has answered all messages.
    fn finish(&mut self) -> Result<()> {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        worker.close_input();
        while worker.pump(interrupt::SLICE)? {
            if interrupt::is_requested() {
                return self.interrupt();
            }
        }
        self.take_answers()?;
        let Some(mut worker) = self.worker.take() else { return Ok(()) };
        let status = worker.process.wait()?;
        if !status.success() {
            bail!("{}: it {} after it had answered all messages", self.name, how(status));
        }
        Ok(())
    }

    /// Passes the signal on, takes the answers that still arrive, and rejects the other messages.
    fn interrupt(&mut self) -> Result<()> {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        if let Some(signal) = interrupt::signal() {
            worker.process.signal(signal);
        }
        worker.close_input();
        let start = Instant::now();
        while worker.pump(Duration::from_millis(50))? {
            if start.elapsed() > GRACE {
                worker.process.signal(Signal::SIGKILL);
                break;
            }
        }
        self.take_answers()?;
        if let Some(mut worker) = self.worker.take() {
            worker.process.wait()?;
            worker.give_back();
        }
        Ok(())
    }
}
