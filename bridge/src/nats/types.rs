//! Descriptions of message types, kept beside the streams: one message for each type in the stream `RINGWAY_TYPES`.
//!
//! A message of a typed queue carries the fingerprint of its type in the header `Ringway-Type`; the description is the
//! last message of subject `ringway.type.FINGERPRINT`. Both sides compare the whole description, so that two types with
//! the same fingerprint would be noticed.

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, LastRawMessageErrorKind, Stream};
use ringway::schema::Description;

use super::connect::with_sources;
use super::error::NO_MESSAGE;
use super::stream::StreamOptions;
use crate::engine::{Cause, EpochEnd};

/// The header with the fingerprint of the message's type.
pub(crate) const TYPE: &str = "Ringway-Type";
/// The header of a description with rkyv's format: a number in hexadecimal.
const FORMAT: &str = "Ringway-Format";
/// The stream with the descriptions.
pub(crate) const STREAM: &str = "RINGWAY_TYPES";
const SUBJECTS: &str = "ringway.type.>";

/// The first eight bytes of the description's fingerprint, in hexadecimal.
#[must_use]
pub fn fingerprint(description: &Description) -> String {
    description.fingerprint()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn subject(fingerprint: &str) -> String {
    format!("ringway.type.{fingerprint}")
}

/// Makes sure that the description is there; returns its fingerprint.
pub(super) async fn publish(
    context: &Context,
    description: &Description,
    options: &StreamOptions,
) -> Result<String, EpochEnd> {
    let replicas = options.create.as_ref().map_or(1, |new| new.replicas.max(1));
    let config = Config {
        name: STREAM.into(),
        subjects: vec![SUBJECTS.into()],
        num_replicas: replicas,
        max_messages: -1,
        max_messages_per_subject: 1,
        max_bytes: -1,
        max_consumers: -1,
        description: Some("descriptions of message types, by ringway-bridge".into()),
        ..Config::default()
    };
    let lost = |what: &str, error: &dyn std::error::Error| {
        EpochEnd::lost(Cause::Connect, format!("{what} stream {STREAM}: {}", with_sources(error)))
    };
    let stream = context.get_or_create_stream(config).await.map_err(|error| lost("creating", &error))?;
    let fingerprint = fingerprint(description);
    match read(&stream, &fingerprint).await? {
        Some(there) => match there.difference(description) {
            None => Ok(fingerprint),
            Some(difference) => Err(EpochEnd::Refused(format!(
                "stream {STREAM} describes another type under {fingerprint}: {difference}"
            ))),
        },
        None => {
            let mut headers = HeaderMap::new();
            headers.insert(FORMAT, format!("{:x}", description.format_word()));
            let text = description.text().to_owned();
            let sent = context.publish_with_headers(subject(&fingerprint), headers, text.into()).await;
            let acked = sent.map_err(|error| lost("publishing into", &error))?;
            acked.await.map_err(|error| lost("publishing into", &error))?;
            Ok(fingerprint)
        }
    }
}

/// Reads the description with this fingerprint, if there is one.
pub(crate) async fn read(stream: &Stream, fingerprint: &str) -> Result<Option<Description>, EpochEnd> {
    let message = match stream.get_last_raw_message_by_subject(&subject(fingerprint)).await {
        Ok(message) => message,
        Err(error) => {
            return match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(inner) if inner.error_code() == NO_MESSAGE => Ok(None),
                _ => Err(EpochEnd::lost(
                    Cause::Connect,
                    format!("reading from stream {STREAM}: {}", with_sources(&error)),
                )),
            };
        }
    };
    let refuse =
        |why: String| EpochEnd::Refused(format!("stream {STREAM}, description {fingerprint}: {why}"));
    let format = message.headers.get(FORMAT).map(|word| u64::from_str_radix(word.as_str(), 16));
    let Some(Ok(format)) = format else {
        return Err(refuse(format!("the header {FORMAT} is missing or is no number in hexadecimal")));
    };
    let text = std::str::from_utf8(&message.payload).map_err(|error| refuse(error.to_string()))?;
    let description = Description::parse(text, format).map_err(|error| refuse(error.to_string()))?;
    match self::fingerprint(&description) == fingerprint {
        true => Ok(Some(description)),
        false => Err(refuse("it is the description of another type".into())),
    }
}
