//! The durable consumer that a link pulls from: found or created, and checked for what a bridge needs.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, Info, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{ConsumerErrorKind, Info as StreamInfo, RetentionPolicy, Stream};

use super::connect::with_sources;
use super::consume::lost;
use super::stream::is_match;
use crate::engine::{Cause, EpochEnd};

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

/// Whether a bridge can take messages from the stream at all.
pub(super) fn check_stream(info: &StreamInfo) -> Result<(), EpochEnd> {
    if info.config.retention != RetentionPolicy::WorkQueue {
        return Ok(());
    }
    Err(EpochEnd::Misconfigured(format!(
        "stream {} is a work queue: its server lets no consumer acknowledge many messages at once, which exactly-once \
         delivery into a queue is built on. Let a stream with retention `limits` source from it",
        info.config.name
    )))
}

/// What the server knows of the consumer; none if it does not exist.
pub(super) async fn info(stream: &Stream, options: &ConsumerOptions) -> Result<Option<Info>, EpochEnd> {
    let name = &options.consumer;
    match stream.consumer_info(name).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ConsumerInfoErrorKind::InvalidName => {
            Err(EpochEnd::Misconfigured(format!(
                "\"{}\" is no name for a consumer: dots, spaces, `*` and `>` are not allowed",
                name.escape_default()
            )))
        }
        Err(error) => Err(lost(&format!("asking for consumer {name}"), &error)),
    }
}

/// Finds the consumer, or creates it.
pub(super) async fn find(
    stream: &Stream,
    options: &ConsumerOptions,
) -> Result<Consumer<pull::Config>, EpochEnd> {
    let name = &options.consumer;
    let Some(info) = info(stream, options).await? else {
        let created = stream.create_consumer(options.config()).await;
        return created.map_err(|error| match error.kind() {
            ConsumerErrorKind::TimedOut | ConsumerErrorKind::Request => {
                lost(&format!("creating consumer {name}"), &error)
            }
            _ => EpochEnd::Misconfigured(format!("creating consumer {name}: {}", with_sources(&error))),
        });
    };
    check(&info, options)?;
    stream
        .get_consumer(name)
        .await
        .map_err(|error| EpochEnd::lost(Cause::Connect, format!("asking for consumer {name}: {error}")))
}

/// Whether messages under this subject would come back through the consumer, again and again.
pub(super) fn check_dead_letters(
    info: &StreamInfo,
    options: &ConsumerOptions,
    subject: &str,
) -> Result<(), EpochEnd> {
    let takes = info.config.subjects.iter().any(|pattern| is_match(pattern, subject));
    if !takes || options.filter.as_ref().is_some_and(|filter| !is_match(filter, subject)) {
        return Ok(());
    }
    Err(EpochEnd::Misconfigured(format!(
        "dead letters under the subject {subject} would come back as messages of stream {}: give a subject that the stream \
         does not take ({}), or that --filter leaves out",
        options.stream,
        info.config.subjects.join(", ")
    )))
}

/// Whether a consumer that exists is what a bridge needs.
pub(super) fn check(info: &Info, options: &ConsumerOptions) -> Result<(), EpochEnd> {
    let (name, wanted) = (&options.consumer, options.config());
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
    if config.headers_only {
        return refuse("gives headers only, and no payloads: create it without headers_only".into());
    }
    if config.max_deliver > 0 {
        return refuse(format!(
            "gives a message up after {} deliveries, so that an outage would lose messages: create it without a maximum",
            config.max_deliver
        ));
    }
    Ok(())
}
