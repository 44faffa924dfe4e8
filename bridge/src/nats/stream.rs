//! The stream: found or created, and checked for what strict order needs.

use std::time::Duration;

use async_nats::jetstream::context::{
    CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind,
};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, Stream};
use async_nats::jetstream::{Context, Error, ErrorCode};

use super::Order;
use super::connect::with_sources;
use super::error::{NO_JETSTREAM, is_no_jetstream};
use crate::engine::{Cause, EpochEnd};

/// Which stream, and what to do if it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Its name.
    pub name: String,
    /// The subject to publish to.
    pub subject: String,
    /// How to create it if it is missing; without this, a missing stream is an error.
    pub create: Option<NewStream>,
}

/// A stream to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewStream {
    /// How many servers keep a copy; 0 means 1.
    pub replicas: usize,
    /// How long messages are kept; none: for ever.
    pub max_age: Option<Duration>,
    /// How many bytes are kept; none: as many as the server has room for.
    pub max_bytes: Option<u64>,
    /// For shared order: within which time the server drops what it has stored already; none: two minutes.
    pub duplicate_window: Option<Duration>,
}

/// Strict order needs no ids: the server need not remember any.
const STRICT_WINDOW: Duration = Duration::from_millis(100);
/// The server's own default.
const SHARED_WINDOW: Duration = Duration::from_secs(120);

/// Finds the stream, or creates it.
pub(super) async fn open(
    context: &Context,
    options: &StreamOptions,
    order: Order,
) -> Result<Stream, EpochEnd> {
    let stream = match (find(context, &options.name).await?, &options.create) {
        (Some(stream), _) => stream,
        (None, Some(new)) => create(context, options, new, order).await?,
        (None, None) => {
            return Err(EpochEnd::Misconfigured(format!(
                "the server has no stream {}; say --create-stream to have it created, or create it with the `nats` command",
                options.name
            )));
        }
    };
    check(stream.cached_info(), options, order)?;
    Ok(stream)
}

/// How often, and how long after one another, a server without JetStream is asked again.
const STARTING: u32 = 8;
const STARTING_INTERVAL: Duration = Duration::from_millis(250);

/// Whether nothing answers for JetStream.
fn is_nobody(error: &GetStreamError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<RequestError>());
    source.is_some_and(|source| source.kind() == RequestErrorKind::NoResponders)
}

/// Whether a cluster cannot do it now: it has no leader yet, or its servers do not know each other.
fn is_passing(error: &Error) -> bool {
    let codes =
        [ErrorCode::CLUSTER_NO_PEERS, ErrorCode::CLUSTER_INCOMPLETE, ErrorCode::CLUSTER_NOT_AVAILABLE];
    error.code() == 503 || codes.contains(&error.error_code())
}

/// Finds the stream, if there is one. A server that has just started has no JetStream yet.
pub(super) async fn find(context: &Context, name: &str) -> Result<Option<Stream>, EpochEnd> {
    let mut attempts = 0;
    let error = loop {
        match context.get_stream(name).await {
            Ok(stream) => return Ok(Some(stream)),
            Err(error) if attempts < STARTING && is_nobody(&error) => attempts += 1,
            Err(error) => break error,
        }
        tokio::time::sleep(STARTING_INTERVAL).await;
    };
    match error.kind() {
        GetStreamErrorKind::JetStream(inner) if inner.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
        GetStreamErrorKind::JetStream(inner) if is_no_jetstream(&inner) => {
            Err(EpochEnd::Misconfigured(NO_JETSTREAM.into()))
        }
        GetStreamErrorKind::EmptyName | GetStreamErrorKind::InvalidStreamName => {
            Err(EpochEnd::Misconfigured(format!(
                "\"{}\" is no name for a stream: dots, spaces, `*` and `>` are not allowed",
                name.escape_default()
            )))
        }
        _ => Err(match is_nobody(&error) {
            true => EpochEnd::Misconfigured(NO_JETSTREAM.into()),
            false => {
                EpochEnd::lost(Cause::Connect, format!("asking for stream {name}: {}", with_sources(&error)))
            }
        }),
    }
}

async fn create(
    context: &Context,
    options: &StreamOptions,
    new: &NewStream,
    order: Order,
) -> Result<Stream, EpochEnd> {
    let name = &options.name;
    let config = Config {
        name: name.clone(),
        subjects: vec![options.subject.clone()],
        num_replicas: new.replicas.max(1),
        max_age: new.max_age.unwrap_or_default(),
        max_bytes: new.max_bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        duplicate_window: match order {
            Order::Strict => STRICT_WINDOW,
            Order::Shared => new.duplicate_window.unwrap_or(SHARED_WINDOW),
        },
        // A full stream refuses, rather than that it drops what no consumer has seen.
        discard: DiscardPolicy::New,
        description: Some("created by ringway-bridge".into()),
        ..Config::default()
    };
    context.create_stream(config).await.map_err(|error| match error.kind() {
        CreateStreamErrorKind::JetStream(inner) if is_passing(&inner) => {
            EpochEnd::lost(Cause::Connect, format!("creating stream {name}: {}", with_sources(&error)))
        }
        CreateStreamErrorKind::TimedOut | CreateStreamErrorKind::JetStreamUnavailable => {
            EpochEnd::lost(Cause::Connect, format!("creating stream {name}: {}", with_sources(&error)))
        }
        _ => EpochEnd::Misconfigured(format!("creating stream {name}: {}", with_sources(&error))),
    })
}

/// Whether the stream keeps what it stores, and takes the subject.
pub(super) fn check(info: &Info, options: &StreamOptions, order: Order) -> Result<(), EpochEnd> {
    let (config, name, subject) = (&info.config, &options.name, &options.subject);
    let refuse = |why: String| Err(EpochEnd::Misconfigured(format!("stream {name} {why}")));
    if !config.subjects.iter().any(|pattern| is_match(pattern, subject)) {
        return refuse(format!(
            "does not take the subject {subject}: its subjects are {}",
            config.subjects.join(", ")
        ));
    }
    if config.no_ack {
        return refuse("does not acknowledge messages (no_ack), so nothing could ever be released".into());
    }
    if config.sealed || config.mirror.is_some() {
        return refuse("takes no messages: it is sealed, or mirrors another one".into());
    }
    if order == Order::Strict && config.retention != RetentionPolicy::Limits {
        return refuse(
            "removes messages once they are consumed, and with them the proof of what is stored: strict order needs \
             retention `limits`; --order shared does not"
                .into(),
        );
    }
    Ok(())
}

/// Whether a stream's subject, which may have wildcards, takes this one.
pub(super) fn is_match(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_match;

    #[test]
    fn wildcards_match_as_the_server_does() {
        for (pattern, subject) in
            [("a.b", "a.b"), ("a.*", "a.b"), ("a.>", "a.b.c"), (">", "a"), ("*.b", "a.b")]
        {
            assert!(is_match(pattern, subject), "{pattern} {subject}");
        }
        for (pattern, subject) in
            [("a.b", "a"), ("a", "a.b"), ("a.*", "a.b.c"), ("a.>", "a"), ("*", "a.b"), ("a.b", "a.c")]
        {
            assert!(!is_match(pattern, subject), "{pattern} {subject}");
        }
    }
}
