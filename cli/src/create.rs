//! `ringway create`.

use std::io;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;
use ringway::inspect::{Inspector, QueueKind};
use ringway::{CreateError, CreateOptions, Delivery, Framing, Warning, broadcast, mpmc, spsc};

use crate::ending::Outcome;
use crate::output::{Common, print_json, say};
use crate::queue::SharingArguments;
use crate::stat::{describe, json};
use crate::text::parse_bytes;

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The name: a bare one is a file in /dev/shm, anything with a slash is a path
    queue: PathBuf,
    /// Who may send and receive
    #[arg(long, short, value_enum, default_value_t = Kind::Spsc)]
    kind: Kind,
    /// Bytes of ring (MPMC, broadcast: of each producer's lane), such as 64K or 1MiB [default: 1MiB, MPMC and broadcast 512KiB]
    #[arg(long, short = 'c', value_name = "BYTES", value_parser = parse_bytes)]
    ring_bytes: Option<usize>,
    /// Take only messages of exactly this many bytes, which is faster for small ones
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    fixed: Option<usize>,
    /// Alignment of messages: a power of two up to 128
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    align: Option<usize>,
    /// MPMC, broadcast: how many messages the queue holds at most [default: 8192]
    #[arg(long, value_name = "N")]
    max_messages: Option<usize>,
    /// MPMC, broadcast: how many producers and consumers can be attached at a time, together [default: 64]
    #[arg(long, value_name = "N")]
    participants: Option<usize>,
    /// Broadcast: how many of the participants may be producers [default: 8]; with 1, sending is faster
    #[arg(long, value_name = "N")]
    producers: Option<usize>,
    /// Broadcast: admit no consumer that producers wait for, only `recv --lossy`
    #[arg(long)]
    no_gating: bool,
    /// MPMC: drop messages whose consumer dies or rejects them, instead of redelivering them
    #[arg(long, conflicts_with = "max_redeliveries")]
    at_most_once: bool,
    /// MPMC: move a message to the queue NAME.dead after N redeliveries
    #[arg(long, value_name = "N")]
    max_redeliveries: Option<u32>,
    /// SPSC, MPMC: give each message a checksum, which finds messages that are torn after a power loss; 16 bytes a message
    #[arg(long)]
    checksums: bool,
    #[command(flatten)]
    sharing: SharingArguments,
    /// Succeed if the queue exists already, and leave it as it is
    #[arg(long)]
    if_missing: bool,
    /// Print the queue as JSON, as `stat --json` does
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One producer, one consumer
    Spsc,
    /// Many of both; each message goes to one consumer
    Mpmc,
    /// Many of both; each message goes to every consumer
    Broadcast,
}

impl Arguments {
    fn options(&self) -> CreateOptions {
        let mut options = CreateOptions::new().sharing(self.sharing.sharing.into());
        if let Some(bytes) = self.ring_bytes {
            options = options.ring_bytes(bytes);
        }
        if let Some(bytes) = self.fixed {
            options = options.framing(Framing::Fixed(bytes));
        }
        if let Some(bytes) = self.align {
            options = options.align(bytes);
        }
        if let Some(max_messages) = self.max_messages {
            options = options.max_messages(max_messages);
        }
        if let Some(participants) = self.participants {
            options = options.max_participants(participants);
        }
        if let Some(producers) = self.producers {
            options = options.max_producers(producers);
        }
        if self.no_gating {
            options = options.gating(false);
        }
        if self.at_most_once {
            options = options.delivery(Delivery::AtMostOnce);
        }
        if let Some(most) = self.max_redeliveries {
            options = options.max_redeliveries(most);
        }
        options
    }

    /// Returns what the user should be told about the queue.
    fn create(&self) -> Result<Vec<Warning>, CreateError> {
        let options = self.options();
        match self.kind {
            Kind::Spsc if self.checksums => {
                // SAFETY: the file is new, and this process only closes it.
                let queue = unsafe { spsc::checksummed::BytesQueue::create_with(&self.queue, &options) }?;
                Ok(queue.warnings())
            }
            Kind::Mpmc if self.checksums => {
                // SAFETY: as above.
                let queue = unsafe { mpmc::checksummed::BytesQueue::create_with(&self.queue, &options) }?;
                Ok(queue.warnings())
            }
            Kind::Spsc => {
                // SAFETY: as above.
                let queue = unsafe { spsc::BytesQueue::create_with(&self.queue, &options) }?;
                Ok(queue.warnings())
            }
            Kind::Mpmc => {
                // SAFETY: as above.
                let queue = unsafe { mpmc::BytesQueue::create_with(&self.queue, &options) }?;
                Ok(queue.warnings())
            }
            Kind::Broadcast => {
                // SAFETY: as above.
                let queue = unsafe { broadcast::BytesQueue::create_with(&self.queue, &options) }?;
                Ok(queue.warnings())
            }
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    if arguments.checksums && arguments.kind == Kind::Broadcast {
        bail!("--checksums is for SPSC and MPMC queues, and this is to be a broadcast queue; leave it out");
    }
    let (was_there, warnings) = match arguments.create() {
        Ok(warnings) => (false, warnings),
        Err(CreateError::AlreadyExists { .. }) if arguments.if_missing => (true, Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let inspector = Inspector::open(&arguments.queue)?;
    let kind = match arguments.kind {
        Kind::Spsc => QueueKind::Spsc,
        Kind::Mpmc => QueueKind::Mpmc,
        Kind::Broadcast => QueueKind::Broadcast,
    };
    let header = inspector.header();
    anyhow::ensure!(
        header.kind == kind
            && header.has_checksums == arguments.checksums
            && (header.schema.size, header.schema.format) == (0, 0),
        "{}: it exists, and is {}; choose another name",
        inspector.path().display(),
        describe(header)
    );
    let mut out = io::stdout().lock();
    if arguments.json {
        print_json(&mut out, &json::Queue::new(&inspector.snapshot()?, None), false)?;
    } else if !arguments.common.quiet {
        let done = if was_there { "exists" } else { "created" };
        say!(&mut out, "{}: {done}: {}", inspector.path().display(), describe(header))?;
        for warning in warnings {
            say!(&mut out, "{}: {warning}", inspector.path().display())?;
        }
    }
    Ok(Outcome::Well)
}
