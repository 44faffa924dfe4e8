//! What an unbounded queue could not put into its full file: a list of this process, which a thread
//! moves on in order.
//!
//! The list is locked for moments only, by a thread that never waits for the GIL meanwhile. While
//! the list has entries, this process sends through it only, with the producer that the thread has
//! taken over: so the order is kept. A forked child does not look at its parent's list.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringway::SendError;

use crate::engine::Sender;

/// How long one attempt to send waits.
const ATTEMPT: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(crate) struct Overflow {
    list: Mutex<List>,
    /// Notified when the list is empty, or given up.
    ended: Condvar,
    /// The entries of the list, as the thread without the lock sees them.
    len: AtomicUsize,
}

#[derive(Default)]
struct List {
    messages: VecDeque<Arc<Vec<u8>>>,
    is_running: bool,
    /// The producer, when the thread has ended.
    returned: Option<Sender>,
    /// Why the thread ended with messages left.
    failed: Option<SendError>,
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

    /// Adds a message if others wait before it; else gives it back.
    pub(crate) fn push_behind(&self, message: Vec<u8>) -> Result<(), Vec<u8>> {
        let mut list = self.lock();
        if !list.is_running {
            return Err(message);
        }
        list.messages.push_back(Arc::new(message));
        self.len.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Begins with a message for which there was no room. Another thread may have begun since
    /// `push_behind` gave it back, since the caller runs code of Python and attaches in between: then
    /// the message is added to that list, and the producer, which is not needed, is returned.
    pub(crate) fn begin(
        self: &Arc<Self>,
        message: Vec<u8>,
        sender: Sender,
    ) -> std::io::Result<Option<Sender>> {
        let mut list = self.lock();
        list.messages.push_back(Arc::new(message));
        self.len.fetch_add(1, Ordering::AcqRel);
        // Two threads that move the list would send its first message twice and drop the second.
        if list.is_running {
            return Ok(Some(sender));
        }
        list.is_running = true;
        let this = Arc::clone(self);
        let started = std::thread::Builder::new()
            .name("ringway-overflow".into())
            .spawn(move || this.move_on(sender))
            .map(|_| None);
        if started.is_err() {
            list.is_running = false;
            list.messages.pop_back();
            self.len.fetch_sub(1, Ordering::AcqRel);
        }
        started
    }

    /// The producer that the thread had taken over, once it has ended.
    pub(crate) fn take_sender(&self) -> Option<Sender> {
        self.lock().returned.take()
    }

    fn move_on(&self, mut sender: Sender) {
        loop {
            let Some(message) = self.lock().messages.front().map(Arc::clone) else {
                break;
            };
            match send(&mut sender, &message) {
                Ok(()) => {
                    let mut list = self.lock();
                    list.messages.pop_front();
                    self.len.fetch_sub(1, Ordering::AcqRel);
                    if list.messages.is_empty() {
                        // Under the lock: no message is added behind an end that was decided.
                        list.is_running = false;
                        list.returned = Some(sender);
                        self.ended.notify_all();
                        return;
                    }
                }
                Err(SendError::Full | SendError::Timeout { .. } | SendError::Interrupted) => {}
                Err(error) => {
                    let mut list = self.lock();
                    list.messages.clear();
                    self.len.store(0, Ordering::Release);
                    list.is_running = false;
                    list.failed = Some(error);
                    self.ended.notify_all();
                    return;
                }
            }
        }
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
