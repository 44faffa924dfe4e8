//! Runs a command for each message: the message is the command's input, and the exit code decides.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::memfd::{MFdFlags, memfd_create};
use ringway::RecvError;
use ringway::kind::{BytesConsumer, BytesFrame, Kind};

use super::Arguments;
use super::backoff::Backoff;
use super::idle::{Idle, Stop};
use super::process::{Process, command, how, wait_for_any};
use crate::interrupt;
use crate::output::complain;

/// How long the queue is waited for while commands run. The end of a command is noticed no later
/// than this.
const WHILE_RUNNING: Duration = Duration::from_millis(10);

pub(super) fn receive<K: Kind>(
    consumer: &BytesConsumer<K>,
    mut idle: Idle,
    limit: u64,
    queue: &Path,
    words: &[OsString],
    arguments: &Arguments,
) -> Result<(u64, Stop)> {
    let mut crew = WorkerSet {
        queue,
        words,
        is_quiet: arguments.common.quiet,
        running: Vec::new(),
        done: 0,
        backoff: Backoff::new(arguments.backoff),
    };
    loop {
        if interrupt::is_requested() {
            crew.interrupt()?;
            return Ok((crew.done, Stop::Interrupted));
        }
        crew.reap()?;
        let running = crew.running.len();
        if crew.done >= limit {
            return Ok((crew.done, Stop::Enough));
        }
        let is_enough = running >= arguments.jobs || running as u64 >= limit - crew.done;
        if is_enough || crew.backoff.left().is_some() {
            crew.wait(crew.backoff.left().unwrap_or(interrupt::SLICE))?;
        } else if running == 0 {
            let found = idle.wait(|time_limit| match time_limit.is_zero() {
                true => consumer.try_recv(),
                false => consumer.recv_timeout(time_limit),
            })?;
            match found {
                Ok(frame) => crew.start(frame)?,
                Err(Stop::Interrupted) => {}
                Err(stop) => return Ok((crew.done, stop)),
            }
        } else {
            // A running command may fail and its message return to the queue, so an empty queue is
            // not the end yet.
            idle.reset();
            match consumer.recv_timeout(WHILE_RUNNING) {
                Ok(frame) => crew.start(frame)?,
                Err(RecvError::Timeout | RecvError::Interrupted) => {}
                Err(RecvError::Lagged(count)) => idle.miss(count),
                Err(RecvError::Closed) => crew.wait(WHILE_RUNNING)?,
                Err(error) => return Err(anyhow::Error::from(error).context("receiving")),
            }
        }
    }
}

/// A command that runs for a message. The message is rejected when this is dropped before the
/// command has ended.
struct Job<'c, K: Kind> {
    process: Process,
    frame: Option<BytesFrame<'c, K>>,
}

impl<K: Kind> Drop for Job<'_, K> {
    fn drop(&mut self) {
        if let Some(frame) = self.frame.take() {
            frame.reject();
        }
    }
}

/// The running commands, and the results of those that have ended.
struct WorkerSet<'c, K: Kind> {
    queue: &'c Path,
    words: &'c [OsString],
    is_quiet: bool,
    running: Vec<Job<'c, K>>,
    /// Messages whose command exited with 0.
    done: u64,
    backoff: Backoff,
}

impl<'c, K: Kind> WorkerSet<'c, K> {
    fn start(&mut self, frame: BytesFrame<'c, K>) -> Result<()> {
        let started = input(&frame).and_then(|input| {
            let mut command: Command = command(self.words);
            command
                .stdin(Stdio::from(input))
                .env("RINGWAY_QUEUE", self.queue)
                .env("RINGWAY_POSITION", frame.position().to_string())
                .env("RINGWAY_REDELIVERIES", frame.redeliveries().to_string());
            Process::start(command).with_context(|| format!("{}: it cannot be run", self.name()))
        });
        match started {
            Ok(process) => self.running.push(Job { process, frame: Some(frame) }),
            Err(error) => {
                // No command has seen the message.
                frame.put_back();
                return Err(error);
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        Path::new(&self.words[0]).display().to_string()
    }

    fn wait(&self, most: Duration) -> Result<()> {
        wait_for_any(self.running.iter().map(|job| &job.process), most)
    }

    /// Releases or rejects the messages whose commands have ended.
    fn reap(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.running.len() {
            match self.running[at].process.ended()? {
                Some(status) => {
                    let job = self.running.swap_remove(at);
                    self.finish(job, status);
                }
                None => at += 1,
            }
        }
        Ok(())
    }

    fn finish(&mut self, mut job: Job<'c, K>, status: ExitStatus) {
        let Some(frame) = job.frame.take() else { return };
        if status.success() {
            drop(frame);
            self.done += 1;
            self.backoff.succeeded();
            return;
        }
        let position = frame.position();
        frame.reject();
        self.backoff.failed();
        if !self.is_quiet {
            complain!(
                "{}: position {position}: {} {}; the message is given back",
                self.queue.display(),
                self.name(),
                how(status)
            );
        }
    }

    /// Passes the signal on to all commands, and waits until they have ended.
    fn interrupt(&mut self) -> Result<()> {
        if let Some(signal) = interrupt::signal() {
            self.running.iter().for_each(|job| job.process.signal(signal));
        }
        while let Some(mut job) = self.running.pop() {
            let status = job.process.wait()?;
            self.finish(job, status);
        }
        Ok(())
    }
}

/// The message as a file that the command reads from its beginning. The command need not read all
/// of it, however long it is.
fn input(message: &[u8]) -> Result<File> {
    let descriptor =
        memfd_create("ringway-message", MFdFlags::MFD_CLOEXEC).context("making a message's file")?;
    let mut file = File::from(descriptor);
    let written = file.write_all(message).and_then(|()| file.rewind());
    written.context("writing a message's file")?;
    Ok(file)
}
