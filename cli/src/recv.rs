//! `ringway recv`: messages become a stream. A message is released when it is written: if this process dies before, it
//! comes again, to whoever receives next.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use ringway::{BytesConsumer, BytesFrames, Kind, RecvError};

use crate::ending::Ending;
use crate::framing::Format;
use crate::interrupt;
use crate::output::Common;
use crate::queue::{self, BytesQueue};
use crate::text::{counted, parse_duration};

/// What may be said on the command line.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The queue
    queue: PathBuf,
    /// How messages follow one another in the output
    #[arg(long, value_enum, default_value_t = Format::Lines)]
    format: Format,
    /// Wait for more when the queue is empty, instead of ending
    #[arg(long, short = 'f', short_alias = 'F')]
    follow: bool,
    /// Receive no more than so many messages; exit code 4 if there were fewer
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    /// Wait so long for the next message when the queue is empty, then end
    #[arg(long, short, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    common: Common,
}

/// Messages that are taken together.
const BATCH: usize = 4096;
/// Bytes that are written at one go, and asked for in a pipe.
const BUFFER: usize = 1 << 18;

pub(crate) fn run(arguments: &Arguments) -> Result<Ending> {
    interrupt::watch()?;
    match queue::open(&arguments.queue)? {
        BytesQueue::Spsc(queue) => receive(arguments, queue.consumer()?, queue.max_message(), queue.path()),
        BytesQueue::Mpmc(queue) => receive(arguments, queue.consumer()?, queue.max_message(), queue.path()),
    }
}

fn receive<K: Kind>(
    arguments: &Arguments,
    consumer: BytesConsumer<K>,
    max_message: usize,
    path: &Path,
) -> Result<Ending> {
    anyhow::ensure!(
        arguments.format != Format::Length || u32::try_from(max_message).is_ok(),
        "{}: its messages may have {max_message} bytes, more than four bytes of length can say; use --format lines",
        path.display()
    );
    let output = io::stdout();
    // A pipe takes more at a time then; if not, it goes on as it is.
    let _ = fcntl(&output, FcntlArg::F_SETPIPE_SZ(BUFFER as i32));
    let mut sink = Sink { output, format: arguments.format, buffer: Vec::with_capacity(BUFFER * 2) };
    let limit = arguments.count.unwrap_or(u64::MAX);
    let mut received = 0;
    while received < limit {
        let most = (limit - received).min(BATCH as u64) as usize;
        let frames = match next(&consumer, arguments, most).with_context(|| "receiving")? {
            Some(frames) => frames,
            None if interrupt::is_requested() => return Ok(Ending::Interrupted),
            None => break,
        };
        let count = frames.len() as u64;
        match sink.write(&frames) {
            Ok(true) => received += count,
            // What was not written, or perhaps not, comes again.
            Ok(false) => {
                frames.reject();
                return Ok(Ending::Interrupted);
            }
            Err(error) => {
                frames.reject();
                return Err(error);
            }
        }
    }
    match arguments.count {
        Some(count) if received < count => {
            if !arguments.common.quiet && received > 0 {
                eprintln!("ringway: {}: there were only {}", path.display(), counted(received, "message"));
            }
            Ok(Ending::Short)
        }
        _ => Ok(Ending::Well),
    }
}

/// The next messages; none if there are none and nobody wants to wait, or if somebody asks for the end.
fn next<'c, K: Kind>(
    consumer: &'c BytesConsumer<K>,
    arguments: &Arguments,
    most: usize,
) -> Result<Option<BytesFrames<'c, K>>> {
    let start = Instant::now();
    loop {
        if interrupt::is_requested() {
            return Ok(None);
        }
        match consumer.try_recv_many(most) {
            Ok(frames) => return Ok(Some(frames)),
            Err(RecvError::Empty) => {}
            Err(error) => return Err(error.into()),
        }
        let left = match (arguments.timeout, arguments.follow) {
            (Some(timeout), _) => timeout.saturating_sub(start.elapsed()),
            (None, true) => interrupt::SLICE,
            (None, false) => Duration::ZERO,
        };
        if left.is_zero() {
            return Ok(None);
        }
        match consumer.recv_many_timeout(most, left.min(interrupt::SLICE)) {
            Ok(frames) => return Ok(Some(frames)),
            Err(RecvError::Timeout) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

struct Sink<F> {
    output: F,
    format: Format,
    buffer: Vec<u8>,
}

impl<F: AsFd> Sink<F> {
    /// Writes all of them; false if somebody asked for the end before that was done.
    fn write<K: Kind>(&mut self, frames: &BytesFrames<'_, K>) -> Result<bool> {
        self.buffer.clear();
        for message in frames.iter() {
            self.format.put(message, &mut self.buffer);
            if self.buffer.len() >= BUFFER && !self.flush()? {
                return Ok(false);
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<bool> {
        let mut rest = &self.buffer[..];
        while !rest.is_empty() {
            match nix::unistd::write(&self.output, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::EINTR) if interrupt::is_requested() => return Ok(false),
                Err(Errno::EINTR) => {}
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
