//! What tells kinds of queues apart: who may send and who may receive. The public types are written once, over these
//! traits.
//!
//! Whatever a public operation does for every kind alike (looking at the process, waiting, errors for people, guards)
//! stands with that operation; an engine only says what is there now.
#![allow(unsafe_code, reason = "guards and claims rely on what engines hand out")]

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::checksummed::Checksummed;
use super::events::QueueEvents;
use super::trouble::Trouble;
use crate::error::AttachError;
use crate::lane::{Corruption, Refusal, Reserved, Room};

/// A kind of queue: [`Spsc`] or [`Mpmc`]. The trait cannot be implemented elsewhere.
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

/// What makes a kind work.
pub(crate) trait Engine: Sized + 'static {
    type Sender: Sender + Send;
    type Receiver: Receiver + Send;
    /// As recorded in the preamble.
    const NUMBER: u32;
    /// For people.
    const NAME: &'static str;
    /// Bytes behind each message that are not the message.
    const TRAILER: u64 = 0;

    /// Becomes a producer of the queue.
    fn attach_sender(shared: Arc<Shared>) -> Result<Self::Sender, AttachError>;

    /// Becomes a consumer of the queue.
    fn attach_receiver(shared: Arc<Shared>) -> Result<Self::Receiver, AttachError>;

    /// How much waits for a consumer, in the units of `BytesQueue::len`.
    fn waiting(shared: &Shared) -> u64;

    /// How much room there is, in the same units.
    fn room(shared: &Shared) -> u64;

    /// Lets nobody send any more, if the kind has a word of its own for that.
    fn close(shared: &Shared);
}

/// What a queue was made as, for people.
pub(super) fn name_of(number: u32, has_checksums: bool) -> String {
    match number {
        Spsc::NUMBER if has_checksums => Checksummed::<Spsc>::NAME.into(),
        Mpmc::NUMBER if has_checksums => Checksummed::<Mpmc>::NAME.into(),
        Spsc::NUMBER => Spsc::NAME.into(),
        Mpmc::NUMBER => Mpmc::NAME.into(),
        other => format!("number {other}"),
    }
}

/// The sending side of a kind: owns liveness lock, fork guard and lane writer.
///
/// Frames are reserved, written through [`payload`](Self::payload), and committed. One that was reserved and not
/// committed does not exist; reserving again gives it up. In a forked child nothing is reserved, staged or committed.
///
/// # Safety
/// Bytes that are granted are mapped, initialised and writable at `payload` of the reserved, and nobody else reads or writes
/// them until they are committed, or granted anew, or the sender is gone. `reserve` and `reserve_after` grant `len`
/// bytes, `contiguous` and `contiguous_after` those of `Room::UpTo`; a grant behind staged frames does not touch these.
pub(crate) unsafe trait Sender {
    /// Frames that are written, but not committed. Forgetting it gives them up.
    type Staged;

    fn shared(&self) -> &Shared;

    /// False in a forked child.
    fn is_own_process(&self) -> bool;

    /// Finds room for one frame of `len` bytes.
    fn reserve(&mut self, len: usize) -> Result<Reserved, Refusal>;

    /// The same while waiting for room, after so many attempts.
    fn reserve_waiting(&mut self, len: usize, attempts: u64) -> Result<Reserved, Refusal>;

    /// The room at hand for one frame whose length is not known yet.
    fn contiguous(&mut self) -> Room;

    /// Commits the frame that was reserved, or as much of it as `len` says. After `Full` it is still reserved, and this
    /// may be called again.
    fn commit(&mut self, reserved: Reserved, len: usize) -> Result<(), Refusal>;

    /// The same while waiting for what was lacking, after so many attempts.
    fn commit_waiting(&mut self, reserved: Reserved, len: usize, attempts: u64) -> Result<(), Refusal>;

    /// Whether a frame that is reserved may be committed now, after so many attempts while waiting.
    fn can_commit(&self, _attempts: u64) -> bool {
        true
    }

    /// Begins to stage frames.
    fn begin(&mut self) -> Self::Staged;

    /// How many frames are staged.
    fn count(staged: &Self::Staged) -> usize;

    /// As [`reserve`](Self::reserve), behind what is staged.
    fn reserve_after(&mut self, staged: &Self::Staged, len: usize) -> Result<Reserved, Refusal>;

    /// As [`contiguous`](Self::contiguous), behind what is staged.
    fn contiguous_after(&mut self, staged: &Self::Staged) -> Room;

    /// Stages the frame that was reserved behind the others, or as much of it as `len` says.
    fn stage(&mut self, staged: &mut Self::Staged, reserved: Reserved, len: usize);

    /// Commits what is staged, at once: after a crash all that is committed here exists, or nothing. If not all of it
    /// can be committed now: nothing (`Full`) if it is to be the `whole`, else as many frames as can, from the first on,
    /// or `Full` if that is none. Returns how many; 0 only if nothing is staged.
    fn publish(&mut self, staged: Self::Staged, whole: bool) -> Result<usize, Refusal>;

    /// Spin hints between two attempts while waiting for room: so long that room for several frames comes at once. A producer
    /// that takes each piece as it is given back takes the lines away from those who give it.
    fn pause(&self) -> u32;

    /// Whether there is so much room for frames that whoever waits for some need not wait for more.
    fn has_ample_room(&self) -> bool {
        true
    }

    /// The same for what [`commit`](Self::commit) may lack.
    fn has_ample_positions(&self) -> bool {
        true
    }

    /// The first byte of a granted payload.
    fn payload(&self, reserved: Reserved) -> *mut u8;

    /// How far the sender has come, in positions.
    fn position(&self) -> u64;

    /// Whether a consumer is alive.
    fn has_consumer(&self) -> std::io::Result<bool>;

    /// What keeps it from seeing to the dead, where that is its business.
    fn trouble(&self) -> Option<&Trouble> {
        None
    }
}

/// The receiving side of a kind: owns liveness lock, fork guard and lane reader.
///
/// In a forked child nothing is taken.
///
/// # Safety
/// `store` is always the same. What is taken is out, as [`FrameStore`] says, until it goes back through the store; nothing
/// is taken again while it is out.
pub(crate) unsafe trait Receiver {
    type FrameStore: FrameStore;

    /// What guards refer to. They are `Send` if it is `Sync`.
    fn store(&self) -> &Self::FrameStore;

    /// The next frame, if one is there now.
    fn take(&self) -> Result<Option<TakenBy<Self>>, Corruption>;

    /// The same while waiting, after so many attempts.
    fn take_waiting(&self, attempts: u64) -> Result<Option<TakenBy<Self>>, Corruption>;

    /// Whether there may be a frame to take now; after so many attempts while waiting.
    fn can_take(&self, attempts: u64) -> Result<bool, Corruption>;

    /// Up to `max` frames that are there now, if there are any. `spans` is cleared first; what is put there belongs to
    /// the run.
    fn take_many(&self, max: usize, spans: &mut SpansOf<Self>) -> Result<Option<RunBy<Self>>, Corruption>;

    /// The same while waiting, after so many attempts.
    fn take_many_waiting(
        &self,
        max: usize,
        spans: &mut SpansOf<Self>,
        attempts: u64,
    ) -> Result<Option<RunBy<Self>>, Corruption>;

    /// Whether another consumer could take something now, or a moment ago.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "only tasks pass epoch on"))]
    fn has_more(&self) -> bool;

    /// How far the receiver has come, in positions.
    fn position(&self) -> u64;

    /// How much waits, in the units of `BytesQueue::len`, as this receiver knows it.
    fn waiting(&self) -> u64;

    /// Whether the last look that found nothing found the next message held up: it is claimed, and not committed.
    fn is_blocked(&self) -> bool;

    /// Whether a producer is alive.
    fn has_producer(&self) -> std::io::Result<bool>;

    /// What keeps it from seeing to the dead, where that is its business.
    fn trouble(&self) -> Option<&Trouble> {
        None
    }

    /// How long it may sleep before it sees to the dead again; as known from the last look before a sleep.
    fn watch_slice(&self) -> Duration {
        Duration::MAX
    }

    /// The queue was seen to be closed: sees to it that no commit of before is overlooked by the next look.
    fn finish_close(&self);

    /// After that, when nothing could be taken: whether nothing will come either, unless it is put back.
    fn is_drained(&self) -> bool;
}

/// Owns the frames in flight. Guards return each exactly once.
///
/// In a forked child nothing is released or rejected.
///
/// # Safety
/// Asked for what its receiver took (a run with the spans that came with it), `bytes` and `run_bytes` tell of bytes that
/// are mapped, initialised and do not change as long as the frame is out and the store lives.
pub(crate) unsafe trait FrameStore {
    /// A frame in flight.
    type Taken: Copy;
    /// Token to reject a frame; small, so that guards stay in registers.
    type RejectToken: Copy;
    /// Frames that were taken together.
    type Run: Copy;
    /// What a run has to remember of each of its frames.
    type Span;

    fn shared(&self) -> &Shared;

    /// Where the queue's participants sleep.
    fn events(&self) -> &QueueEvents;

    /// False in a forked child.
    fn is_own_process(&self) -> bool;

    /// Where a frame's payload lies, and its length.
    fn bytes(&self, taken: Self::Taken) -> (*const u8, usize);

    /// How many positions the frame takes.
    fn size(taken: Self::Taken) -> u64;

    /// Gives a frame's room back, and wakes who sleeps for it.
    fn release(&self, taken: Self::Taken);

    /// What puts the frame back.
    fn reject_token(taken: Self::Taken) -> Self::RejectToken;

    /// Puts a frame back, to be taken again.
    fn reject(&self, reject_token: Self::RejectToken);

    /// Puts a frame back that was not looked at, to be taken again with as many redeliveries as before.
    fn put_back(&self, reject_token: Self::RejectToken);

    /// Where the frame stands in the queue's order.
    fn position(taken: Self::Taken) -> u64;

    /// How often the frame was taken before.
    fn redeliveries(&self, taken: Self::Taken) -> u64;

    /// How many frames are in the run: at least one.
    fn run_len(run: Self::Run) -> usize;

    /// How many positions a frame of the run takes, on average.
    fn run_size(run: Self::Run) -> u64;

    /// As [`bytes`](Self::bytes), for the frames of a run in order.
    fn run_bytes<'a>(
        &'a self,
        run: Self::Run,
        spans: &'a [Self::Span],
    ) -> impl Iterator<Item = (*const u8, usize)> + 'a;

    /// As [`redeliveries`](Self::redeliveries), for the frames of a run in order.
    fn run_redeliveries<'a>(
        &'a self,
        run: Self::Run,
        spans: &'a [Self::Span],
    ) -> impl Iterator<Item = u64> + 'a;

    /// Gives the room of a run back, and wakes who sleeps for it.
    fn release_run(&self, run: Self::Run, spans: &[Self::Span]);

    /// Puts all frames of a run back; only the first `seen` have one redelivery more.
    fn reject_run(&self, run: Self::Run, spans: &[Self::Span], seen: usize);

    /// Whether a frame that is put back becomes a dead letter in the end.
    fn has_retry_limit(&self) -> bool;

    /// Puts the frames at these indices back, and takes them out of the spans: the rest of the run is still out. Only where
    /// there is a retry limit.
    fn reject_of_run(&self, spans: &mut Vec<Self::Span>, indices: Vec<usize>);

    /// A vector for `take_many`: one that was used before, so that steady traffic allocates nothing.
    fn lend_spans(&self) -> Vec<Self::Span>;

    /// Returns a vector that `lend_spans` lent.
    fn return_spans(&self, spans: Vec<Self::Span>);
}

// What a receiver's store calls its things ...
pub(crate) type TakenBy<R> = <<R as Receiver>::FrameStore as FrameStore>::Taken;
pub(crate) type RunBy<R> = <<R as Receiver>::FrameStore as FrameStore>::Run;
pub(crate) type SpansOf<R> = Vec<<<R as Receiver>::FrameStore as FrameStore>::Span>;

// ... and a kind.
pub(crate) type FrameStoreOf<K> = <<K as Engine>::Receiver as Receiver>::FrameStore;
pub(crate) type StagedOf<K> = <<K as Engine>::Sender as Sender>::Staged;
