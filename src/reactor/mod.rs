//! Sleeping for tasks: one thread of the process sleeps on the eventcounts of all the queues that
//! tasks wait for, and wakes the tasks' wakers.
//!
//! # The protocol
//!
//! A task that finds nothing *enlists* itself with the queue's [`Source`], arms the eventcount, and
//! attempts once more, all in its own thread. The reactor only sleeps in its place: on an
//! eventcount that was armed, with a key that is not younger than what any task that is enlisted
//! has read. So a task that is enlisted and the reactor together are one of the sleepers of
//! [`crate::park`], with the same proof.
//!
//! One sleeper may stand for many tasks. A wake of the reactor *notifies* one of them: it is no
//! longer enlisted, and owes an attempt.
//!
//! - It attempts and finds something: it notifies the next task that is enlisted, for the wake may
//!   have been for several messages. If none is enlisted, it notifies a sleeper in another process
//!   if it leaves something (a woken consumer may not be able to take what it was woken for, while
//!   a position before that is not committed), or all sleepers if the queue is closed.
//! - It attempts and finds nothing: nothing is there. It enlists and arms again.
//! - It is dropped before it attempts: it notifies the next task, or else a sleeper in another
//!   process.
//!
//! So as long as a message is there and tasks are enlisted, one of them owes an attempt, or the
//! eventcount will be notified.
//!
//! *Wakes are not swallowed.* The kernel may wake the reactor in the place of another process's
//! sleeper. If no task is enlisted by then, the reactor notifies once more, and stops sleeping
//! there: two reactors cannot go on waking one another. Likewise a task that finds something by
//! itself, and is notified at the same time, passes the notification on.
//!
//! *Deaths.* Every sleep has a timeout, here as elsewhere: when a source's timeout ends, one task
//! is notified and attempts. Tasks that wait for more than messages, such as the death of the last
//! producer, are notified by every wake and every timeout.
//!
//! After the last task has gone, a source is slept on for no longer than until the next wake or the
//! end of a timeout. A reactor without sources sleeps for a day at a time.
//!
//! A forked child has no reactor, and the inherited handles do nothing; new ones create a reactor
//! of its own.

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

/// Sleeps for this process's tasks.
struct Reactor {
    guard: ForkGuard,
    /// The sources, by the addresses of their eventcounts.
    sources: Mutex<HashMap<usize, Weak<Source>>>,
    /// One thread each. Never empty.
    shards: Mutex<Vec<Arc<Shard>>>,
}

/// Returns the source of an eventcount.
///
/// # Errors
/// If the process has no reactor yet and none can be created.
pub(crate) fn source(event: &EventCount, waits: Waits) -> io::Result<Arc<Source>> {
    Ok(Reactor::get()?.source(event, waits))
}

impl Reactor {
    #[allow(unsafe_code, reason = "a static that a fork makes invalid")]
    fn get() -> io::Result<&'static Self> {
        // The reactor of this process or of an ancestor. Never freed: in a child, another thread of
        // the parent may have held its locks.
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
                // SAFETY: made above, and known to no other thread. Its thread sleeps forever.
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

    /// Makes a shard sleep on the source.
    fn watch(&self, source: Arc<Source>) {
        let mut shards = lock(&self.shards);
        if !shards.iter().any(|shard| shard.has_room()) {
            // If no other thread can be started, a shard watches more sources than the kernel takes
            // in one call.
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

/// Wakes a task. Wakers are other tasks' code. One that panics must take neither the thread that
/// all tasks share with it, nor what the calling task has just found; the panic hook has reported
/// it by then.
fn wake(waker: Waker) {
    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
}

/// Drops a waker that is no longer needed: its destructor may panic.
fn discard(waker: Option<Waker>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
}
