//! How and from where `recv` reads a broadcast queue.

use anyhow::{Context, Result, bail};
use ringway::AttachError;
use ringway::broadcast::{BytesConsumer, BytesQueue, Start, Subscribe};

/// Command-line arguments.
#[derive(clap::Args)]
pub(super) struct SubscribeArguments {
    /// Broadcast: let producers never wait for this consumer; how many messages it has missed is told
    #[arg(long)]
    lossy: bool,
    /// Broadcast: begin with the `oldest` retained message (the default), with the next one (`newest`), with the
    /// last N (`last:N`), or at a position (`at:P`)
    #[arg(long, value_name = "WHERE", value_parser = parse_start)]
    from: Option<Start>,
}

impl SubscribeArguments {
    /// Refuses what is for broadcast queues only.
    pub(super) fn refuse(&self, kind: &str) -> Result<()> {
        let option = match (self.lossy, self.from) {
            (true, _) => "--lossy",
            (_, Some(_)) => "--from",
            (false, None) => return Ok(()),
        };
        bail!("{option} is for broadcast queues, and this is an {kind} queue; leave it out")
    }

    pub(super) fn attach(&self, queue: &BytesQueue) -> Result<BytesConsumer> {
        let subscribe = if self.lossy { Subscribe::lossy() } else { Subscribe::reliable() };
        match queue.consumer_with(&subscribe.from(self.from.unwrap_or(Start::Oldest))) {
            Err(error @ AttachError::NotAdmitted { .. }) => {
                Err(error).context("producers of this queue wait for no consumer: say --lossy")
            }
            found => Ok(found?),
        }
    }
}

fn parse_start(text: &str) -> Result<Start, String> {
    let number = |digits: &str| digits.parse().map_err(|_| format!("`{digits}` is no number"));
    match (text, text.split_once(':')) {
        ("oldest", _) => Ok(Start::Oldest),
        ("newest", _) => Ok(Start::Newest),
        (_, Some(("last", count))) => number(count).map(Start::Last),
        (_, Some(("at", position))) => number(position).map(Start::At),
        _ => Err("expected oldest, newest, last:N or at:P".into()),
    }
}
