//! A consumer that several threads share, and frames that own their share of it: for bindings,
//! whose objects have no lifetimes, and for programs that keep messages in data structures.
//!
//! # Why this is sound
//!
//! *One thread at a time.* The consumer is in a mutex. It is taken for one attempt, one release or
//! one rejection, never during a wait and never while other code runs: no lock outlasts a bounded
//! piece of this library's own work. That is all that the consumer's contract asks for: it may be
//! sent from thread to thread, and the mutex orders what one thread did before what the next does.
//!
//! *The lock is held for a bounded time.* Most attempts take some ten nanoseconds. The longest one moves
//! messages to the dead-letter queue: for each a copy of its bytes, for at most as many as the queue
//! may hold, and before the first one what opening or creating that queue takes, which has time limits
//! of its own (`mpmc/dead_letter_mover.rs`). It does not wait for room: a dead-letter queue without
//! room refuses, and the message is delivered instead. A thread that drops a frame meanwhile waits for that
//! long; the waits of the other threads end at their time limit, or when they are cancelled, after it.
//! The guards of a panic drop the lock before the frames, whose drop takes it (`receive::with_more`).
//!
//! *A frame stays in flight until it is dropped.* It is returned to the consumer exactly once, by
//! its drop or by the call that rejects it, both of which consume it. Until then the consumer
//! neither releases its bytes nor takes them again.
//!
//! *The bytes stay mapped, and the role stays taken.* Each frame holds the consumer by a count. The
//! consumer is dropped, and detaches, with the last frame or handle, whichever goes last. So there is
//! no successor that could release, under a frame, what it is given again.
//!
//! *A forked child* finds the fork guard wiped and touches neither the mutex, which a thread of the
//! parent may have held at the fork, nor the consumer.
//!
//! # Order of releases
//!
//! SPSC: a frame that is dropped while an older one is held is noted as done, and its room is given
//! back with that of the older one (`ReleaseTracker`). Room that is released reaches the producer
//! when a sixteenth of the ring has come together, when there is nothing to take, and here also when
//! no frame is held any more or a thread sleeps for messages: the next call of the consumer, which
//! would make it visible, may be far away.
#![allow(unsafe_code, reason = "lends payload bytes that the lane protocol grants to owned frames")]

mod frame;
mod receive;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use frame::BytesOwnedFrame;

use super::Shared;
use super::consumer::BytesConsumer;
use super::kind::{FrameStore, Kind, Receiver};
use crate::error::RecvError;
use crate::park::{Canceller, EventCount};
use crate::shm::fork::ForkGuard;
use crate::wait::WaitStrategy;

/// A [`BytesConsumer`] that threads may share, and whose [frames](BytesOwnedFrame) own their share
/// of it: they may be kept anywhere, and dropped on any thread, in any order, also after the last
/// handle is gone.
///
/// Made by [`BytesConsumer::into_shared`]. Clones are handles of the same consumer. It detaches when
/// the last handle and the last frame are gone.
///
/// Each call takes a lock for a moment, never while it waits; a message takes some 50 ns more than
/// from a [`BytesConsumer`].
///
/// ```
/// use ringway::spsc::BytesQueue;
///
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// // SAFETY: every process that can write this file uses ringway.
/// let queue = unsafe { BytesQueue::create(&name)? };
/// queue.producer()?.send_many(&[b"one", b"two"])?;
///
/// let consumer = queue.consumer()?.into_shared();
/// let kept: Vec<_> = (0..2).map(|_| consumer.recv()).collect::<Result<_, _>>()?;
/// drop((consumer, queue));
/// std::thread::spawn(move || assert_eq!(&*kept[1], b"two")).join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The calls of a consumer, and what is different: each may fail because a thread panicked.
///
/// ```
/// use std::time::{Duration, Instant};
/// # let dir = tempfile::tempdir()?;
/// # let queue = unsafe { ringway::mpmc::BytesQueue::create(dir.path().join("q"))? };
/// queue.producer()?.send_many(&["one", "two", "three", "four", "five"])?;
/// let consumer = queue.consumer()?.into_shared();
/// consumer.set_wait_strategy(ringway::WaitStrategy::Park)?;
/// consumer.set_interruptible(true)?;
/// consumer.set_interrupt_check(Some(|| false))?;
/// consumer.end_when_disconnected(false)?;
/// let canceller = consumer.canceller()?;
/// assert!(!consumer.has_producer()? && !consumer.is_empty()?);
/// println!("attached at {}", consumer.attached_at());
/// let one = consumer.recv()?;
/// let two = consumer.try_recv()?;
/// let three = consumer.recv_timeout(Duration::from_millis(10))?;
/// let four = consumer.recv_deadline(Instant::now() + Duration::from_millis(10))?;
/// assert_eq!((consumer.held()?, consumer.len()?), (4, 1));
/// assert_eq!(consumer.recv_many(10)?.len(), 1);
/// assert!(consumer.recv_many_timeout(10, Duration::from_millis(1)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BytesSharedConsumer<K: Kind> {
    inner: Arc<Inner<K>>,
}

/// What handles and frames share.
struct Inner<K: Kind> {
    guard: ForkGuard,
    state: Mutex<State<K>>,
    messages: EventCount,
    attached_at: u64,
    /// After the consumer: the last owner of the queue may have to remove it.
    shared: Arc<Shared>,
}

struct State<K: Kind> {
    consumer: BytesConsumer<K>,
    /// Frames in flight.
    held: usize,
    /// Threads that wait for a message.
    waiting: usize,
}

impl<K: Kind> Inner<K> {
    /// The consumer, for a moment.
    ///
    /// # Errors
    /// In a forked child, and if the file was truncated.
    fn lock(&self) -> Result<MutexGuard<'_, State<K>>, RecvError> {
        match self.guard.is_intact() {
            true => Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner)),
            false if self.shared.is_truncated() => {
                Err(RecvError::Truncated { path: self.shared.path().to_path_buf() })
            }
            false => Err(RecvError::Forked),
        }
    }

    /// Lets `end` return a frame to the consumer. Does nothing in a forked child.
    fn return_frame(&self, end: impl FnOnce(&K::Receiver)) {
        let Ok(mut state) = self.lock() else { return };
        state.held -= 1;
        let receiver = state.consumer.receiver();
        end(receiver);
        if state.held == 0 || state.waiting > 0 {
            receiver.flush();
        }
    }
}

impl<K: Kind> BytesConsumer<K> {
    /// Makes this consumer one that threads may share, with frames that own their share of it.
    pub fn into_shared(self) -> BytesSharedConsumer<K> {
        let shared = Arc::clone(self.receiver().store().shared());
        let inner = Inner {
            guard: shared.guard(),
            messages: shared.events().messages.clone(),
            attached_at: self.attached_at,
            shared,
            state: Mutex::new(State { consumer: self, held: 0, waiting: 0 }),
        };
        BytesSharedConsumer { inner: Arc::new(inner) }
    }
}

impl<K: Kind> BytesSharedConsumer<K> {
    /// Returns how many frames are in flight: taken, and neither dropped nor rejected. Frames that
    /// are kept for long keep the room of everything after them (MPMC: of their producer).
    ///
    /// # Errors
    /// [`RecvError::Forked`] in a forked child, `Truncated` if the file was truncated.
    pub fn held(&self) -> Result<usize, RecvError> {
        Ok(self.inner.lock()?.held)
    }

    /// Returns the backlog: see [`BytesConsumer::len`].
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn len(&self) -> Result<u64, RecvError> {
        Ok(self.inner.lock()?.consumer.len())
    }

    /// Returns whether no message waits for a consumer. An estimate, like [`len`](Self::len).
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn is_empty(&self) -> Result<bool, RecvError> {
        Ok(self.len()? == 0)
    }

    /// Returns the position from which on no message had been delivered when this consumer
    /// attached: see [`BytesConsumer::attached_at`].
    pub fn attached_at(&self) -> u64 {
        self.inner.attached_at
    }

    /// Returns whether a live process produces into this queue.
    ///
    /// # Errors
    /// If the kernel cannot be asked; in a forked child.
    pub fn has_producer(&self) -> std::io::Result<bool> {
        self.inner.lock().map_err(std::io::Error::other)?.consumer.has_producer()
    }

    /// Sets how calls wait from now on: see [`BytesConsumer::set_wait_strategy`].
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn set_wait_strategy(&self, wait: WaitStrategy) -> Result<(), RecvError> {
        self.with_consumer(|consumer| consumer.set_wait_strategy(wait))
    }

    /// Sets whether signals end calls from now on: see [`BytesConsumer::set_interruptible`].
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn set_interruptible(&self, interruptible: bool) -> Result<(), RecvError> {
        self.with_consumer(|consumer| consumer.set_interruptible(interruptible))
    }

    /// Sets whether receiving ends when no producer is alive: see
    /// [`BytesConsumer::end_when_disconnected`].
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn end_when_disconnected(&self, ends: bool) -> Result<(), RecvError> {
        self.with_consumer(|consumer| consumer.end_when_disconnected(ends))
    }

    /// Returns a handle that ends the waits of all threads in this consumer, from another thread or
    /// a signal handler.
    ///
    /// # Errors
    /// As [`held`](Self::held).
    pub fn canceller(&self) -> Result<Canceller, RecvError> {
        Ok(self.inner.lock()?.consumer.canceller())
    }
}

impl<K: Kind> BytesSharedConsumer<K> {
    /// Changes the settings of the consumer.
    pub(super) fn with_consumer(&self, change: impl FnOnce(&BytesConsumer<K>)) -> Result<(), RecvError> {
        change(&self.inner.lock()?.consumer);
        Ok(())
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// The path of the queue's file; for a memfd queue a display name.
    pub(crate) fn path(&self) -> &Path {
        self.inner.shared.path()
    }

    /// Whether a frame that is rejected repeatedly becomes a dead letter.
    pub(crate) fn has_retry_limit(&self) -> Result<bool, RecvError> {
        Ok(self.inner.lock()?.consumer.receiver().store().has_retry_limit())
    }
}

impl<K: Kind> Clone for BytesSharedConsumer<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K: Kind> std::fmt::Debug for BytesSharedConsumer<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BytesSharedConsumer").field("path", &self.inner.shared.path()).finish_non_exhaustive()
    }
}
