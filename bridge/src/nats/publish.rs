//! Publishing in one epoch: messages with their headers out, acknowledgements in.
//!
//! Acknowledgements come to one subscription, under a subject for each message: they are all awaited together, and the
//! deadline counts from the submission, not from when one begins to wait for that message.

use std::collections::VecDeque;

use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{Client, HeaderMap, HeaderName, Message, StatusCode, Subject, Subscriber};
use futures_util::StreamExt;

use super::Order;
use super::connect::with_sources;
use super::error::not_stored;
use super::place::{AFTER, ID};
use super::types::TYPE;
use crate::engine::{Ack, Cause, EpochEnd, Outgoing};
use crate::pack;

/// The same of all messages of a link.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) subject: String,
    pub(super) order: Order,
    /// Of the type of the messages, if they have one.
    pub(super) fingerprint: Option<String>,
}

#[derive(Debug)]
pub(super) struct Publishing {
    subject: Subject,
    order: Order,
    fingerprint: Option<String>,
    /// Where acknowledgements come, with the number of the message as last token.
    inbox: String,
    acks: Subscriber,
    /// The stream's last message, as far as it is known, when the next message is stored.
    expected: u64,
    /// The number of the next message, and of the oldest that is not acknowledged.
    next: u64,
    oldest: u64,
    /// Of those from the oldest on: what was acknowledged before an older one.
    early: VecDeque<Option<Ack>>,
}

impl Publishing {
    pub(super) async fn begin(client: &Client, token: Token, last_sequence: u64) -> Result<Self, EpochEnd> {
        let inbox = client.new_inbox();
        let acks = client.subscribe(format!("{inbox}.*")).await;
        let acks = acks.map_err(|error| EpochEnd::lost(Cause::Disconnected, with_sources(&error)))?;
        Ok(Self {
            subject: token.subject.into(),
            order: token.order,
            fingerprint: token.fingerprint,
            inbox,
            acks,
            expected: last_sequence,
            next: 0,
            oldest: 0,
            early: VecDeque::new(),
        })
    }

    pub(super) async fn submit(&mut self, client: &Client, message: &Outgoing) -> Result<(), EpochEnd> {
        let id = message.id.to_string();
        let mut headers = HeaderMap::new();
        match self.order {
            Order::Strict => {
                headers.insert(async_nats::header::NATS_EXPECTED_LAST_SEQUENCE, self.expected.to_string());
            }
            Order::Shared => headers.insert(async_nats::header::NATS_MESSAGE_ID, id.clone()),
        }
        headers.insert(HeaderName::from_static(ID), id);
        if let Some(after) = message.after {
            headers.insert(HeaderName::from_static(AFTER), after.to_string());
        }
        if message.count > 1 {
            headers.insert(HeaderName::from_static(pack::HEADER), message.count.to_string());
        }
        if let Some(fingerprint) = &self.fingerprint {
            headers.insert(HeaderName::from_static(TYPE), fingerprint.as_str());
        }
        let reply = format!("{}.{}", self.inbox, self.next);
        let payload = message.payload.clone();
        let published =
            client.publish_with_reply_and_headers(self.subject.clone(), reply, headers, payload).await;
        published.map_err(|error| EpochEnd::lost(Cause::Disconnected, with_sources(&error)))?;
        self.next += 1;
        self.expected += 1;
        Ok(())
    }

    /// Waits for the acknowledgement of the oldest message. Dropping the future loses nothing: between taking a reply
    /// and recording it nothing is awaited.
    pub(super) async fn acked(&mut self) -> Result<Ack, EpochEnd> {
        loop {
            if let Some(Some(ack)) = self.early.front().copied() {
                self.early.pop_front();
                self.oldest += 1;
                return Ok(ack);
            }
            let Some(reply) = self.acks.next().await else {
                return Err(EpochEnd::lost(Cause::Disconnected, "the connection was lost"));
            };
            self.record(&reply)?;
        }
    }

    fn record(&mut self, reply: &Message) -> Result<(), EpochEnd> {
        let token = reply.subject.rsplit('.').next().unwrap_or_default();
        let number = token.parse::<u64>().ok().filter(|number| (self.oldest..self.next).contains(number));
        let Some(number) = number else {
            // Of no message that waits: a second reply, or not from the server. It decides nothing.
            tracing::warn!("a reply without a message that waits for it: {}", reply.subject.escape_default());
            return Ok(());
        };
        let ack = self.read(reply, number)?;
        let at = (number - self.oldest) as usize;
        if self.early.len() <= at {
            self.early.resize(at + 1, None);
        }
        self.early[at] = Some(ack);
        Ok(())
    }

    fn read(&self, reply: &Message, number: u64) -> Result<Ack, EpochEnd> {
        if reply.status == Some(StatusCode::NO_RESPONDERS) {
            let why = format!("no stream takes messages for {} at present", self.subject);
            return Err(EpochEnd::lost(Cause::NotStored, why));
        }
        let ack = match serde_json::from_slice::<Response<PublishAck>>(&reply.payload) {
            Ok(Response::Ok(ack)) => ack,
            Ok(Response::Err { error }) => return Err(not_stored(&error)),
            Err(error) => {
                return Err(EpochEnd::lost(
                    Cause::NotStored,
                    format!("an acknowledgement that cannot be read: {error}"),
                ));
            }
        };
        // Servers before 2.11 say so after a change of leader, although nothing was stored.
        if ack.sequence == 0 {
            return Err(EpochEnd::lost(Cause::NotStored, "an acknowledgement without a number: not stored"));
        }
        let should_be = self.expected - (self.next - number) + 1;
        if self.order == Order::Strict && (ack.duplicate || ack.sequence != should_be) {
            let why = format!("stored as message {}, not as {should_be} as expected", ack.sequence);
            return Err(EpochEnd::lost(Cause::Sequence, why));
        }
        Ok(Ack { sequence: ack.sequence, is_duplicate: ack.duplicate })
    }
}
