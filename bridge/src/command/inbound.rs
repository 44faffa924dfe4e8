//! `ringway-bridge in`: from a stream into a queue.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringway_nats::failure::Failure;
use ringway_nats::inbound::{Create, Inbound, OnBad};
use ringway_nats::nats::connect::Servers;
use ringway_nats::nats::consume::NatsSource;
use ringway_nats::nats::consumer::ConsumerOptions;
use ringway_nats::stats::Stats;
use ringway_nats::stop::Stop;
use ringway_nats::{size, subject};

use super::out::{Users, positive};
use super::servers::ServerArguments;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Addresses of servers, such as nats://host:4222
    #[arg(required = true)]
    urls: Vec<String>,
    /// Queue: a bare name is a file in /dev/shm, anything with a slash is a path
    #[arg(required = true)]
    queue: PathBuf,
    /// Stream to read from
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Durable consumer of the stream, which remembers what the queue has; created if it is missing
    #[arg(long, value_name = "NAME")]
    consumer: String,
    /// Only messages with these subjects, such as jobs.>
    #[arg(long, value_name = "SUBJECTS")]
    filter: Option<String>,
    /// Create the queue if it is missing: kind=spsc or kind=mpmc; options after a comma: capacity=16m,messages=8192,checksums=yes
    #[arg(long, value_name = "OPTIONS")]
    create: Option<Create>,
    /// Messages that are asked for at once; at most twice as many are under way, so raise it for servers that are far
    #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = positive)]
    batch: usize,
    /// Bytes that are asked for at once
    #[arg(long, value_name = "BYTES", default_value = "8m", value_parser = size::parse)]
    batch_bytes: usize,
    /// The server delivers again what is not acknowledged for so long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = ack_wait)]
    ack_wait: Duration,
    /// A message that the queue cannot take: stop, or dead-letter:SUBJECT to store it there and go on
    #[arg(long, value_name = "WHAT", default_value = "stop", value_parser = on_bad)]
    on_bad: OnBad,
    /// When asked to end: wait so long for the server to confirm
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    drain: Duration,
    /// Go on where the server's consumer is, if the queue's ledger is of another stream or does not fit the queue
    #[arg(long)]
    takeover: bool,
    /// Which users may write to the queue's file, and are therefore trusted
    #[arg(long, value_name = "WHO", value_enum, default_value_t = Users::Owner)]
    sharing: Users,
    #[command(flatten)]
    servers: ServerArguments,
}

impl Arguments {
    /// What the link is called in logs and metrics.
    pub(crate) fn name(&self) -> String {
        self.queue.display().to_string()
    }

    pub(crate) fn queue(&self) -> &Path {
        &self.queue
    }

    /// Whether a missing queue is created.
    pub(crate) fn creates(&self) -> bool {
        self.create.is_some()
    }

    /// Where messages go that the queue cannot take.
    pub(crate) fn dead_letters(&self) -> Option<&str> {
        match &self.on_bad {
            OnBad::Stop => None,
            OnBad::DeadLetter(subject) => Some(subject),
        }
    }

    /// What the source is made of.
    pub(crate) fn source(&self) -> (Servers, ConsumerOptions) {
        let name = format!("ringway-bridge in {}", self.queue.display());
        let options = ConsumerOptions {
            filter: self.filter.clone(),
            batch: self.batch,
            batch_bytes: self.batch_bytes,
            ack_wait: self.ack_wait,
            ..ConsumerOptions::new(&self.stream, &self.consumer)
        };
        (self.servers.servers(&self.urls, &name), options)
    }

    pub(crate) async fn run(&self, stats: Arc<Stats>, stop: Stop) -> Result<(), Failure> {
        let link = Inbound {
            sharing: self.sharing.into(),
            create: self.create,
            on_bad: self.on_bad.clone(),
            takes_over: self.takeover,
            drain: self.drain,
            keep_interval: self.ack_wait / 3,
            ..Inbound::new(&self.queue)
        };
        let (servers, options) = self.source();
        link.run(NatsSource::new(servers, options), stats, stop).await
    }
}

/// A server takes 0 for its own default, and would deliver again what has just been delivered with much less.
fn ack_wait(text: &str) -> Result<Duration, String> {
    const MIN: Duration = Duration::from_millis(100);
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time < MIN {
        return Err(format!("at least {MIN:?} is needed"));
    }
    Ok(time)
}

/// `stop`, or `dead-letter:SUBJECT`
fn on_bad(text: &str) -> Result<OnBad, String> {
    match text.split_once(':') {
        None if text == "stop" => Ok(OnBad::Stop),
        Some(("dead-letter", subject)) => {
            subject::check(subject)?;
            Ok(OnBad::DeadLetter(subject.to_owned()))
        }
        _ => Err("stop, or dead-letter:SUBJECT is expected".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_wait_is_long_enough() {
        assert_eq!(ack_wait("100ms"), Ok(Duration::from_millis(100)));
        assert!(["0s", "99ms", "x"].iter().all(|text| ack_wait(text).is_err()));
    }

    #[test]
    fn what_to_do_with_bad_messages_is_read_or_refused() {
        assert_eq!(on_bad("stop"), Ok(OnBad::Stop));
        assert_eq!(on_bad("dead-letter:jobs.dead"), Ok(OnBad::DeadLetter("jobs.dead".into())));
        assert!(
            ["", "drop", "dead-letter", "dead-letter:", "dead-letter:a.>"]
                .iter()
                .all(|text| on_bad(text).is_err())
        );
    }
}
