//! What a stream has to provide to be carried into a queue.
//!
//! A source works in epochs, as an [`Engine`](crate::engine::Engine) does: the first error ends one, and everything that
//! was not acknowledged is given out again.

use std::future::Future;

use bytes::Bytes;

use ringway::schema::Description;

use crate::engine::EpochEnd;
use crate::types::TypeTag;

/// A stream of messages with numbers that grow. One value serves one link.
pub trait Source: Send {
    /// Before the first epoch: where [`dead_letter`](Self::dead_letter) will store messages. [`open`](Self::open) refuses
    /// it if the source would give them out again.
    fn dead_letters_to(&mut self, _subject: &str) {}

    /// Begins an epoch: gives up the last one, connects anew, and finds how far the stream's consumer has come.
    ///
    /// # Errors
    /// Why there is no epoch.
    fn open(&mut self) -> impl Future<Output = Result<Origin, EpochEnd>> + Send;

    /// Has [`pull`](Self::pull) give out every message after the one with this number, from now on: also those that the
    /// server delivered in an earlier epoch and would only repeat later. Called once in each epoch, before the first pull.
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn start(&mut self, after: u64) -> impl Future<Output = Result<(), EpochEnd>> + Send;

    /// Waits for messages; returns at least one. Their numbers grow, within the epoch too, and no message is left out.
    /// Dropping the future ends the epoch.
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn pull(&mut self) -> impl Future<Output = Result<Vec<Incoming>, EpochEnd>> + Send;

    /// Acknowledges everything up to this number. The acknowledgement may be on its way when this returns; the next one
    /// is only sent once the server has this one.
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn ack(&mut self, through: u64) -> impl Future<Output = Result<(), EpochEnd>> + Send;

    /// Waits until the server has every acknowledgement.
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn flush(&mut self) -> impl Future<Output = Result<(), EpochEnd>> + Send;

    /// Tells the server that what it delivered is still being worked on, so that it does not deliver it again.
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn keep(&mut self) -> impl Future<Output = Result<(), EpochEnd>> + Send;

    /// Returns the description of a type, if one is stored.
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn describe(
        &mut self,
        tag: TypeTag,
    ) -> impl Future<Output = Result<Option<Description>, EpochEnd>> + Send;

    /// Stores a message elsewhere, with the reason, and returns once it is stored.
    ///
    /// # Errors
    /// Why the epoch has ended.
    fn dead_letter(
        &mut self,
        subject: &str,
        message: &Incoming,
        reason: &str,
    ) -> impl Future<Output = Result<(), EpochEnd>> + Send;
}

/// Where an epoch begins, as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which stream and consumer.
    pub name: SourceName,
    /// Everything up to this number is acknowledged.
    pub acked: u64,
}

/// Names a stream's consumer for good: a stream that is deleted and made anew counts from 1 again, and is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceName {
    /// The stream.
    pub stream: String,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
    /// The consumer.
    pub consumer: String,
}

/// A message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its number.
    pub sequence: u64,
    /// The subject that it was stored under.
    pub subject: String,
    /// The type that it names: a queue's type, if it came from a typed one.
    pub tag: Tag,
    /// How many messages of a queue it holds, if it is [packed](crate::pack).
    pub packed: Option<u32>,
    /// Its bytes.
    pub payload: Bytes,
}

/// What a message says of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Nothing: bytes.
    None,
    /// A type.
    Type(TypeTag),
    /// Something that is no type's tag.
    Invalid,
}
