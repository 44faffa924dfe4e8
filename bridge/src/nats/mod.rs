//! NATS JetStream: the only folder that names the client library.
//!
//! One connection serves one epoch. The client's own reconnecting is not used: it would send what waits in its channel
//! behind messages that were lost with the old connection, so that these could only be stored after later ones.

pub mod check;
pub mod connect;
pub mod consume;
pub mod consumer;
mod error;
mod place;
mod publish;
pub mod stream;
pub mod types;

use async_nats::jetstream::stream::Stream;
use ringway::schema::Description;

use crate::engine::{Ack, Engine, EpochEnd, Last, Outgoing, Place};
use connect::{Connection, Servers};
use publish::{Publishing, Token};
use stream::StreamOptions;

/// What keeps messages from being stored twice, and in which order they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The stream belongs to one queue: messages are stored in the order of their positions, each once, however long an
    /// outage lasts. The server takes each message only right after its predecessor.
    #[default]
    Strict,
    /// Many queues and bridges may share the stream. The server drops what it knows the id of, within its window
    /// (`duplicate_window` of the stream); the order is that in which messages arrive.
    Shared,
}

/// A stream, as an engine.
#[derive(Debug)]
pub struct Nats {
    servers: Servers,
    stream: StreamOptions,
    order: Order,
    description: Option<Description>,
    epoch: Option<Epoch>,
    /// Whether any epoch has begun. Before that, a mistake in the configuration ends the link.
    has_begun: bool,
}

#[derive(Debug)]
struct Epoch {
    connection: Connection,
    stream: Stream,
    last_sequence: u64,
    publishing: Publishing,
}

impl Nats {
    /// Stores into this stream.
    #[must_use]
    pub fn new(servers: Servers, stream: StreamOptions, order: Order) -> Self {
        Self { servers, stream, order, description: None, epoch: None, has_begun: false }
    }

    async fn begin(&mut self) -> Result<(Epoch, Place), EpochEnd> {
        let connection = connect::connect(&self.servers).await?;
        let context = connection.context(&self.servers);
        let mut stream = stream::open(&context, &self.stream, self.order).await?;
        let fingerprint = match &self.description {
            Some(description) => Some(types::publish(&context, description, &self.stream).await?),
            None => None,
        };
        let place = place::read(&mut stream, self.order, connection.client().max_payload()).await?;
        let token = Token { subject: self.stream.subject.clone(), order: self.order, fingerprint };
        let publishing = Publishing::begin(connection.client(), token, place.last_sequence).await?;
        Ok((Epoch { connection, stream, last_sequence: place.last_sequence, publishing }, place))
    }
}

impl Engine for Nats {
    fn describe(&mut self, description: &Description) {
        self.description = (!description.is_bytes()).then(|| description.clone());
    }

    async fn open(&mut self) -> Result<Place, EpochEnd> {
        // The old connection goes first: nothing of it is to be sent any more.
        self.epoch = None;
        match self.begin().await {
            Ok((epoch, place)) => {
                self.epoch = Some(epoch);
                self.has_begun = true;
                Ok(place)
            }
            // What worked once is an outage, or being repaired.
            Err(EpochEnd::Misconfigured(why)) if self.has_begun => {
                Err(EpochEnd::lost(crate::engine::Cause::Connect, why))
            }
            Err(error) => Err(error),
        }
    }

    async fn look_back(&mut self, count: usize) -> Result<Vec<Last>, EpochEnd> {
        let epoch = self.epoch.as_ref().expect("an epoch was begun");
        place::look_back(&epoch.stream, epoch.last_sequence, count).await
    }

    async fn submit(&mut self, message: &Outgoing) -> Result<(), EpochEnd> {
        let epoch = self.epoch.as_mut().expect("an epoch was begun");
        epoch.publishing.submit(epoch.connection.client(), message).await
    }

    async fn acked(&mut self) -> Result<Ack, EpochEnd> {
        let Epoch { connection, publishing, .. } = self.epoch.as_mut().expect("an epoch was begun");
        tokio::select! {
            biased;
            ack = publishing.acked() => ack,
            error = connection.lost() => Err(error),
        }
    }
}
