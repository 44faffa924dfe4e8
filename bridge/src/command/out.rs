//! `ringway-bridge out`: from a queue into a stream.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use ringway::Sharing;
use ringway_nats::failure::Failure;
use ringway_nats::nats::connect::Servers;
use ringway_nats::nats::stream::{NewStream, StreamOptions};
use ringway_nats::nats::{Nats, Order};
use ringway_nats::outbound::{InFlight, Outbound};
use ringway_nats::stats::Stats;
use ringway_nats::stop::Stop;
use ringway_nats::subject;

use super::servers::ServerArguments;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Queue: a bare name is a file in /dev/shm, anything with a slash is a path
    queue: PathBuf,
    /// Addresses of servers, such as nats://host:4222
    #[arg(required = true)]
    urls: Vec<String>,
    /// Stream to store into
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Subject to publish to; {queue} is the queue's file name
    #[arg(long, value_name = "SUBJECT", default_value = "ringway.{queue}", value_parser = pattern)]
    subject: String,
    /// Create the stream if it is missing; options after a comma: replicas=3,max-age=7d,max-bytes=100g,duplicate-window=2m
    #[arg(long, value_name = "OPTIONS", num_args = 0..=1, default_missing_value = "", value_parser = new_stream)]
    create_stream: Option<NewStream>,
    /// strict: one queue for the stream, its order, each message once; shared: many may store, the server drops what it
    /// knows
    #[arg(long, value_enum, default_value_t = OrderName::Strict)]
    order: OrderName,
    /// Most messages that are taken and not acknowledged
    #[arg(long, value_name = "COUNT", default_value_t = InFlight::default().messages, value_parser = positive)]
    in_flight_messages: usize,
    /// Most bytes that are taken and not acknowledged
    #[arg(long, value_name = "BYTES", default_value = "8m", value_parser = bytes)]
    in_flight_bytes: usize,
    /// Pack messages that come together into one of the stream, of at most so many bytes: several times as fast for small
    /// ones, but only a bridge can read them
    #[arg(long, value_name = "BYTES", num_args = 0..=1, default_missing_value = "64k", value_parser = bytes)]
    pack: Option<usize>,
    /// Begin anew when nothing was acknowledged for so long
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    ack_deadline: Duration,
    /// When asked to end: wait so long for acknowledgements
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    drain: Duration,
    /// Continue a stream that does not end with a message of this queue
    #[arg(long)]
    takeover: bool,
    /// Which users may write to the queue's file, and are therefore trusted
    #[arg(long, value_name = "WHO", value_enum, default_value_t = Users::Owner)]
    sharing: Users,
    #[command(flatten)]
    servers: ServerArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrderName {
    Strict,
    Shared,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Users {
    /// Processes of the same user
    Owner,
    /// And those of the file's group
    Group,
    /// All users of the machine
    Everybody,
}

impl From<Users> for Sharing {
    fn from(users: Users) -> Self {
        match users {
            Users::Owner => Self::Owner,
            Users::Group => Self::Group,
            Users::Everybody => Self::Everybody,
        }
    }
}

impl Arguments {
    /// What the link is called in logs and metrics.
    pub(crate) fn name(&self) -> String {
        self.queue.display().to_string()
    }

    pub(crate) fn queue(&self) -> &Path {
        &self.queue
    }

    /// What the engine is made of.
    pub(crate) fn engine(&self) -> Result<(Servers, StreamOptions, Order), Failure> {
        let subject = subject::for_queue(&self.subject, &self.queue);
        subject::check(&subject).map_err(Failure::Refused)?;
        let name = format!("ringway-bridge out {}", self.queue.display());
        let stream = StreamOptions { name: self.stream.clone(), subject, create: self.create_stream.clone() };
        let order = match self.order {
            OrderName::Strict => Order::Strict,
            OrderName::Shared => Order::Shared,
        };
        Ok((self.servers.servers(&self.urls, &name), stream, order))
    }

    pub(crate) fn link(&self) -> Outbound {
        Outbound {
            sharing: self.sharing.into(),
            in_flight: InFlight { messages: self.in_flight_messages, bytes: self.in_flight_bytes },
            pack: self.pack,
            ack_deadline: self.ack_deadline,
            drain: self.drain,
            takes_over: self.takeover,
            allows_other_consumers: matches!(self.order, OrderName::Shared),
            ..Outbound::new(&self.queue)
        }
    }

    pub(crate) async fn run(&self, stats: Arc<Stats>, stop: Stop) -> Result<(), Failure> {
        let (servers, stream, order) = self.engine()?;
        self.link().run(Nats::new(servers, stream, order), stats, stop).await
    }
}

/// A subject, or a pattern of one: any queue's name gives a token.
fn pattern(text: &str) -> Result<String, String> {
    subject::check(&subject::for_queue(text, Path::new("queue"))).map(|()| text.to_owned())
}

pub(super) fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a number greater than 0 is expected".into())
}

/// A number of bytes, with k, m or g for powers of 1,024.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches("ib").trim_end_matches('b');
    let (digits, shift) = match digits.char_indices().last() {
        Some((at, 'k')) => (&digits[..at], 10),
        Some((at, 'm')) => (&digits[..at], 20),
        Some((at, 'g')) => (&digits[..at], 30),
        _ => (digits, 0),
    };
    let number = digits.parse::<usize>().ok().filter(|number| *number > 0);
    let number = number.and_then(|number| number.checked_mul(1 << shift));
    number.ok_or_else(|| "a size such as 4096, 64k, 8m or 1g is expected".into())
}

/// `replicas=3,max-age=7d`
fn new_stream(text: &str) -> Result<NewStream, String> {
    let mut new = NewStream::default();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').ok_or_else(|| format!("{option} is not NAME=VALUE"))?;
        let time = || humantime::parse_duration(value).map(Some).map_err(|error| format!("{name}: {error}"));
        match name {
            "replicas" => new.replicas = positive(value).map_err(|error| format!("replicas: {error}"))?,
            "max-age" => new.max_age = time()?,
            "duplicate-window" => new.duplicate_window = time()?,
            "max-bytes" => {
                new.max_bytes = Some(bytes(value).map_err(|error| format!("max-bytes: {error}"))? as u64)
            }
            _ => {
                return Err(format!(
                    "{name} is no option; there are replicas, max-age, max-bytes, duplicate-window"
                ));
            }
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_streams_are_read_or_refused() {
        assert_eq!(
            ["1", "64k", "8M", "2GiB", "3kb"].map(|text| bytes(text).ok()),
            [1, 1 << 16, 8 << 20, 2 << 30, 3 << 10].map(Some)
        );
        assert!(["", "0", "k", "-1", "1t", "99999999999999999999g"].iter().all(|text| bytes(text).is_err()));
        let new = new_stream("replicas=3,max-age=7d").unwrap();
        assert_eq!((new.replicas, new.max_age), (3, Some(Duration::from_secs(7 * 86_400))));
        assert_eq!(new_stream(""), Ok(NewStream::default()));
        assert!(
            ["replicas", "replicas=0", "what=1", "max-age=x"].iter().all(|text| new_stream(text).is_err())
        );
    }
}
