//! Queues whose messages have checksums: a kind of their own, which wraps the others.
//!
//! # The trailer
//!
//! After the bytes of each message, as part of its frame's payload, the file holds the message's
//! *serial number* (8 bytes) and a checksum (8 bytes) of the queue's uuid, the message's length,
//! its bytes, and the serial number ([`trailer`](super::file::trailer)). A serial number is never used twice for the same
//! address. SPSC: it is the position of the frame (of its commit word, in a ring of variable-size
//! frames). MPMC: it is the position in the order.
//!
//! So a frame whose bytes are of several moments has a checksum that does not fit, and one that is
//! whole and of an earlier moment has another serial number than the place where it is found
//! requires.
//!
//! # What producer and consumer do
//!
//! The producer computes the sum of the bytes when the frame is committed or staged. SPSC: the
//! serial number is known then. MPMC: it is known once the position is claimed; so the sum of the
//! bytes waits in the trailer, and between claim and commit only the number is added to it, in
//! constant time. The consumer checks each frame that it takes, before user code sees it. A frame
//! that does not fit is released, and counted in the file (`Boot::dropped`).
//!
//! # Why a kind
//!
//! A process that opens a queue has to know whether there are trailers, and queues without them
//! should not pay a branch for each message to find out. The types are generic over kinds already:
//! these engines wrap the others, which are unchanged, except that MPMC senders tell the position
//! between claim and commit.
//!
//! # Why this sum
//!
//! It has to detect pages and sectors of other moments: accidents that replace many bytes at a
//! time. A CRC32C would miss one in 2^32 of these; this one, of 64 bits, misses practically none
//! ([`super::hash`]), needs no library, runs at some 4 GB/s on any machine, and detects every
//! change of a single word with certainty.
#![allow(unsafe_code, reason = "guards and claims rely on what engines hand out")]

mod receiver;
mod sender;
pub(crate) mod serial;
mod store;

use std::marker::PhantomData;
use std::sync::Arc;

use self::receiver::CheckedReceiver;
use self::sender::CheckedSender;
use self::serial::Serial;
use super::Shared;
use super::kind::{Engine, Kind, Mpmc, MpmcKind, Spsc};
use crate::error::AttachError;
use crate::layout::TRAILER;

/// A kind of queue in which each message has a checksum: `Checksummed<Spsc>` or
/// `Checksummed<Mpmc>`; the modules [`spsc::checksummed`](crate::spsc::checksummed) and
/// [`mpmc::checksummed`](crate::mpmc::checksummed) name its types.
///
/// For queues on disks that must survive a power loss. After one, an ordinary queue is all or
/// nothing ([`OpenOptions::after_power_loss`](crate::OpenOptions::after_power_loss)). A queue with
/// checksums keeps each message that is whole and in its place, and delivers it as one that may
/// have been delivered before. A message that is torn or of another moment is dropped, and counted.
///
/// A message takes 16 bytes more. Sending and receiving each read all of it once more, at some 4
/// GB/s: 15 ns for 64 bytes. Ordinary queues pay nothing.
///
/// ```
/// use ringway::spsc::checksummed::BytesQueue;
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("orders");
/// // SAFETY: only programs that use ringway can write to this file.
/// let queue = unsafe { BytesQueue::create(&name)? };
/// queue.producer()?.send(b"order 1")?;
/// assert_eq!(&*queue.consumer()?.recv()?, b"order 1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Checksummed<K>(PhantomData<K>);

impl Kind for Checksummed<Spsc> {}

impl Kind for Checksummed<Mpmc> {}

impl MpmcKind for Checksummed<Mpmc> {}

impl<K: Serial> Engine for Checksummed<K> {
    type Sender = CheckedSender<K::Sender>;
    type Receiver = CheckedReceiver<K::Receiver>;
    const NUMBER: u32 = K::NUMBER;
    const NAME: &'static str = K::CHECKED_NAME;
    const TRAILER: u64 = TRAILER;

    fn attach_sender(shared: Arc<Shared>) -> Result<Self::Sender, AttachError> {
        let uuid = shared.uuid();
        K::attach_sender(shared).map(|sender| CheckedSender::new(sender, uuid))
    }

    fn attach_receiver(shared: Arc<Shared>) -> Result<Self::Receiver, AttachError> {
        let uuid = shared.uuid();
        K::attach_receiver(shared).map(|receiver| CheckedReceiver::new(receiver, uuid))
    }

    fn waiting(shared: &Shared) -> u64 {
        K::waiting(shared)
    }

    fn room(shared: &Shared) -> u64 {
        K::room(shared)
    }

    fn close(shared: &Shared) {
        K::close(shared);
    }
}
