//! What an engine has to provide: a place beyond this machine that stores messages in order.
//!
//! An engine works in *epochs*. [`open`](Engine::open) begins one; the first error ends it, and with it everything that
//! was submitted and not acknowledged: it is submitted again in the next epoch, unless the place that `open` finds shows
//! that it was stored.

use std::future::Future;

use bytes::Bytes;
use ringway::schema::Description;

use crate::identity::MessageId;

/// A store of messages. One value serves one link.
pub trait Engine: Send {
    /// Before the first epoch: what the queue says of the type of its messages.
    fn describe(&mut self, _description: &Description) {}

    /// Begins an epoch: gives up everything of the last one, connects anew, and finds how far the store has come.
    ///
    /// # Errors
    /// Why there is no epoch; the caller tries again, unless the error says that this does not help.
    fn open(&mut self) -> impl Future<Output = Result<Place, EpochEnd>> + Send;

    /// Reads what the last messages say of themselves, `count` of them up to the place that [`open`](Self::open) found,
    /// oldest first. Those that were removed since are [`Last::Gone`].
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn look_back(&mut self, count: usize) -> impl Future<Output = Result<Vec<Last>, EpochEnd>> + Send;

    /// Sends one message, to be stored after all that were submitted in this epoch. It may be on its way when this
    /// returns; whether it is stored, [`acked`](Self::acked) tells.
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn submit(&mut self, message: &Outgoing) -> impl Future<Output = Result<(), EpochEnd>> + Send;

    /// Waits until the oldest message that is submitted and not acknowledged is stored. Waits for ever if there is
    /// none. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn acked(&mut self) -> impl Future<Output = Result<Ack, EpochEnd>> + Send;
}

/// A message on its way out, or several in one.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its name.
    pub id: MessageId,
    /// A message that a foreign consumer returned, after later ones were taken: the highest position taken by then.
    /// The place of the stream must not go back to this message's own position.
    pub after: Option<u64>,
    /// Its bytes.
    pub payload: Bytes,
    /// How many messages of the queue it carries: more than one make a [pack](crate::pack), under the name of the last.
    pub count: u64,
    /// Whether it is the last one of those that the queue releases together.
    pub ends_run: bool,
}

/// How far the store has come when an epoch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the last message that was ever stored; 0 if none was.
    pub last_sequence: u64,
    /// What that message says of itself.
    pub last: Last,
    /// The largest payload that the store takes.
    pub max_payload: usize,
}

/// The last message of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// None was ever stored.
    None,
    /// One was stored, and removed since: by age, by a limit, or by hand.
    Gone,
    /// It came from a queue: everything of that queue before it is stored.
    Of {
        /// The name of the message.
        id: MessageId,
        /// See [`Outgoing::after`].
        after: Option<u64>,
        /// See [`Outgoing::count`].
        count: u64,
    },
    /// It names no queue: another program stored it.
    Unnamed,
    /// The store is shared: its last message says nothing about this link, and duplicates are the store's business.
    Shared,
}

/// One message is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Its number in the store.
    pub sequence: u64,
    /// The store had it already, by an earlier submission.
    pub is_duplicate: bool,
}

/// Why an epoch ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochEnd {
    /// Another epoch may go better.
    #[error("{error}")]
    Lost {
        /// What kind of error, for the counters.
        cause: Cause,
        /// What happened, where.
        error: String,
    },
    /// No other epoch will go better.
    #[error("{0}")]
    Refused(String),
    /// The configuration, of this side or the server's, does not work. In a first epoch that is a mistake, and ends the
    /// link; later it is an outage.
    #[error("{0}")]
    Misconfigured(String),
}

impl EpochEnd {
    /// An end after which another epoch may go better.
    pub fn lost(cause: Cause, error: impl std::fmt::Display) -> Self {
        Self::Lost { cause, error: error.to_string() }
    }
}

/// The kinds of ends of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server could not be reached, or refused the credentials.
    Connect,
    /// The connection was lost.
    Disconnected,
    /// No acknowledgement came in time.
    Deadline,
    /// The store had another last message than expected.
    Sequence,
    /// The server could not store a message.
    NotStored,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Connect, Self::Disconnected, Self::Deadline, Self::Sequence, Self::NotStored];

    /// The word for it in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnected => "disconnected",
            Self::Deadline => "deadline",
            Self::Sequence => "sequence",
            Self::NotStored => "not_stored",
        }
    }
}
