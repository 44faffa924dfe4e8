//! A stream's durable pull consumer, as a source.
//!
//! # Why no message is left out, although the server delivers again only after a while
//! What an earlier bridge was given and did not acknowledge, the server keeps back until its ack wait is over, and gives
//! out later messages first. To acknowledge one of those would acknowledge everything before it (`AckPolicy::All`), and
//! what was kept back would be lost. So an epoch begins with the consumer's state: everything up to `delivered` was given
//! out before, and what of it is after the link's own place is read from the stream itself, message by message
//! (`Epoch::replay`). Only then is the consumer pulled from, which from there on gives new messages in the stream's
//! order; what it repeats of the old ones is dropped by its number. They are acknowledged as soon as they are committed, so that
//! the server does not repeat them, and a kill repeats no more than a batch of them (`earlier.rs`).
//!
//! That no other program is given messages meanwhile shows in the consumer's own count of deliveries, which every message
//! carries: it must go up by one from the count at the epoch's beginning. A gap ends the epoch. It comes from another
//! program that uses the consumer, or from a pull of a dead connection that the server still served.

mod earlier;
mod epoch;
mod letter;

use std::collections::VecDeque;

use bytes::Bytes;
use ringway::schema::Description;

use super::connect::{self, Servers, with_sources};
use super::consumer::{self, ConsumerOptions};
use super::{stream, types};
use crate::engine::{Cause, EpochEnd};
use crate::inbound::source::{Incoming, Origin, Source, SourceName};
use crate::types::TypeTag;
use earlier::Earlier;
use epoch::Epoch;

/// A stream's consumer, as a source.
#[derive(Debug)]
pub struct NatsSource {
    servers: Servers,
    options: ConsumerOptions,
    epoch: Option<Epoch>,
    /// Where messages go that the queue cannot take.
    dead_letters: Option<String>,
    /// Whether any epoch has begun. Before that, a mistake in the configuration ends the link.
    has_begun: bool,
}

pub(super) fn lost(what: &str, error: &dyn std::error::Error) -> EpochEnd {
    EpochEnd::lost(Cause::Disconnected, format!("{what}: {}", with_sources(error)))
}

impl NatsSource {
    /// Pulls from this consumer.
    #[must_use]
    pub fn new(servers: Servers, options: ConsumerOptions) -> Self {
        Self { servers, options, epoch: None, dead_letters: None, has_begun: false }
    }

    /// Begins an epoch. If `listens` is false, the server has just not taken an acknowledgement of earlier deliveries.
    async fn begin(&mut self, listens: bool) -> Result<(Epoch, Origin), EpochEnd> {
        let connection = connect::connect(&self.servers).await?;
        let context = connection.context(&self.servers);
        let Some(stream) = stream::find(&context, &self.options.stream).await? else {
            return Err(EpochEnd::Misconfigured(format!("the server has no stream {}", self.options.stream)));
        };
        let info = stream.cached_info();
        consumer::check_stream(info)?;
        if let Some(subject) = &self.dead_letters {
            consumer::check_dead_letters(info, &self.options, subject)?;
        }
        let created = i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or_default();
        let consumer = consumer::find(&stream, &self.options).await?;
        let state = consumer.cached_info();
        let name = SourceName {
            stream: self.options.stream.clone(),
            created,
            consumer: self.options.consumer.clone(),
        };
        let origin = Origin { name, acked: state.ack_floor.stream_sequence };
        let earlier = Earlier::new(state, listens);
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
            earlier,
        };
        Ok((epoch, origin))
    }

    fn epoch(&mut self) -> &mut Epoch {
        self.epoch.as_mut().expect("an epoch was begun")
    }
}

impl Source for NatsSource {
    fn dead_letters_to(&mut self, subject: &str) {
        self.dead_letters = Some(subject.to_owned());
    }

    async fn open(&mut self) -> Result<Origin, EpochEnd> {
        let listens = !self.epoch.take().is_some_and(|epoch| epoch.earlier.is_unheard);
        match self.begin(listens).await {
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
        let Some(reply) = reply.or_else(|| epoch.earlier.acknowledge(through).map(Into::into)) else {
            return Ok(());
        };
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
        let max_payload = epoch.connection.client().max_payload();
        let stream = &epoch.stream.cached_info().config.name;
        let headers = letter::headers(stream, message, reason, max_payload)?;
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
