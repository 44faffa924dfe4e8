//! Writes messages to standard output.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use ringway::inspect::Inspector;
use ringway::kind::{BytesConsumer, BytesFrames, Kind};

use super::idle::{Idle, Stop};
use crate::framing::Format;
use crate::interrupt;

/// The maximum number of messages that are taken together.
const BATCH: usize = 4096;
/// The same maximum for a queue with a retry limit: if this process is killed, all messages of the
/// batch come nearer to the limit.
const LIMITED_BATCH: usize = 32;
/// Bytes per write, and the size that is requested for a pipe.
const BUFFER: usize = 1 << 18;

/// The number of messages of the queue that are taken together.
pub(super) fn batch(queue: &Path) -> usize {
    let order = Inspector::open(queue).ok().and_then(|inspector| inspector.header().order);
    match order.and_then(|order| order.max_redeliveries) {
        Some(_) => LIMITED_BATCH,
        None => BATCH,
    }
}

pub(super) fn receive<K: Kind>(
    consumer: &BytesConsumer<K>,
    mut idle: Idle,
    limit: u64,
    format: Format,
    batch: usize,
) -> Result<(u64, Stop)> {
    let output = io::stdout();
    // A larger pipe takes more per write. If the size is refused, the pipe stays as it is.
    let _ = fcntl(&output, FcntlArg::F_SETPIPE_SZ(BUFFER as i32));
    let mut sink = Sink { output, format, buffer: Vec::with_capacity(BUFFER * 2), written: 0 };
    let mut received = 0;
    while received < limit {
        let most = (limit - received).min(batch as u64) as usize;
        let found = idle.wait(|time_limit| match time_limit.is_zero() {
            true => consumer.try_recv_many(most),
            false => consumer.recv_many_timeout(most, time_limit),
        })?;
        let frames = match found {
            Ok(frames) => frames,
            Err(stop) => return Ok((received, stop)),
        };
        let count = frames.len() as u64;
        match sink.write(&frames) {
            Ok(true) => received += count,
            other => {
                // What was written may have been read: it counts as delivered, and is redelivered.
                let seen = sink.begun(&frames);
                frames.reject_seen(seen);
                return other.map(|_| (received, Stop::Interrupted));
            }
        }
    }
    Ok((received, Stop::Enough))
}

struct Sink<F> {
    output: F,
    format: Format,
    buffer: Vec<u8>,
    /// Bytes of the current batch that were written.
    written: usize,
}

impl<F: AsFd> Sink<F> {
    /// Writes all frames; returns false if an interrupt was requested before that.
    fn write<K: Kind>(&mut self, frames: &BytesFrames<'_, K>) -> Result<bool> {
        self.buffer.clear();
        self.written = 0;
        for message in frames.iter() {
            self.format.put(message, &mut self.buffer);
            if self.buffer.len() >= BUFFER && !self.flush()? {
                return Ok(false);
            }
        }
        self.flush()
    }

    /// The number of messages of a batch of which at least one byte was written.
    fn begun<K: Kind>(&self, frames: &BytesFrames<'_, K>) -> usize {
        let starts = frames.iter().scan(0, |end, message| {
            let start = *end;
            *end += self.format.size(message);
            Some(start)
        });
        starts.take_while(|start| *start < self.written).count()
    }

    fn flush(&mut self) -> Result<bool> {
        let mut rest = &self.buffer[..];
        while !rest.is_empty() {
            match nix::unistd::write(&self.output, rest) {
                Ok(written) => {
                    rest = &rest[written..];
                    self.written += written;
                }
                Err(Errno::EINTR) if interrupt::is_requested() => return Ok(false),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if interrupt::is_requested() => return Ok(false),
                Err(Errno::EAGAIN) => wait_writable(&self.output)?,
                Err(error) => return Err(io::Error::from(error)).context("writing to standard output"),
            }
        }
        self.buffer.clear();
        Ok(true)
    }
}

fn wait_writable(output: &impl AsFd) -> Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut polled = [PollFd::new(output.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut polled, PollTimeout::from(interrupt::SLICE.as_millis() as u16)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error).context("waiting for standard output"),
    }
}
