//! How far a stream has come: its last message, and what that says of itself.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};

use futures_util::{StreamExt, TryStreamExt};

use super::Order;
use super::connect::with_sources;
use super::error::NO_MESSAGE;
use crate::engine::{Cause, EpochEnd, Last, Place};
use crate::identity::MessageId;
use crate::pack;

/// The header with the message's identity. docs/bridge-format.md describes all of them.
pub(crate) const ID: &str = "Ringway-Id";
/// The header with the highest position that was taken before, if the message's own is lower.
pub(crate) const AFTER: &str = "Ringway-After";

/// What headers may take up of the server's limit.
const HEADERS: usize = 256;
/// How many messages are asked for at a time.
const REQUESTS: usize = 64;
/// Servers damage larger messages than this, whatever their limit is.
const MAX_PAYLOAD: usize = (32 << 20) - (1 << 16);

/// Reads the place. Asks the stream's leader: other servers may answer with what was true a while ago.
pub(super) async fn read(stream: &mut Stream, order: Order, max_payload: usize) -> Result<Place, EpochEnd> {
    let (state, limit) = match stream.info().await {
        Ok(info) => (info.state.clone(), info.config.max_message_size),
        Err(error) => return Err(lost(&error)),
    };
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let max_payload = max_payload.min(limit).saturating_sub(HEADERS).min(MAX_PAYLOAD);
    let place = |last| Ok(Place { last_sequence: state.last_sequence, last, max_payload });
    if order == Order::Shared {
        return place(Last::Shared);
    }
    if state.last_sequence == 0 {
        return place(Last::None);
    }
    place(at(stream, state.last_sequence).await?)
}

/// What the messages up to this one say of themselves, oldest first.
pub(super) async fn look_back(
    stream: &Stream,
    last_sequence: u64,
    count: usize,
) -> Result<Vec<Last>, EpochEnd> {
    let first = (last_sequence + 1).saturating_sub(count as u64).max(1);
    futures_util::stream::iter(first..=last_sequence)
        .map(|sequence| at(stream, sequence))
        .buffered(REQUESTS)
        .try_collect()
        .await
}

/// What one message says of itself.
async fn at<I: Sync>(stream: &Stream<I>, sequence: u64) -> Result<Last, EpochEnd> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(last(&message.headers)),
        Err(error) => match error.kind() {
            RawMessageErrorKind::NoMessageFound => Ok(Last::Gone),
            RawMessageErrorKind::JetStream(inner) if inner.error_code() == NO_MESSAGE => Ok(Last::Gone),
            _ => Err(lost(&error)),
        },
    }
}

fn lost(error: &dyn std::error::Error) -> EpochEnd {
    EpochEnd::lost(Cause::Connect, format!("reading the stream's last messages: {}", with_sources(error)))
}

fn last(headers: &HeaderMap) -> Last {
    let id = headers.get(ID).and_then(|id| id.as_str().parse::<MessageId>().ok());
    let after = headers.get(AFTER).map(|after| after.as_str().parse::<u64>());
    let count = headers.get(pack::HEADER).map_or(Ok(1), |count| count.as_str().parse::<u64>());
    match (id, after.transpose(), count) {
        (Some(id), Ok(after), Ok(count)) => Last::Of { id, after, count },
        _ => Last::Unnamed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)]) -> Last {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.insert(*name, *value));
        last(&map)
    }

    #[test]
    fn the_last_message_names_itself_or_not() {
        let id = MessageId { queue: [9; 16].into(), position: 7 };
        let text = id.to_string();
        assert_eq!(of(&[(ID, &text)]), Last::Of { id, after: None, count: 1 });
        assert_eq!(of(&[(ID, &text), (AFTER, "12")]), Last::Of { id, after: Some(12), count: 1 });
        assert_eq!(of(&[(ID, &text), (pack::HEADER, "9")]), Last::Of { id, after: None, count: 9 });
        assert_eq!(of(&[(ID, &text), (pack::HEADER, "-")]), Last::Unnamed);
        assert_eq!(of(&[]), Last::Unnamed);
        assert_eq!(of(&[(ID, "?")]), Last::Unnamed);
        assert_eq!(of(&[(ID, &text), (AFTER, "?")]), Last::Unnamed);
    }
}
