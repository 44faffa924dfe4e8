//! Whether a link could run, found out without changing anything: no stream or consumer is created, nothing is published,
//! and the queue is only inspected.

use async_nats::jetstream::stream::RawMessageErrorKind;
use ringway::Uuid;
use ringway::schema::Description;

use super::connect::{self, Servers, with_sources};
use super::consumer::{self, ConsumerOptions};
use super::stream::{self, StreamOptions};
use super::{Order, place, types};
use crate::engine::{Cause, EpochEnd, Last};

/// What is known of a queue without attaching to it.
#[derive(Clone, Debug)]
pub struct QueueFacts {
    /// Its identity.
    pub uuid: Uuid,
    /// Its messages' type.
    pub description: Description,
    /// The largest message that it takes.
    pub max_message: usize,
}

/// Checks a link into a stream; returns what is worth knowing, one line each.
///
/// # Errors
/// Why the link would be refused, or why that cannot be found out now.
pub async fn outbound(
    servers: &Servers,
    options: &StreamOptions,
    order: Order,
    takes_over: bool,
    queue: &QueueFacts,
) -> Result<Vec<String>, EpochEnd> {
    let connection = connect::connect(servers).await?;
    let context = connection.context(servers);
    let mut said = Vec::new();
    let max_payload = connection.client().max_payload();
    if queue.max_message > max_payload {
        said.push(format!(
            "the queue takes messages of {} bytes, the server {max_payload} at most: a larger one would stop the link",
            queue.max_message
        ));
    }
    if let Some(types_stream) = stream::find(&context, types::STREAM).await?
        && !queue.description.is_bytes()
        && let Some(there) = types::read(&types_stream, &types::fingerprint(&queue.description)).await?
        && let Some(difference) = there.difference(&queue.description)
    {
        return Err(EpochEnd::Refused(format!(
            "stream {} describes another type: {difference}",
            types::STREAM
        )));
    }
    let Some(mut stream) = stream::find(&context, &options.name).await? else {
        return match &options.create {
            Some(_) => {
                said.push(format!("stream {} is not there; it would be created", options.name));
                Ok(said)
            }
            None => Err(EpochEnd::Misconfigured(format!("the server has no stream {}", options.name))),
        };
    };
    stream::check(stream.cached_info(), options, order)?;
    let name = &options.name;
    let (doubt, is_refused) = match place::read(&mut stream, order, max_payload).await?.last {
        Last::Of { id, .. } if id.queue != queue.uuid => {
            let why = format!(
                "stream {name} ends with a message of another queue, {} (this queue is {})",
                id.queue, queue.uuid
            );
            (why, true)
        }
        Last::Unnamed => {
            (format!("stream {name} ends with a message that does not come from a bridge"), true)
        }
        // That is no matter if the queue holds nothing that an earlier bridge took.
        Last::Gone => (
            format!("the last message of stream {name} is gone, and with it the proof of what is stored"),
            false,
        ),
        Last::None | Last::Of { .. } | Last::Shared => return Ok(said),
    };
    match (takes_over, is_refused) {
        (false, true) => Err(EpochEnd::Refused(format!("{doubt}; --takeover would continue it"))),
        (false, false) => {
            said.push(doubt);
            Ok(said)
        }
        (true, _) => {
            said.push(format!("{doubt}; --takeover continues it"));
            Ok(said)
        }
    }
}

/// Checks a link into a queue, which may be missing, and the subject of its dead letters; returns what is worth knowing, one line each.
///
/// # Errors
/// Why the link would be refused, or why that cannot be found out now.
pub async fn inbound(
    servers: &Servers,
    options: &ConsumerOptions,
    dead_letters: Option<&str>,
    queue: Option<&QueueFacts>,
) -> Result<Vec<String>, EpochEnd> {
    let connection = connect::connect(servers).await?;
    let context = connection.context(servers);
    let mut said = Vec::new();
    let Some(stream) = stream::find(&context, &options.stream).await? else {
        return Err(EpochEnd::Misconfigured(format!("the server has no stream {}", options.stream)));
    };
    consumer::check_stream(stream.cached_info())?;
    if let Some(subject) = dead_letters {
        consumer::check_dead_letters(stream.cached_info(), options, subject)?;
    }
    match consumer::info(&stream, options).await? {
        Some(info) => consumer::check(&info, options)?,
        None => said.push(format!("consumer {} is not there; it would be created", options.consumer)),
    }
    let Some(queue) = queue else { return Ok(said) };
    let last = stream.cached_info().state.last_sequence;
    if queue.description.is_bytes() || last == 0 {
        return Ok(said);
    }
    let message = match stream.get_raw_message(last).await {
        Ok(message) => message,
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(said),
        Err(error) => {
            let why = format!("reading the stream's last message: {}", with_sources(&error));
            return Err(EpochEnd::lost(Cause::Connect, why));
        }
    };
    let name = queue.description.name();
    let Some(tag) = message.headers.get(types::TYPE).map(|tag| tag.as_str().to_owned()) else {
        return Err(EpochEnd::Refused(format!(
            "the last message of stream {} names no type, and the queue is one of {name}",
            options.stream
        )));
    };
    let described = match stream::find(&context, types::STREAM).await? {
        Some(types_stream) => types::read(&types_stream, &tag).await?,
        None => None,
    };
    let Some(described) = described else {
        let tag = tag.escape_default();
        return Err(EpochEnd::Refused(format!(
            "the description of type {tag} is not in stream {}",
            types::STREAM
        )));
    };
    match queue.description.difference(&described) {
        None => Ok(said),
        Some(difference) => Err(EpochEnd::Refused(format!(
            "the stream's messages are of another type than the queue (\"the file\" is the queue, \"this program\" the stream): \
             {difference}"
        ))),
    }
}
