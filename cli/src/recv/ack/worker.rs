//! The command that answers: its input, its answers, and the messages that it has not answered yet.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags};
use ringway::kind::{BytesFrame, Kind};

use crate::framing::Format;
use crate::recv::process::{Process, command, set_nonblocking, wait_for};

/// The maximum length of an answer, in bytes.
const LONGEST_ANSWER: usize = 64;

/// A worker, and the messages that it has not answered. Dropping it rejects these messages.
pub(super) struct Worker<'c, K: Kind> {
    unanswered: VecDeque<BytesFrame<'c, K>>,
    /// `None`: the worker reads no more messages.
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// The newest message, framed, and how many bytes of it were written.
    outgoing: Vec<u8>,
    written: usize,
    incoming: Vec<u8>,
    pub(super) process: Process,
}

impl<'c, K: Kind> Worker<'c, K> {
    pub(super) fn start(queue: &Path, words: &[OsString]) -> Result<Self> {
        let mut command = command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).env("RINGWAY_QUEUE", queue);
        let mut process = Process::start(command).context("it cannot be run")?;
        let (input, output) = process.pipes().context("its pipes are missing")?;
        set_nonblocking(input.as_fd())?;
        set_nonblocking(output.as_fd())?;
        Ok(Self {
            unanswered: VecDeque::new(),
            input: Some(input),
            output,
            outgoing: Vec::new(),
            written: 0,
            incoming: Vec::new(),
            process,
        })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.unanswered.len()
    }

    /// Whether the previous message was written completely.
    pub(super) fn is_ready(&self) -> bool {
        self.input.is_some() && self.written == self.outgoing.len()
    }

    /// Whether the worker reads no more and has no answer to give.
    pub(super) fn is_over(&self) -> bool {
        self.input.is_none() && self.unanswered.is_empty()
    }

    pub(super) fn give(&mut self, frame: BytesFrame<'c, K>, format: Format) {
        self.outgoing.clear();
        self.written = 0;
        format.put(&frame, &mut self.outgoing);
        self.unanswered.push_back(frame);
    }

    /// Tells the worker that there are no more messages.
    pub(super) fn close_input(&mut self) {
        self.input = None;
    }

    /// The oldest message without an answer.
    pub(super) fn next_answered(&mut self) -> Option<BytesFrame<'c, K>> {
        self.unanswered.pop_front()
    }

    /// Whether the worker has written something, or ended.
    pub(super) fn has_news(&self) -> Result<bool> {
        let mut polled = self.what_comes();
        wait_for(&mut polled, Duration::ZERO)?;
        Ok(polled.iter().any(|one| one.any().unwrap_or(false)))
    }

    /// Waits at most `most` until something can be written or read, and writes and reads it.
    /// Returns false at the end of the worker's output, or when the worker has ended: its output
    /// may still be open in a process that it started.
    pub(super) fn pump(&mut self, most: Duration) -> Result<bool> {
        let mut polled = self.what_comes();
        if let Some(input) = self.input.as_ref().filter(|_| !self.is_ready()) {
            polled.push(PollFd::new(input.as_fd(), PollFlags::POLLOUT));
        }
        wait_for(&mut polled, most)?;
        // Before reading, so that everything the worker wrote is read.
        let has_ended = self.process.ended()?.is_some();
        self.write()?;
        Ok(self.read()? && !has_ended)
    }

    fn what_comes(&self) -> Vec<PollFd<'_>> {
        let output = PollFd::new(self.output.as_fd(), PollFlags::POLLIN);
        std::iter::once(output).chain(self.process.end()).collect()
    }

    fn write(&mut self) -> Result<()> {
        while self.written < self.outgoing.len() {
            let Some(input) = &mut self.input else { break };
            match input.write(&self.outgoing[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    self.input = None;
                    self.put_back_unwritten();
                }
                Err(error) => return Err(error).context("writing a message to it"),
            }
        }
        Ok(())
    }

    /// Returns the newest message to the queue, not counted as delivered, if no byte of it was
    /// written.
    fn put_back_unwritten(&mut self) {
        if self.written == 0 && !self.outgoing.is_empty() {
            if let Some(frame) = self.unanswered.pop_back() {
                frame.put_back();
            }
            self.outgoing.clear();
        }
    }

    fn read(&mut self) -> Result<bool> {
        let mut piece = [0; 4096];
        loop {
            match self.output.read(&mut piece) {
                Ok(0) => return Ok(false),
                Ok(read) => self.incoming.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("reading its answers"),
            }
        }
    }

    /// The next complete line of the worker's output.
    pub(super) fn next_line(&mut self) -> Result<Option<String>> {
        let end = self.incoming.iter().position(|byte| *byte == b'\n');
        let is_short = end.unwrap_or(self.incoming.len()) <= LONGEST_ANSWER;
        ensure!(is_short, "it answered with more than {LONGEST_ANSWER} bytes in a line");
        let Some(end) = end else { return Ok(None) };
        let line = String::from_utf8_lossy(&self.incoming[..end]).into_owned();
        self.incoming.drain(..=end);
        Ok(Some(line))
    }

    /// Rejects the messages that have no answer; returns their number.
    pub(super) fn give_back(&mut self) -> usize {
        self.put_back_unwritten();
        let count = self.unanswered.len();
        self.unanswered.drain(..).for_each(BytesFrame::reject);
        count
    }
}

impl<K: Kind> Drop for Worker<'_, K> {
    fn drop(&mut self) {
        self.give_back();
    }
}
