//! What an unbounded queue could not put into its full file: a list of this process, which a thread
//! moves on in order.
//!
//! The list is locked for moments only, by a thread that never waits for the GIL meanwhile. While
//! the list has entries, this process sends through it only, with the producer that the thread has
//! taken over: so the order is kept. A forked child does not look at its parent's list.
//!
//! A shutdown takes no more messages at once. The thread does it once the list is in the file, since
//! `put` has returned for what is in it, and the caller of `shutdown` may be the one who will make room.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringway::SendError;

use crate::engine::{Queue, Sender};

/// How long one attempt to send waits.
const ATTEMPT: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(crate) struct Overflow {
    list: Mutex<List>,
    /// Notified when the list is empty, or given up.
    ended: Condvar,
    /// The entries of the list, as the thread without the lock sees them.
    len: AtomicUsize,
    /// How many messages were ever added.
    added: AtomicUsize,
}

#[derive(Default)]
struct List {
    messages: VecDeque<Arc<Vec<u8>>>,
    is_running: bool,
    /// The producer, when the thread has ended.
    returned: Option<Sender>,
    /// Why the thread ended with messages left.
    failed: Option<SendError>,
    /// The queue is shut down, or will be: no more messages are taken.
    is_closed: bool,
    /// The queue that is to be shut down once the list is empty.
    closing: Option<Queue>,
    /// What was in the list was dropped on purpose.
    is_given_up: bool,
}

/// Why no list could be begun.
pub(crate) enum NotBegun {
    Closed,
    Thread(std::io::Error),
}

impl Overflow {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages wait here.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// How many messages were ever added: if it does not change, none passed through here.
    pub(crate) fn added(&self) -> usize {
        self.added.load(Ordering::Acquire)
    }

    /// Adds a message if others wait before it; else gives it back.
    ///
    /// # Errors
    /// `Closed`, if the queue was shut down in this process.
    pub(crate) fn push_behind(&self, message: Vec<u8>) -> Result<Option<Vec<u8>>, SendError> {
        let mut list = self.lock();
        if list.is_closed {
            return Err(SendError::Closed);
        }
        if !list.is_running {
            return Ok(Some(message));
        }
        self.push(&mut list, message);
        Ok(None)
    }

    fn push(&self, list: &mut List, message: Vec<u8>) {
        list.messages.push_back(Arc::new(message));
        self.len.fetch_add(1, Ordering::AcqRel);
        self.added.fetch_add(1, Ordering::AcqRel);
    }

    /// Begins with a message for which there was no room. Another thread may have begun since
    /// `push_behind` gave it back, since the caller runs code of Python and attaches in between: then
    /// the message is added to that list, and the producer, which is not needed, is returned.
    pub(crate) fn begin(
        self: &Arc<Self>,
        message: Vec<u8>,
        sender: Sender,
    ) -> Result<Option<Sender>, NotBegun> {
        let mut list = self.lock();
        if list.is_closed {
            return Err(NotBegun::Closed);
        }
        self.push(&mut list, message);
        // Two threads that move the list would send its first message twice and drop the second.
        if list.is_running {
            return Ok(Some(sender));
        }
        list.is_running = true;
        let this = Arc::clone(self);
        let started =
            std::thread::Builder::new().name("ringway-overflow".into()).spawn(move || this.move_on(sender));
        if let Err(error) = started {
            list.is_running = false;
            list.messages.pop_back();
            self.len.fetch_sub(1, Ordering::AcqRel);
            return Err(NotBegun::Thread(error));
        }
        Ok(None)
    }

    /// Takes no more messages, and shuts the queue down: now, or once what is in the list is in the
    /// file.
    pub(crate) fn shut_down(&self, queue: Queue) {
        let mut list = self.lock();
        list.is_closed = true;
        match list.is_running {
            true => list.closing = Some(queue),
            false => queue.shut_down(),
        }
    }

    /// Takes no more messages, and drops what is in the list.
    pub(crate) fn give_up(&self) {
        self.drop_all(&mut self.lock());
    }

    /// If a shutdown waits for the list, drops what is in it and shuts the queue down.
    pub(crate) fn end_shutdown(&self) {
        let mut list = self.lock();
        if list.closing.is_some() {
            self.drop_all(&mut list);
        }
    }

    fn drop_all(&self, list: &mut List) {
        (list.is_closed, list.is_given_up) = (true, true);
        list.messages.clear();
        self.len.store(0, Ordering::Release);
        if let Some(queue) = list.closing.take() {
            queue.shut_down();
        }
    }

    /// The producer that the thread had taken over, once it has ended.
    pub(crate) fn take_sender(&self) -> Option<Sender> {
        self.lock().returned.take()
    }

    fn move_on(&self, mut sender: Sender) {
        loop {
            let mut list = self.lock();
            let Some(message) = list.messages.front().map(Arc::clone) else {
                list.returned = Some(sender);
                // Under the lock: no message is added behind an end that was decided.
                return self.end(&mut list);
            };
            drop(list);
            match send(&mut sender, &message) {
                Ok(()) => {
                    let mut list = self.lock();
                    // One that was dropped meanwhile is in the file nevertheless.
                    if list.messages.pop_front().is_some() {
                        if list.messages.is_empty() {
                            list.returned = Some(sender);
                            self.end(&mut list);
                            self.len.fetch_sub(1, Ordering::AcqRel);
                            return;
                        }
                        self.len.fetch_sub(1, Ordering::AcqRel);
                    }
                }
                Err(SendError::Full | SendError::Timeout { .. } | SendError::Interrupted) => {}
                Err(error) => {
                    let mut list = self.lock();
                    if !list.is_given_up {
                        list.failed = Some(error);
                    }
                    list.messages.clear();
                    self.end(&mut list);
                    self.len.store(0, Ordering::Release);
                    return;
                }
            }
        }
    }

    /// The thread ends. A shutdown that has waited for it comes before `len` is 0: no other thread sends in
    /// between.
    fn end(&self, list: &mut List) {
        if let Some(queue) = list.closing.take() {
            queue.shut_down();
        }
        list.is_running = false;
        self.ended.notify_all();
    }

    /// Waits until the list is empty, for at most `timeout`. True if it is.
    pub(crate) fn wait_empty(&self, timeout: Duration) -> bool {
        let list = self.lock();
        let waited = self.ended.wait_timeout_while(list, timeout, |list| list.is_running);
        let (list, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !list.is_running
    }

    /// Why messages were lost, once.
    pub(crate) fn take_failure(&self) -> Option<SendError> {
        self.lock().failed.take()
    }
}

fn send(sender: &mut Sender, message: &[u8]) -> Result<(), SendError> {
    let mut reserved = sender.reserve_until(message.len(), Some(Instant::now() + ATTEMPT))?;
    reserved.bytes().copy_from_slice(message);
    reserved.commit()
}
