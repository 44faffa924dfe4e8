//! The kinds of queues: who may send and who may receive. The public types are written once,
//! generic over these traits.
//!
//! What a public operation does for every kind alike (checking the process, waiting, errors with
//! human-readable text, guards) is implemented with that operation; an engine only tells what is
//! available now.
#![allow(unsafe_code, reason = "guards and claims rely on what engines hand out")]

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::events::QueueEvents;
use super::recovery_failures::RecoveryFailures;
use crate::error::{AttachError, Holdup};
use crate::lane::{Corruption, Refusal, Reserved, Room};
use crate::wait::Attempt;

/// A kind of queue: [`Spsc`], [`Mpmc`] or [`Broadcast`]. The trait cannot be implemented elsewhere.
#[allow(private_bounds, reason = "sealed: what a kind has to provide is no one else's business")]
pub trait Kind: Engine {}

/// One producer, one consumer.
#[derive(Debug)]
pub enum Spsc {}

impl Kind for Spsc {}

/// Many producers, many consumers, one order; every message to one of them.
#[derive(Debug)]
pub enum Mpmc {}

impl Kind for Mpmc {}

/// Every message to every consumer: many producers or one, many consumers, one order.
#[derive(Debug)]
pub enum Broadcast {}

impl Kind for Broadcast {}

/// The kinds with many participants: [`Mpmc`] and `Checksummed<Mpmc>`.
pub trait MpmcKind: Kind {}

impl MpmcKind for Mpmc {}

/// The implementation of a kind.
pub(crate) trait Engine: Sized + 'static {
    type Sender: Sender + Send;
    type Receiver: Receiver + Send;
    /// The kind's number in the preamble.
    const NUMBER: u32;
    /// Human-readable name.
    const NAME: &'static str;
    /// The same of the kind with checksums, if there is one.
    const CHECKED_NAME: &'static str = Self::NAME;
    /// Bytes after each message that are not part of it.
    const TRAILER: u64 = 0;
    /// Whether a message is for every consumer that sleeps, not for one of them.
    const WAKES_ALL: bool = false;

    /// Attaches a producer to the queue.
    fn attach_sender(shared: Arc<Shared>) -> Result<Self::Sender, AttachError>;

    /// Attaches a consumer to the queue.
    fn attach_receiver(shared: Arc<Shared>) -> Result<Self::Receiver, AttachError>;

    /// Attaches a consumer that only finds out whether anything is left in a closed queue. Every queue
    /// of the kind admits it.
    fn attach_probe(shared: Arc<Shared>) -> Result<Self::Receiver, AttachError> {
        Self::attach_receiver(shared)
    }

    /// The backlog, in the units of `BytesQueue::len`.
    fn waiting(shared: &Shared) -> u64;

    /// The free room, in the units of `BytesQueue::len`.
    fn room(shared: &Shared) -> u64;

    /// Stops all senders, if the kind has a word of its own for that.
    fn close(shared: &Shared);
}

/// The human-readable name of the kind with which a queue was created.
pub(super) fn name_of(number: u32, has_checksums: bool) -> String {
    match number {
        Spsc::NUMBER if has_checksums => Spsc::CHECKED_NAME.into(),
        Mpmc::NUMBER if has_checksums => Mpmc::CHECKED_NAME.into(),
        Spsc::NUMBER => Spsc::NAME.into(),
        Mpmc::NUMBER => Mpmc::NAME.into(),
        Broadcast::NUMBER => Broadcast::NAME.into(),
        other => format!("number {other}"),
    }
}

/// The sending side of a kind: owns liveness lock, fork guard and lane writer.
///
/// Frames are reserved, written through [`payload`](Self::payload), and committed. A frame that was
/// reserved and not committed does not exist; the next reservation gives it up. In a forked child
/// nothing is reserved, staged or committed.
///
/// # Safety
/// Bytes that are granted are mapped, initialised and writable at `payload` of the reserved frame,
/// and no other code reads or writes them until they are committed, or granted anew, or the sender
/// is gone. `reserve` and `reserve_after` grant `len` bytes, `contiguous` and `contiguous_after`
/// those of `Room::UpTo`; a grant after staged frames does not touch these.
pub(crate) unsafe trait Sender {
    /// Frames that are written, but not committed. Forgetting it gives them up.
    type Staged;

    fn shared(&self) -> &Shared;

    /// False in a forked child.
    fn is_own_process(&self) -> bool;

    /// Finds room for one frame of `len` bytes.
    fn reserve(&mut self, len: usize) -> Result<Reserved, Refusal>;

    /// Like `reserve`, in a wait for room.
    fn reserve_waiting(&mut self, len: usize, which: Attempt) -> Result<Reserved, Refusal>;

    /// The contiguous room for one frame whose length is not known yet.
    fn contiguous(&mut self) -> Room;

    /// Commits the reserved frame, or its first `len` bytes. After `Full` the frame is still
    /// reserved, and this may be called again.
    fn commit(&mut self, reserved: Reserved, len: usize) -> Result<(), Refusal>;

    /// Like `commit`, in a wait for what was missing.
    fn commit_waiting(&mut self, reserved: Reserved, len: usize, which: Attempt) -> Result<(), Refusal>;

    /// Whether a reserved frame may be committed now.
    fn can_commit(&self, _which: Attempt) -> bool {
        true
    }

    /// Begins to stage frames.
    fn begin(&mut self) -> Self::Staged;

    /// How many frames are staged.
    fn count(staged: &Self::Staged) -> usize;

    /// Like [`reserve`](Self::reserve), after the staged frames.
    fn reserve_after(&mut self, staged: &Self::Staged, len: usize) -> Result<Reserved, Refusal>;

    /// Like [`contiguous`](Self::contiguous), after the staged frames.
    fn contiguous_after(&mut self, staged: &Self::Staged) -> Room;

    /// Stages the reserved frame after the others, or its first `len` bytes.
    fn stage(&mut self, staged: &mut Self::Staged, reserved: Reserved, len: usize);

    /// Commits the staged frames in one commit: after a crash either all frames committed here
    /// exist or none. If not all of them can be committed now: commits nothing and returns `Full`
    /// if `whole`, else commits as many as possible from the first on, or returns `Full` if that is
    /// none. Returns the number of frames; 0 only if nothing is staged.
    fn publish(&mut self, staged: Self::Staged, whole: bool) -> Result<usize, Refusal>;

    /// Number of spin hints between two attempts while waiting for room: long enough for room for
    /// several frames to accumulate. A producer that takes each piece as soon as it is released
    /// takes the cache lines away from the consumers that release it.
    fn pause(&self) -> u32;

    /// Whether there is enough room for frames that a producer that waits for room need not wait
    /// for more.
    fn has_ample_room(&self) -> bool {
        true
    }

    /// Like `has_ample_room`, for what [`commit`](Self::commit) may lack.
    fn has_ample_positions(&self) -> bool {
        true
    }

    /// The first byte of a granted payload.
    fn payload(&self, reserved: Reserved) -> *mut u8;

    /// The sender's position.
    fn position(&self) -> u64;

    /// Whether a consumer is alive.
    fn has_consumer(&self) -> std::io::Result<bool>;

    /// The consumer that is in the way of this sender, for kinds whose senders wait for each.
    fn holdup(&self) -> Option<Holdup> {
        None
    }

    /// Whether the last attempt found in its way what another participant is about to end without
    /// notifying senders.
    fn is_blocked(&self) -> bool {
        false
    }

    /// What keeps this process from recovering after dead participants, for kinds whose senders
    /// recover.
    fn recovery_failures(&self) -> Option<&RecoveryFailures> {
        None
    }
}

/// The receiving side of a kind: owns liveness lock, fork guard and lane reader.
///
/// In a forked child nothing is taken.
///
/// # Safety
/// `store` is always the same. What is taken is in flight, as [`FrameStore`] describes, until it is
/// returned through the store; nothing is taken again while it is in flight.
pub(crate) unsafe trait Receiver {
    type FrameStore: FrameStore;

    /// What guards refer to. They are `Send` if it is `Sync`.
    fn store(&self) -> &Self::FrameStore;

    /// Takes the next frame, if one is there now.
    fn take(&self) -> Result<Option<TakenBy<Self>>, Corruption>;

    /// Like `take`, in a wait.
    fn take_waiting(&self, which: Attempt) -> Result<Option<TakenBy<Self>>, Corruption>;

    /// Whether there may be a frame to take now.
    fn can_take(&self, which: Attempt) -> Result<bool, Corruption>;

    /// Takes up to `max` frames that are there now, if there are any. `spans` is cleared first; its
    /// new contents belong to the run.
    fn take_many(&self, max: usize, spans: &mut SpansOf<Self>) -> Result<Option<RunBy<Self>>, Corruption>;

    /// Like `take_many`, in a wait.
    fn take_many_waiting(
        &self,
        max: usize,
        spans: &mut SpansOf<Self>,
        which: Attempt,
    ) -> Result<Option<RunBy<Self>>, Corruption>;

    /// Whether another consumer could take something now, or could a moment ago.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "only tasks pass wakes on"))]
    fn has_more(&self) -> bool;

    /// The receiver's position.
    fn position(&self) -> u64;

    /// Called when the receiver has attached: the position from which on no message was delivered
    /// before.
    fn first_undelivered(&self) -> u64;

    /// Makes all room that was released visible to producers, if the kind puts that off.
    fn flush(&self) {}

    /// The backlog, in the units of `BytesQueue::len`, as this receiver knows it.
    fn waiting(&self) -> u64;

    /// How many positions were over before the last attempt came to them. Called when an attempt
    /// has taken nothing; the next call returns `None`.
    #[inline(always)]
    fn lag(&self) -> Option<u64> {
        None
    }

    /// Whether the last attempt found the next message claimed but not committed.
    fn is_blocked(&self) -> bool;

    /// Whether a producer is alive.
    fn has_producer(&self) -> std::io::Result<bool>;

    /// What keeps this process from recovering after dead participants, for kinds whose receivers
    /// recover.
    fn recovery_failures(&self) -> Option<&RecoveryFailures> {
        None
    }

    /// How long it may sleep before its next dead-peer scan; as known from the last attempt before
    /// a sleep.
    fn watch_slice(&self) -> Duration {
        Duration::MAX
    }

    /// Called when the queue was found closed: makes every commit from before the close visible to
    /// the next attempt.
    fn finish_close(&self);

    /// After `finish_close` and an attempt that took nothing: whether no message will come any
    /// more, unless one is rejected.
    fn is_drained(&self) -> bool;
}

/// Owns the frames in flight. Guards return each exactly once.
///
/// In a forked child nothing is released or rejected.
///
/// # Safety
/// For what its receiver took (a run with the spans that came with it), `bytes` and `run_bytes`
/// return bytes that are mapped, initialised and do not change while the frame is in flight and the
/// store lives.
pub(crate) unsafe trait FrameStore {
    /// A frame in flight: numbers that say where it lies.
    type Taken: Copy + Send + Sync + 'static;
    /// Token to reject a frame; small, so that guards stay in registers.
    type RejectToken: Copy;
    /// Frames that were taken together.
    type Run: Copy;
    /// What a run remembers of each of its frames.
    type Span;

    fn shared(&self) -> &Arc<Shared>;

    /// The eventcounts on which the queue's participants park.
    fn events(&self) -> &QueueEvents;

    /// False in a forked child.
    fn is_own_process(&self) -> bool;

    /// The address and the length of a frame's payload.
    fn bytes(&self, taken: Self::Taken) -> (*const u8, usize);

    /// How many positions the frame takes.
    fn size(taken: Self::Taken) -> u64;

    /// Releases a frame, and wakes the producers that wait for its room.
    fn release(&self, taken: Self::Taken);

    /// The token with which the frame is rejected.
    fn reject_token(taken: Self::Taken) -> Self::RejectToken;

    /// Rejects a frame: it will be taken again.
    fn reject(&self, reject_token: Self::RejectToken);

    /// Returns a frame that was not processed: it will be taken again, with the same number of
    /// redeliveries.
    fn put_back(&self, reject_token: Self::RejectToken);

    /// The frame's position in the queue's order.
    fn position(taken: Self::Taken) -> u64;

    /// How many times the frame was taken before.
    fn redeliveries(&self, taken: Self::Taken) -> u64;

    /// How many frames are in the run: at least one.
    fn run_len(run: Self::Run) -> usize;

    /// How many positions a frame of the run takes, on average.
    fn run_size(run: Self::Run) -> u64;

    /// Like [`bytes`](Self::bytes), for the frames of a run in order.
    fn run_bytes<'a>(
        &'a self,
        run: Self::Run,
        spans: &'a [Self::Span],
    ) -> impl Iterator<Item = (*const u8, usize)> + 'a;

    /// Like [`redeliveries`](Self::redeliveries), for the frames of a run in order.
    fn run_redeliveries<'a>(
        &'a self,
        run: Self::Run,
        spans: &'a [Self::Span],
    ) -> impl Iterator<Item = u64> + 'a;

    /// Like [`position`](Self::position), for the frames of a run in order.
    fn run_positions<'a>(&'a self, run: Self::Run, spans: &'a [Self::Span])
    -> impl Iterator<Item = u64> + 'a;

    /// Releases the frames of a run, and wakes the producers that wait for their room.
    fn release_run(&self, run: Self::Run, spans: &[Self::Span]);

    /// Rejects all frames of a run; only the first `seen` have one redelivery more.
    fn reject_run(&self, run: Self::Run, spans: &[Self::Span], seen: usize);

    /// Whether a frame that is rejected repeatedly becomes a dead letter.
    fn has_retry_limit(&self) -> bool;

    /// Rejects the frames at these indices, and removes them from the spans: the rest of the run is
    /// still in flight. Only where there is a retry limit.
    fn reject_of_run(&self, spans: &mut Vec<Self::Span>, indices: Vec<usize>);

    /// Lends a vector for `take_many`. It is reused, so that steady traffic allocates nothing.
    fn lend_spans(&self) -> Vec<Self::Span>;

    /// Takes back a vector that `lend_spans` lent.
    fn return_spans(&self, spans: Vec<Self::Span>);
}

// The associated types of a receiver's store ...
pub(crate) type TakenBy<R> = <<R as Receiver>::FrameStore as FrameStore>::Taken;
pub(crate) type RunBy<R> = <<R as Receiver>::FrameStore as FrameStore>::Run;
pub(crate) type SpansOf<R> = Vec<<<R as Receiver>::FrameStore as FrameStore>::Span>;

// ... and those of a kind.
pub(crate) type FrameStoreOf<K> = <<K as Engine>::Receiver as Receiver>::FrameStore;
pub(crate) type StagedOf<K> = <<K as Engine>::Sender as Sender>::Staged;
