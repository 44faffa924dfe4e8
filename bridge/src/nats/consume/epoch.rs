//! One epoch of pulling: earlier deliveries read from the stream, then new ones, and their acknowledgements.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{HeaderMap, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

use super::earlier::Earlier;
use super::lost;
use crate::engine::{Cause, EpochEnd};
use crate::inbound::source::{Incoming, Tag};
use crate::nats::connect::{self, Connection};
use crate::nats::error::NO_MESSAGE;
use crate::nats::types;
use crate::pack;

/// A pull that gets nothing ends after so long, and another one begins.
const EXPIRES: Duration = Duration::from_secs(30);
/// While there is nothing, the server says so that often; without it, the connection is lost.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A connection, and what was given out on it.
pub(super) struct Epoch {
    pub(super) connection: Connection,
    pub(super) context: Context,
    pub(super) stream: Stream,
    pub(super) consumer: Consumer<pull::Config>,
    pub(super) filter: Option<String>,
    pub(super) batch: usize,
    pub(super) batch_bytes: usize,
    /// Of the earlier deliveries: where reading them from the stream goes on, and up to where.
    pub(super) replay: Range<u64>,
    pub(super) messages: Option<pull::Stream>,
    /// What the consumer's count of deliveries will be.
    pub(super) next_delivery: u64,
    /// The number of the last message given out.
    pub(super) given: u64,
    /// What was delivered and not acknowledged: number, and the subject for its acknowledgement.
    pub(super) outstanding: VecDeque<(u64, Subject)>,
    /// Where confirmations come, and how many.
    pub(super) confirmations: Subscriber,
    pub(super) inbox: String,
    pub(super) unconfirmed: usize,
    /// Acknowledges what was delivered before the epoch.
    pub(super) earlier: Earlier,
}

impl std::fmt::Debug for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Epoch")
            .field("given", &self.given)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
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
        self.earlier.given.push_back(message.sequence);
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

    pub(super) async fn publish(&self, subject: Subject, what: &'static [u8]) -> Result<(), EpochEnd> {
        let sent = self.connection.client().publish(subject, Bytes::from_static(what)).await;
        sent.map_err(|error| lost("acknowledging", &error))
    }

    /// Waits until the server has every acknowledgement.
    pub(super) async fn confirmed(&mut self) -> Result<(), EpochEnd> {
        while self.unconfirmed > 0 {
            let confirmation = tokio::select! {
                confirmation = tokio::time::timeout(connect::CONNECT_TIMEOUT, self.confirmations.next()) => confirmation,
                error = self.connection.lost() => return Err(error),
            };
            match confirmation {
                // "No responders".
                Ok(Some(answer)) if answer.status.is_some() => {
                    self.earlier.is_unheard = self.earlier.is_asked;
                    return Err(EpochEnd::lost(
                        Cause::Connect,
                        format!(
                            "the server has nothing that takes an acknowledgement: consumer {} is gone, or has no leader",
                            self.consumer.cached_info().name
                        ),
                    ));
                }
                Ok(Some(_)) => {
                    self.unconfirmed -= 1;
                    self.earlier.is_asked = false;
                }
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

    /// Gives out what is after this message.
    pub(super) async fn start(&mut self, after: u64) -> Result<(), EpochEnd> {
        self.replay.start = after + 1;
        self.given = after;
        let messages = self.consumer.stream().max_messages_per_batch(self.batch);
        let messages = messages.max_bytes_per_batch(self.batch_bytes).expires(EXPIRES).heartbeat(HEARTBEAT);
        self.messages = Some(messages.messages().await.map_err(|error| lost("pulling", &error))?);
        Ok(())
    }

    /// The next messages, at least one.
    pub(super) async fn pull(&mut self) -> Result<Vec<Incoming>, EpochEnd> {
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
