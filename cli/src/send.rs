//! `ringway send`: a stream becomes messages. They are sent in batches, at the latest when there is
//! no more input to read.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use ringway::kind::{BytesProducer, Kind};
use ringway::{Holdup, SendError};

use crate::ending::Outcome;
use crate::framing::{Format, Next};
use crate::interrupt;
use crate::output::{BYTES, Common, Progress, STREAM, complain};
use crate::queue::{self, BytesQueue, SharingArguments};
use crate::text::{counted, parse_duration};

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The queue
    queue: PathBuf,
    /// Messages; if there are none, they come from standard input
    messages: Vec<OsString>,
    /// How messages follow one another in the input
    #[arg(long, value_enum, default_value_t = Format::Lines)]
    format: Format,
    /// Send at most this many messages, then end
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    /// Wait at most this long for room; exit code 4 when that time is up
    #[arg(long, short, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    sharing: SharingArguments,
    #[command(flatten)]
    common: Common,
}

/// Bytes per read, and the size that is requested for a pipe.
const BUFFER: usize = 1 << 20;
/// How long a full queue without a consumer is waited for before a message says so.
const TIME_LIMIT: Duration = Duration::from_secs(1);
/// The maximum number of messages per batch.
const BATCH: usize = 255;

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    interrupt::watch()?;
    match queue::open(&arguments.queue, arguments.sharing)? {
        BytesQueue::Spsc(queue) => send(arguments, queue.producer()?, queue.path()),
        BytesQueue::Mpmc(queue) => send(arguments, queue.producer()?, queue.path()),
        BytesQueue::Broadcast(queue) => send(arguments, queue.producer()?, queue.path()),
        BytesQueue::SpscChecksums(queue) => send(arguments, queue.producer()?, queue.path()),
        BytesQueue::MpmcChecksums(queue) => send(arguments, queue.producer()?, queue.path()),
    }
}

fn send<K: Kind>(arguments: &Arguments, producer: BytesProducer<K>, path: &Path) -> Result<Outcome> {
    let mut pump = Pump {
        producer,
        path,
        sent: 0,
        limit: arguments.count.unwrap_or(u64::MAX),
        timeout: arguments.timeout,
        may_say_full: !arguments.common.quiet,
        holdup: None,
    };
    let ending = match arguments.messages.as_slice() {
        [] => {
            let length = length_of_input();
            let template = if length > 0 { BYTES } else { STREAM };
            // A user who types is not disturbed.
            let is_quiet = arguments.common.quiet || io::stdin().is_terminal();
            let mut progress = Progress::new(length, template, is_quiet);
            pump.send_stream(&io::stdin(), arguments.format, &mut progress)?
        }
        messages => {
            let messages: Vec<&[u8]> = messages.iter().map(|message| message.as_bytes()).collect();
            pump.send_all(&messages)?
        }
    };
    if ending == Outcome::Short && !arguments.common.quiet {
        complain!(
            "{}: there was no room until the time was up; {} sent before. {}",
            path.display(),
            counted(pump.sent, "message"),
            pump.holdup.map_or("Is a consumer running?".into(), |holdup| holdup.to_string())
        );
    }
    Ok(ending)
}

/// The bytes of standard input, if it is a file; else 0, because the number that is left is
/// unknown.
fn length_of_input() -> u64 {
    let file = std::fs::File::from(match io::stdin().as_fd().try_clone_to_owned() {
        Ok(descriptor) => descriptor,
        Err(_) => return 0,
    });
    file.metadata().ok().filter(std::fs::Metadata::is_file).map_or(0, |metadata| metadata.len())
}

struct Pump<'a, K: Kind> {
    producer: BytesProducer<K>,
    path: &'a Path,
    sent: u64,
    limit: u64,
    timeout: Option<Duration>,
    /// Whether the user has still to be told that the queue is full and no consumer is attached.
    may_say_full: bool,
    /// Broadcast: the consumer that was in the way at the end of the last wait.
    holdup: Option<Holdup>,
}

impl<K: Kind> Pump<'_, K> {
    fn send_stream(&mut self, input: &impl AsFd, format: Format, progress: &mut Progress) -> Result<Outcome> {
        // A larger pipe passes more per read. If the size is refused, the pipe stays as it is.
        let _ = fcntl(input, FcntlArg::F_SETPIPE_SZ(BUFFER as i32));
        let mut buffer = vec![0; BUFFER];
        let mut filled = 0;
        loop {
            if !interrupt::wait_readable(input)? {
                return Ok(Outcome::Interrupted);
            }
            let read = match nix::unistd::read(input, &mut buffer[filled..]) {
                Ok(read) => read,
                Err(Errno::EINTR | Errno::EAGAIN) => continue,
                Err(error) => return Err(error).context("reading standard input"),
            };
            filled += read;
            progress.inc(read as u64);
            let is_end = read == 0;
            let (used, ending) = self.send_complete(&buffer[..filled], format, is_end)?;
            if ending != Outcome::Well || is_end || self.sent >= self.limit {
                return Ok(ending);
            }
            buffer.copy_within(used..filled, 0);
            filled -= used;
            self.make_room(&mut buffer, filled, format)?;
        }
    }

    /// Sends the complete messages; returns how many bytes of the stream they took.
    fn send_complete(&mut self, stream: &[u8], format: Format, is_end: bool) -> Result<(usize, Outcome)> {
        let mut used = 0;
        loop {
            let mut batch: [&[u8]; BATCH] = [&[]; BATCH];
            let most = (self.limit - self.sent).min(BATCH as u64) as usize;
            let mut count = 0;
            while count < most {
                let rest = &stream[used..];
                match format.next(rest) {
                    Next::Message { start, len, size } => {
                        batch[count] = &rest[start..start + len];
                        used += size;
                    }
                    Next::Partial { .. } if is_end && !rest.is_empty() => {
                        if !format.allows_open_end() {
                            bail!(self.at("the input ends within a message; the ones before are sent"));
                        }
                        batch[count] = rest;
                        used = stream.len();
                    }
                    Next::Partial { .. } => break,
                }
                count += 1;
            }
            if count == 0 {
                return Ok((used, Outcome::Well));
            }
            let ending = self.send_all(&batch[..count])?;
            if ending != Outcome::Well {
                return Ok((used, ending));
            }
        }
    }

    /// The buffer holds the beginning of a message that is larger than the buffer. The buffer must
    /// grow, if such a message can be sent.
    fn make_room(&self, buffer: &mut Vec<u8>, filled: usize, format: Format) -> Result<()> {
        let Next::Partial { least } = format.next(&buffer[..filled]) else { return Ok(()) };
        let largest = self.producer.max_message() + 4;
        if least > largest {
            bail!(self.at(&format!(
                "it has more than {} bytes, the largest message that the queue takes; create the queue with \
                 more `ring_bytes`, or check --format",
                self.producer.max_message()
            )));
        }
        if filled == buffer.len() || least > buffer.len() {
            buffer.resize((buffer.len() * 2).max(least), 0);
        }
        Ok(())
    }

    /// Sends messages in order, waiting for room.
    fn send_all(&mut self, mut messages: &[&[u8]]) -> Result<Outcome> {
        while !messages.is_empty() && self.sent < self.limit {
            let most = (self.limit - self.sent).min(messages.len() as u64) as usize;
            match self.producer.try_send_many(&messages[..most]) {
                Ok(sent) => {
                    self.sent += sent as u64;
                    messages = &messages[sent..];
                }
                Err(SendError::Full) => {
                    let ending = self.send_patiently(messages[0])?;
                    if ending != Outcome::Well {
                        return Ok(ending);
                    }
                    messages = &messages[1..];
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(Outcome::Well)
    }

    fn send_patiently(&mut self, message: &[u8]) -> Result<Outcome> {
        let start = Instant::now();
        let deadline = self.timeout.map(|timeout| start + timeout);
        loop {
            let left =
                deadline.map_or(interrupt::SLICE, |then| then.saturating_duration_since(Instant::now()));
            match self.producer.send_timeout(message, left.min(interrupt::SLICE)) {
                Ok(()) => {
                    self.sent += 1;
                    return Ok(Outcome::Well);
                }
                Err(SendError::Timeout { .. }) if interrupt::is_requested() => {
                    return Ok(Outcome::Interrupted);
                }
                Err(SendError::Timeout { holdup, .. }) => {
                    self.holdup = holdup;
                    if left.is_zero() {
                        return Ok(Outcome::Short);
                    }
                    self.say_full(start);
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// A wait that nothing will end looks like a wait for a slow consumer, so the user is told
    /// once.
    fn say_full(&mut self, since: Instant) {
        if !self.may_say_full || since.elapsed() < TIME_LIMIT {
            return;
        }
        if let Some(holdup) = self.holdup {
            self.may_say_full = false;
            complain!("{}: the queue is full, waiting for room: {holdup}", self.path.display());
        } else if !self.producer.has_consumer().unwrap_or(true) {
            self.may_say_full = false;
            complain!(
                "{}: the queue is full, and no consumer is attached; waiting for room",
                self.path.display()
            );
        }
    }

    fn failed(&self, error: SendError) -> anyhow::Error {
        let what = match error {
            // The messages just before may be in the file that had the name.
            SendError::Orphaned { .. } => {
                format!("it cannot be sent, after {}", counted(self.sent, "message"))
            }
            _ => "it cannot be sent".into(),
        };
        anyhow::Error::from(error).context(self.at(&what))
    }

    /// Adds the path and the number of the next message to an error text.
    fn at(&self, what: &str) -> String {
        format!("{}: message {}: {what}", self.path.display(), self.sent + 1)
    }
}
