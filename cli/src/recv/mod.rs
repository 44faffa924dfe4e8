//! `ringway recv`: messages become a stream, or the input of commands. A message is released when
//! it was written, or when its command has succeeded. If this process dies earlier, the message is
//! redelivered to the next consumer.

mod ack;
mod backoff;
mod exec;
mod idle;
mod missed;
mod process;
mod stream;
mod subscribe;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use ringway::kind::{BytesConsumer, Kind};

use crate::ending::Outcome;
use crate::framing::Format;
use crate::interrupt;
use crate::output::{Common, complain};
use crate::queue::{self, BytesQueue, SharingArguments};
use crate::text::{counted, parse_duration};

use idle::{Idle, Stop};
use missed::Missed;

/// Command-line arguments.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// The queue
    queue: PathBuf,
    /// How messages follow one another in the output, or in the input of --ack
    #[arg(long, value_enum, default_value_t = Format::Lines, conflicts_with = "exec")]
    format: Format,
    /// Wait for more when the queue is empty, instead of ending
    #[arg(long, short = 'f')]
    follow: bool,
    /// Receive at most this many messages; exit code 4 if there were fewer
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    /// Wait this long for the next message when the queue is empty; exit code 4 when that time is up
    #[arg(long, short, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Run a command for each message, with the message as its input; exit code 0 releases the message
    #[arg(
        long,
        value_names = ["COMMAND", "ARGUMENT"],
        num_args = 1..,
        allow_hyphen_values = true,
        value_terminator = ";",
        conflicts_with = "ack"
    )]
    exec: Vec<OsString>,
    /// Run one command that reads messages and answers each, in order, with a line: `ok` or `reject`
    #[arg(
        long,
        value_names = ["COMMAND", "ARGUMENT"],
        num_args = 1..,
        allow_hyphen_values = true,
        value_terminator = ";"
    )]
    ack: Vec<OsString>,
    /// With --exec: run up to this many commands at a time
    #[arg(long, short, value_name = "N", default_value_t = 1, requires = "exec", value_parser = at_least_one)]
    jobs: usize,
    /// With --ack: write up to this many messages ahead of the answers
    #[arg(long, value_name = "N", default_value_t = 1, requires = "ack", value_parser = at_least_one)]
    in_flight: usize,
    /// With --exec, --ack: pause after a failure, from 100ms doubled with each in a row up to this
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10s")]
    backoff: Duration,
    #[command(flatten)]
    subscribe: subscribe::SubscribeArguments,
    #[command(flatten)]
    sharing: SharingArguments,
    #[command(flatten)]
    common: Common,
}

const AFTER_HELP: &str = "\
--exec and --ack take the rest of the line, or what stands before a `;`. The command is run directly; for a pipeline give
`sh -c '...'`. A message whose command fails, is killed or answers `reject` is given back with one redelivery more; with
`create --max-redeliveries N` it becomes a dead letter after N of these. --exec sets RINGWAY_QUEUE, RINGWAY_POSITION and
RINGWAY_REDELIVERIES. SIGINT, SIGTERM and SIGHUP are passed on to commands, which have ten seconds to end; if recv itself
is killed, its commands receive SIGTERM.

Exit code 4: the time of --timeout was up, or there were fewer messages than --count. An empty queue without --timeout,
--count and --follow ends with 0, and so does a closed one. If the queue's name leads elsewhere by now, because it was removed
or created anew, recv ends with 1 once nothing is left to be received.

A broadcast queue: recv begins with the oldest retained message, reads all that follow, and ends as above. What it has
read stays in the queue for the others. Producers wait for it, also while it is stopped, unless --lossy is given; then
messages that are overwritten before it comes to them are missed. Standard error tells how many, in one line, at most
each second; that does not change the exit code. Given back is: to this recv itself; it gets the message again.";

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected 1 or more".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("expected a number from 1 on".into()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    interrupt::watch()?;
    let queue = queue::open(&arguments.queue, arguments.sharing)?;
    match &queue {
        BytesQueue::Spsc(_) | BytesQueue::SpscChecksums(_) => arguments.subscribe.refuse("SPSC")?,
        BytesQueue::Mpmc(_) | BytesQueue::MpmcChecksums(_) => arguments.subscribe.refuse("MPMC")?,
        BytesQueue::Broadcast(_) => {}
    }
    match queue {
        BytesQueue::Broadcast(queue) => {
            let consumer = arguments.subscribe.attach(&queue)?;
            receive(arguments, &consumer, queue.max_message(), queue.path())
        }
        BytesQueue::Spsc(queue) => receive(arguments, &queue.consumer()?, queue.max_message(), queue.path()),
        BytesQueue::Mpmc(queue) => receive(arguments, &queue.consumer()?, queue.max_message(), queue.path()),
        BytesQueue::SpscChecksums(queue) => {
            receive(arguments, &queue.consumer()?, queue.max_message(), queue.path())
        }
        BytesQueue::MpmcChecksums(queue) => {
            receive(arguments, &queue.consumer()?, queue.max_message(), queue.path())
        }
    }
}

fn receive<K: Kind>(
    arguments: &Arguments,
    consumer: &BytesConsumer<K>,
    max_message: usize,
    path: &Path,
) -> Result<Outcome> {
    anyhow::ensure!(
        arguments.format != Format::Length || u32::try_from(max_message).is_ok(),
        "{}: its messages may have {max_message} bytes, more than four bytes of length can say; use --format lines",
        path.display()
    );
    let missed = Missed::new(path.to_path_buf(), arguments.common.quiet);
    let idle = Idle::new(arguments.follow, arguments.timeout, missed);
    let limit = arguments.count.unwrap_or(u64::MAX);
    let (received, stop) = match (&*arguments.exec, &*arguments.ack) {
        ([], []) => stream::receive(consumer, idle, limit, arguments.format, stream::batch(path))?,
        (command, []) => exec::receive(consumer, idle, limit, path, command, arguments)?,
        (_, command) => ack::receive(consumer, idle, limit, path, command, arguments)?,
    };
    let is_quiet = arguments.common.quiet;
    Ok(match (stop, arguments.count) {
        (Stop::Interrupted, _) => Outcome::Interrupted,
        (_, Some(count)) if received < count => {
            if !is_quiet && received > 0 {
                complain!("{}: there were only {}", path.display(), counted(received, "message"));
            }
            Outcome::Short
        }
        (Stop::TimeUp, _) => Outcome::Short,
        (Stop::Closed, _) => {
            if !is_quiet && arguments.follow {
                complain!("{}: the queue was closed", path.display());
            }
            Outcome::Well
        }
        (Stop::Drained | Stop::Enough, _) => Outcome::Well,
    })
}
