//! A stream's durable pull consumer, as a source.
//!
//! # Why no message is left out, although the server delivers again only after a while
//! What an earlier bridge was given and did not acknowledge, the server keeps back until its ack wait is over, and gives
//! out later messages first. To acknowledge one of those would acknowledge everything before it ([`AckPolicy::All`]), and
//! what was kept back would be lost. So an epoch begins with the consumer's state: everything up to `delivered` was given
//! to somebody, and what of it is after the link's own place is read from the stream itself, message by message
//! ([`Epoch::replay`]). Only then is the consumer pulled from, which from there on gives new messages in the stream's
//! order; what it repeats of the old ones is dropped by its number.
//!
//! That nobody else is given messages meanwhile shows in the consumer's own count of deliveries, which every message
//! carries: it must go up by one from the count at the epoch's beginning. A gap ends the epoch. It comes from another
//! program that uses the consumer, or from a pull of a dead connection that the server still served.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{ConsumerErrorKind, RawMessageErrorKind, RetentionPolicy, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{HeaderMap, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use ringway::schema::Description;

use super::connect::{self, Connection, Servers, with_sources};
use super::error::NO_MESSAGE;
use super::stream;
use super::types;
use crate::engine::{Cause, EpochEnd};
use crate::inbound::source::{Incoming, Origin, Source, SourceName, Tag};
use crate::pack;
use crate::types::TypeTag;

/// Which consumer of which stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// The stream, which must exist.
    pub stream: String,
    /// The durable consumer; created if it is missing.
    pub consumer: String,
    /// Only messages with these subjects; none: all.
    pub filter: Option<String>,
    /// How many messages are asked for at once. Twice as many may be outstanding.
    pub batch: usize,
    /// How many bytes are asked for at once; one message is always given.
    pub batch_bytes: usize,
    /// After which time the server delivers again what is not acknowledged.
    pub ack_wait: Duration,
}

impl ConsumerOptions {
    /// This consumer, with the defaults.
    pub fn new(stream: impl Into<String>, consumer: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            consumer: consumer.into(),
            filter: None,
            batch: 256,
            batch_bytes: 8 << 20,
            ack_wait: Duration::from_secs(30),
        }
    }

    /// What the consumer must be.
    fn config(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.consumer.clone()),
            description: Some("a bridge into a ringway queue".into()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::All,
            ack_wait: self.ack_wait,
            max_ack_pending: 2 * self.batch as i64,
            filter_subject: self.filter.clone().unwrap_or_default(),
            ..pull::Config::default()
        }
    }
}

/// A pull that gets nothing ends after so long, and another one begins.
const EXPIRES: Duration = Duration::from_secs(30);
/// While there is nothing, the server says so that often; without it, the connection is lost.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A stream's consumer, as a source.
#[derive(Debug)]
pub struct NatsSource {
    servers: Servers,
    options: ConsumerOptions,
    epoch: Option<Epoch>,
    /// Whether any epoch has begun. Before that, a mistake in the configuration ends the link.
    has_begun: bool,
}

struct Epoch {
    connection: Connection,
    context: Context,
    stream: Stream,
    consumer: Consumer<pull::Config>,
    filter: Option<String>,
    batch: usize,
    batch_bytes: usize,
    /// Of the earlier deliveries: where reading them from the stream goes on, and up to where.
    replay: std::ops::Range<u64>,
    messages: Option<pull::Stream>,
    /// What the consumer's count of deliveries will be.
    next_delivery: u64,
    /// The number of the last message given out.
    given: u64,
    /// What was delivered and not acknowledged: number, and the subject for its acknowledgement.
    outstanding: VecDeque<(u64, Subject)>,
    /// Where confirmations come, and how many.
    confirmations: Subscriber,
    inbox: String,
    unconfirmed: usize,
}

impl std::fmt::Debug for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Epoch")
            .field("given", &self.given)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}

fn lost(what: &str, error: &dyn std::error::Error) -> EpochEnd {
    EpochEnd::lost(Cause::Disconnected, format!("{what}: {}", with_sources(error)))
}

impl NatsSource {
    /// Pulls from this consumer.
    #[must_use]
    pub fn new(servers: Servers, options: ConsumerOptions) -> Self {
        Self { servers, options, epoch: None, has_begun: false }
    }

    async fn begin(&mut self) -> Result<(Epoch, Origin), EpochEnd> {
        let connection = connect::connect(&self.servers).await?;
        let context = connection.context(&self.servers);
        let Some(stream) = stream::find(&context, &self.options.stream).await? else {
            return Err(EpochEnd::Misconfigured(format!("the server has no stream {}", self.options.stream)));
        };
        let info = stream.cached_info();
        if info.config.retention == RetentionPolicy::WorkQueue {
            return Err(EpochEnd::Misconfigured(format!(
                "stream {} is a work queue: its server lets no consumer acknowledge many messages at once, which exactly-once \
                 delivery into a queue is built on. Let a stream with retention `limits` source from it",
                self.options.stream
            )));
        }
        let created = i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or_default();
        let consumer = find_consumer(&stream, &self.options).await?;
        let state = consumer.cached_info();
        let name = SourceName {
            stream: self.options.stream.clone(),
            created,
            consumer: self.options.consumer.clone(),
        };
        let origin = Origin { name, acked: state.ack_floor.stream_sequence };
        let max_payload = connection.client().max_payload();
        let inbox = connection.client().new_inbox();
        let confirmations = connection.client().subscribe(inbox.clone()).await;
        let confirmations = confirmations.map_err(|error| lost("subscribing", &error))?;
        let (next_delivery, delivered) =
            (state.delivered.consumer_sequence + 1, state.delivered.stream_sequence);
        let epoch = Epoch {
            connection,
            context,
            stream,
            filter: self.options.filter.clone(),
            batch: self.options.batch,
            // The server never gives a message that is larger than what is asked for.
            batch_bytes: self.options.batch_bytes.max(max_payload),
            replay: 1..delivered + 1,
            consumer,
            messages: None,
            next_delivery,
            given: 0,
            outstanding: VecDeque::new(),
            confirmations,
            inbox,
            unconfirmed: 0,
        };
        Ok((epoch, origin))
    }

    fn epoch(&mut self) -> &mut Epoch {
        self.epoch.as_mut().expect("an epoch was begun")
    }
}

async fn find_consumer(
    stream: &Stream,
    options: &ConsumerOptions,
) -> Result<Consumer<pull::Config>, EpochEnd> {
    let name = &options.consumer;
    let wanted = options.config();
    let info = match stream.consumer_info(name).await {
        Ok(info) => info,
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
            let created = stream.create_consumer(wanted.clone()).await;
            return created.map_err(|error| match error.kind() {
                ConsumerErrorKind::TimedOut | ConsumerErrorKind::Request => {
                    lost(&format!("creating consumer {name}"), &error)
                }
                _ => EpochEnd::Misconfigured(format!("creating consumer {name}: {}", with_sources(&error))),
            });
        }
        Err(error) if error.kind() == ConsumerInfoErrorKind::InvalidName => {
            return Err(EpochEnd::Misconfigured(format!(
                "\"{}\" is no name for a consumer: dots, spaces, `*` and `>` are not allowed",
                name.escape_default()
            )));
        }
        Err(error) => return Err(lost(&format!("asking for consumer {name}"), &error)),
    };
    let config = &info.config;
    let refuse = |why: String| Err(EpochEnd::Misconfigured(format!("consumer {name} {why}")));
    if config.deliver_subject.is_some() {
        return refuse("pushes its messages to a subject; a bridge needs one that is pulled from".into());
    }
    if config.ack_policy != AckPolicy::All {
        return refuse(format!(
            "acknowledges otherwise ({:?}) than a bridge needs: create it with the policy `all`, or give another name and let \
             the bridge create it",
            config.ack_policy
        ));
    }
    if config.filter_subject != wanted.filter_subject || !config.filter_subjects.is_empty() {
        let all =
            |filter: &str| if filter.is_empty() { "all subjects".to_owned() } else { filter.to_owned() };
        return refuse(format!(
            "is for {}, and this link for {}",
            match config.filter_subjects.is_empty() {
                true => all(&config.filter_subject),
                false => config.filter_subjects.join(", "),
            },
            all(&wanted.filter_subject)
        ));
    }
    if config.max_deliver > 0 {
        return refuse(format!(
            "gives a message up after {} deliveries, so that an outage would lose messages: create it without a maximum",
            config.max_deliver
        ));
    }
    stream
        .get_consumer(name)
        .await
        .map_err(|error| EpochEnd::lost(Cause::Connect, format!("asking for consumer {name}: {error}")))
}

impl Epoch {
    /// The next of the messages that were delivered before this epoch, read from the stream; none if there are no more.
    async fn replay(&mut self) -> Result<Option<Incoming>, EpochEnd> {
        if self.replay.is_empty() {
            return Ok(None);
        }
        let subject = self.filter.as_deref().unwrap_or(">");
        let next = self.stream.raw_message_builder().sequence(self.replay.start).next_by_subject(subject);
        let message = match next.send().await {
            Ok(message) => message,
            Err(error) => match error.kind() {
                // All of them were removed from the stream.
                RawMessageErrorKind::NoMessageFound => {
                    self.replayed_all();
                    return Ok(None);
                }
                RawMessageErrorKind::JetStream(inner) if inner.error_code() == NO_MESSAGE => {
                    self.replayed_all();
                    return Ok(None);
                }
                _ => return Err(lost("reading a message from the stream", &error)),
            },
        };
        if message.sequence >= self.replay.end {
            self.replayed_all();
            return Ok(None);
        }
        self.replay.start = message.sequence + 1;
        self.given = message.sequence;
        let headers = Some(&message.headers);
        Ok(Some(incoming(message.sequence, message.subject.as_str(), headers, message.payload)))
    }

    /// Nothing is left to be read.
    fn replayed_all(&mut self) {
        self.given = self.given.max(self.replay.end - 1);
        self.replay.start = self.replay.end;
    }

    /// Takes one delivery. None if it was given out before, in this epoch or another.
    async fn deliver(&mut self, message: jetstream::Message) -> Result<Option<Incoming>, EpochEnd> {
        let (sequence, delivery) = match message.info() {
            Ok(info) => (info.stream_sequence, info.consumer_sequence),
            Err(error) => {
                return Err(EpochEnd::lost(Cause::Sequence, format!("not a stream's message: {error}")));
            }
        };
        if delivery != self.next_delivery {
            return Err(EpochEnd::lost(
                Cause::Sequence,
                format!(
                    "delivery {delivery} of consumer {} came when {} was expected: another program takes messages from it, or the \
                     server still served a connection that is gone",
                    self.consumer.cached_info().name,
                    self.next_delivery
                ),
            ));
        }
        self.next_delivery += 1;
        let async_nats::Message { subject, reply, payload, headers, .. } = message.message;
        let reply = reply.unwrap_or_else(|| Subject::from_static(""));
        if sequence <= self.given {
            // What is acknowledged later acknowledges it; if nothing will be, this does.
            if self.outstanding.is_empty() {
                self.publish(reply, b"+ACK").await?;
            }
            return Ok(None);
        }
        self.given = sequence;
        self.outstanding.push_back((sequence, reply));
        Ok(Some(incoming(sequence, subject.as_str(), headers.as_ref(), payload)))
    }

    async fn publish(&self, subject: Subject, what: &'static [u8]) -> Result<(), EpochEnd> {
        let sent = self.connection.client().publish(subject, Bytes::from_static(what)).await;
        sent.map_err(|error| lost("acknowledging", &error))
    }

    async fn confirmed(&mut self) -> Result<(), EpochEnd> {
        while self.unconfirmed > 0 {
            let confirmation = tokio::select! {
                confirmation = tokio::time::timeout(connect::CONNECT_TIMEOUT, self.confirmations.next()) => confirmation,
                error = self.connection.lost() => return Err(error),
            };
            match confirmation {
                Ok(Some(_)) => self.unconfirmed -= 1,
                Ok(None) => return Err(EpochEnd::lost(Cause::Disconnected, "the connection was lost")),
                Err(_) => {
                    return Err(EpochEnd::lost(
                        Cause::Deadline,
                        "the server does not confirm an acknowledgement",
                    ));
                }
            }
        }
        Ok(())
    }

    async fn start(&mut self, after: u64) -> Result<(), EpochEnd> {
        self.replay.start = after + 1;
        self.given = after;
        let messages = self.consumer.stream().max_messages_per_batch(self.batch);
        let messages = messages.max_bytes_per_batch(self.batch_bytes).expires(EXPIRES).heartbeat(HEARTBEAT);
        self.messages = Some(messages.messages().await.map_err(|error| lost("pulling", &error))?);
        Ok(())
    }

    async fn pull(&mut self) -> Result<Vec<Incoming>, EpochEnd> {
        let mut batch = Vec::new();
        while batch.len() < self.batch
            && let Some(message) = self.replay().await?
        {
            batch.push(message);
        }
        if !batch.is_empty() {
            return Ok(batch);
        }
        loop {
            let messages = self.messages.as_mut().expect("start comes before pull");
            let next = tokio::select! {
                biased;
                next = messages.next() => next,
                error = self.connection.lost() => return Err(error),
            };
            batch.extend(self.delivered(next).await?);
            // Those that are there already.
            let mut bytes = 0;
            while batch.len() < self.batch && bytes < self.batch_bytes {
                let messages = self.messages.as_mut().expect("start comes before pull");
                let Some(next) = messages.next().now_or_never() else { break };
                let message = self.delivered(next).await?;
                bytes += message.as_ref().map_or(0, |message| message.payload.len());
                batch.extend(message);
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    async fn delivered(
        &mut self,
        next: Option<Result<jetstream::Message, pull::MessagesError>>,
    ) -> Result<Option<Incoming>, EpochEnd> {
        match next {
            Some(Ok(message)) => self.deliver(message).await,
            Some(Err(error)) => Err(lost("pulling", &error)),
            None => Err(EpochEnd::lost(Cause::Disconnected, "the connection was lost")),
        }
    }
}

impl Source for NatsSource {
    async fn open(&mut self) -> Result<Origin, EpochEnd> {
        self.epoch = None;
        match self.begin().await {
            Ok((epoch, origin)) => {
                self.epoch = Some(epoch);
                self.has_begun = true;
                Ok(origin)
            }
            // What worked once is an outage, or being repaired.
            Err(EpochEnd::Misconfigured(why)) if self.has_begun => Err(EpochEnd::lost(Cause::Connect, why)),
            Err(error) => Err(error),
        }
    }

    async fn start(&mut self, after: u64) -> Result<(), EpochEnd> {
        self.epoch().start(after).await
    }

    async fn pull(&mut self) -> Result<Vec<Incoming>, EpochEnd> {
        self.epoch().pull().await
    }

    async fn ack(&mut self, through: u64) -> Result<(), EpochEnd> {
        let epoch = self.epoch();
        epoch.confirmed().await?;
        let mut reply = None;
        while epoch.outstanding.front().is_some_and(|(sequence, _)| *sequence <= through) {
            reply = epoch.outstanding.pop_front().map(|(_, subject)| subject);
        }
        // What was read from the stream has no subject for that: it is acknowledged with what comes after it.
        let Some(reply) = reply else { return Ok(()) };
        let client = epoch.connection.client();
        let sent = client.publish_with_reply(reply, epoch.inbox.clone(), Bytes::from_static(b"+ACK")).await;
        sent.map_err(|error| lost("acknowledging", &error))?;
        epoch.unconfirmed += 1;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), EpochEnd> {
        self.epoch().confirmed().await
    }

    async fn keep(&mut self) -> Result<(), EpochEnd> {
        let epoch = self.epoch();
        for (_, reply) in &epoch.outstanding {
            epoch.publish(reply.clone(), b"+WPI").await?;
        }
        Ok(())
    }

    async fn describe(&mut self, tag: TypeTag) -> Result<Option<Description>, EpochEnd> {
        let epoch = self.epoch();
        match stream::find(&epoch.context, types::STREAM).await? {
            Some(stream) => types::read(&stream, &tag.to_string()).await,
            None => Ok(None),
        }
    }

    async fn dead_letter(&mut self, subject: &str, message: &Incoming, reason: &str) -> Result<(), EpochEnd> {
        let epoch = self.epoch();
        let mut headers = HeaderMap::new();
        headers.insert("Ringway-Reason", one_line(reason));
        headers.insert(
            "Ringway-Origin",
            format!("{}.{}", epoch.stream.cached_info().config.name, message.sequence),
        );
        if let Some(count) = message.packed {
            headers.insert(pack::HEADER, count.to_string());
        }
        if let Tag::Type(tag) = message.tag {
            headers.insert(types::TYPE, tag.to_string());
        }
        let sent =
            epoch.context.publish_with_headers(subject.to_owned(), headers, message.payload.clone()).await;
        let failed = |error: &dyn std::error::Error| {
            let why = format!("moving message {} to {subject}: {}", message.sequence, with_sources(error));
            EpochEnd::lost(Cause::NotStored, why)
        };
        let ack = sent.map_err(|error| failed(&error))?;
        ack.await.map_err(|error| failed(&error))?;
        Ok(())
    }
}

/// Headers have one line.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn incoming(sequence: u64, subject: &str, headers: Option<&HeaderMap>, payload: Bytes) -> Incoming {
    let header = |name: &str| headers.and_then(|headers| headers.get(name)).map(|value| value.as_str());
    let tag = match header(types::TYPE).map(str::parse) {
        None => Tag::None,
        Some(Ok(tag)) => Tag::Type(tag),
        Some(Err(_)) => Tag::Invalid,
    };
    // A count that is no number is a pack that holds something else than it says.
    let packed = header(pack::HEADER).map(|count| count.parse().unwrap_or(0));
    Incoming { sequence, subject: subject.into(), tag, packed, payload }
}
