//! Sleeping for tasks: one thread of the process sleeps on the eventcounts of all the queues that tasks wait for, and wakes the
//! tasks' wakers.
//!
//! # The protocol
//!
//! A task that finds nothing *enlists* itself with the queue's [`Source`], arms the eventcount, and attempts once more, all in its
//! own thread. The reactor only sleeps in its place: on a eventcount that was armed, with a key that is not younger than what
//! any task that is enlisted has read. So a task that is enlisted and the reactor together are one of the sleepers of
//! [`crate::park`], with the same proof.
//!
//! Many tasks may stand behind one sleeper. A ring *notifies* one of them: it is no longer enlisted, and owes a look.
//!
//! - It attempts and finds something: it notifies the next one that is enlisted, for the ring may have been for several messages.
//!   If none is, it epoch for somebody in another process if it leaves something (whoever is woken may not be able to take what
//!   it was woken for, while a position before that is not committed), or for all if the queue is closed.
//! - It attempts and finds nothing: nothing is there. It enlists and arms again.
//! - It is dropped before it attempts: it notifies the next one, or else epoch for somebody in another process.
//!
//! So as long as a message is there and tasks are enlisted, one of them owes a look, or the eventcount will ring.
//!
//! *Wakes are not swallowed.* The kernel may wake the reactor in the place of another process's sleeper. If no task is
//! enlisted by then, the reactor epoch once more, and stops sleeping there: two reactors cannot go on waking one another.
//! Likewise whoever finds something by itself, and is notified at the same time, passes that on.
//!
//! *Deaths.* As every sleep is a timeout elsewhere, so here: when a source's timeout ends, one task is notified and attempts. Tasks
//! that look for more than messages, such as the death of the last producer, are notified by every ring and every timeout.
//!
//! Nobody's source is slept on longer than for one ring or timeout after the last task has gone. A reactor without sources
//! sleeps for a day at a time.
//!
//! A forked child has no reactor, and handles that do nothing; new ones make it a reactor of its own.

mod registration;
mod shard;
mod source;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

pub(crate) use registration::Registration;
pub(crate) use source::{Source, Waits};

use crate::park::EventCount;
use crate::shm::fork::ForkGuard;
use crate::sync::{AtomicPtr, Ordering};
use shard::Shard;

/// What sleeps for this process's tasks.
struct Reactor {
    guard: ForkGuard,
    /// By the address of the eventcount.
    sources: Mutex<HashMap<usize, Weak<Source>>>,
    /// A thread each. Never empty.
    shards: Mutex<Vec<Arc<Shard>>>,
}

/// The source of this eventcount.
///
/// # Errors
/// If the process has no reactor yet and none can be made.
pub(crate) fn source(event: &EventCount, waits: Waits) -> io::Result<Arc<Source>> {
    Ok(Reactor::get()?.source(event, waits))
}

impl Reactor {
    #[allow(unsafe_code, reason = "a static that a fork makes invalid")]
    fn get() -> io::Result<&'static Self> {
        // That of this process or of an ancestor. Never freed: in a child somebody may have held its locks.
        static NEWEST: AtomicPtr<Reactor> = AtomicPtr::new(std::ptr::null_mut());
        let newest = NEWEST.load(Ordering::Acquire);
        // SAFETY: null, or the address of a reactor that was leaked below.
        match unsafe { newest.as_ref() } {
            Some(reactor) if reactor.guard.is_intact() => return Ok(reactor),
            _ => {}
        }
        let reactor = Box::into_raw(Box::new(Self::new()?));
        match NEWEST.compare_exchange(newest, reactor, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: made above, and leaked.
            Ok(_) => Ok(unsafe { &*reactor }),
            Err(other) => {
                // SAFETY: made above, and known to nobody else. Its thread sleeps for ever.
                drop(unsafe { Box::from_raw(reactor) });
                // SAFETY: another thread has just leaked it, in this process.
                Ok(unsafe { &*other })
            }
        }
    }

    fn new() -> io::Result<Self> {
        let shards = Mutex::new(vec![Shard::start()?]);
        Ok(Self { guard: ForkGuard::new()?, sources: Mutex::default(), shards })
    }

    fn source(&'static self, event: &EventCount, waits: Waits) -> Arc<Source> {
        let mut sources = lock(&self.sources);
        if let Some(source) = sources.get(&event.address()).and_then(Weak::upgrade) {
            return source;
        }
        sources.retain(|_, source| source.strong_count() > 0);
        let source = Arc::new(Source::new(event.clone(), waits, self.guard, self));
        sources.insert(event.address(), Arc::downgrade(&source));
        source
    }

    /// Has the source slept on.
    fn watch(&self, source: Arc<Source>) {
        let mut shards = lock(&self.shards);
        if !shards.iter().any(|shard| shard.has_room()) {
            // If there can be no other thread, one of them watches more than the kernel takes at once.
            shards.extend(Shard::start());
        }
        let shard = shards.iter().find(|shard| shard.has_room()).or(shards.last());
        shard.expect("there is always one").watch(source);
    }
}

/// Nothing panics while it holds a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakers are other tasks' code. One that panics must take neither the thread that all tasks share with it, nor what the calling
/// task has just found; the panic hook has reported it by then.
fn wake(waker: Waker) {
    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
}

/// The same for one that is no longer needed: its destructor may panic.
fn discard(waker: Option<Waker>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
}
